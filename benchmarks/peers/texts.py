"""Text data sets that need no download: generated documents, and docstrings of the installed packages."""

import ast
import sys
from pathlib import Path

import numpy as np
import pandas as pd

PACKAGES = 20  # classes of the docstrings
EACH = 500  # docstrings of a class
LETTERS = list("aeioubcdfglmnprstv")


def documents(rows: int = 2000, words: int = 650, seed: int = 0, spaces: bool = True) -> pd.DataFrame:
    """Return generated documents of two classes and a number that depends on the class, too.

    The frequencies of 30,000 words follow Zipf's law, shifted by two of thirty topics and, for 3,000 of the words, a
    little by the class. Lengths are log-normal, and words repeat within a document. Without spaces, words are one or
    two Han characters.

    Args:
        rows: number of documents.
        words: median number of words of a document.
        seed: of the generator.
        spaces: whether the words are separated.

    Returns:
        text, number, target (no or yes).
    """
    random, count = np.random.default_rng(seed), 30_000
    base = 1.0 / np.arange(3, count + 3) ** 1.05
    if spaces:
        names = np.array(["".join(random.choice(LETTERS, random.integers(3, 9))) + str(i % 7) for i in range(count)])
    else:
        names = np.array(["".join(map(chr, random.integers(0x4E00, 0x5600, 1 + (i > 200)))) for i in range(count)])
    lift = np.zeros(count)
    lift[random.choice(np.arange(60, count // 2), 3000, replace=False)] = random.normal(0, 0.55, 3000)
    topics = np.zeros((30, count))
    for topic in topics:
        topic[random.choice(np.arange(100, count), 800, replace=False)] = np.abs(random.normal(0, 1.5, 800))
    y, texts = random.integers(0, 2, rows), []
    for label in y:
        strength = (2 * label - 1) * np.clip(random.normal(1, 0.8), -1, 3)
        p = base * np.exp(lift * strength + topics[random.integers(30)] + topics[random.integers(30)])
        drawn = random.choice(count, max(20, int(random.lognormal(np.log(words), 0.4))), p=p / p.sum())
        again = random.random(len(drawn)) < 0.15
        drawn[again] = drawn[random.integers(0, len(drawn), again.sum())]
        texts.append((" " if spaces else "").join(names[drawn]))
    number = np.where(y == 1, 0.7, -0.7) + random.normal(0, 1, rows)
    return pd.DataFrame({"text": texts, "number": number.round(3), "target": np.array(["no", "yes"])[y]})


def docstrings(seed: int = 0) -> pd.DataFrame:
    """Return the first 400 characters of docstrings, and the installed package that each comes from.

    Args:
        seed: of the order.

    Returns:
        text, target: the first packages in alphabetical order that have enough docstrings.

    Raises:
        FileNotFoundError: too few packages have enough docstrings.
    """
    site = next(Path(folder) for folder in sys.path if folder.endswith("site-packages"))
    packages: dict[str, list[str]] = {}
    for package in sorted(path.parent for path in site.glob("*/__init__.py")):
        texts = dict[str, None]()
        for file in sorted(package.rglob("*.py")):
            texts |= dict.fromkeys(_read_docstrings(file))
            if len(texts) >= 2 * EACH:
                break
        if len(texts) >= EACH:
            packages[package.name] = sorted(texts)
        if len(packages) == PACKAGES:
            break
    if len(packages) < PACKAGES:
        raise FileNotFoundError(f"found {len(packages)} packages with {EACH} docstrings in {site}, expected {PACKAGES}")
    random, rows = np.random.default_rng(seed), []
    for name, choice in packages.items():
        rows += [(choice[i], name) for i in random.permutation(len(choice))[:EACH]]
    table = pd.DataFrame(rows, columns=["text", "target"])
    return table.iloc[random.permutation(len(table))].reset_index(drop=True)


def _read_docstrings(file: Path) -> list[str]:
    """Return the docstrings of a file with at least 20 characters, cut to 400."""
    try:
        tree = ast.parse(file.read_text("utf-8"))
    except (SyntaxError, ValueError, RecursionError):
        return []
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module)]
    texts = [ast.get_docstring(node) or "" for node in nodes]
    return [text[:400] for text in texts if len(text) >= 20]
