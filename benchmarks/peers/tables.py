"""Tables that need no download: scikit-learn's, statsmodels', CSV files of a folder, and generated skewed targets."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

Reader = Callable[[Path | None], pd.DataFrame]
KINDS = ("prices", "counts", "durations", "claims", "incomes")  # of generated skewed targets
MOST_CLASSES = 10  # different whole numbers up to which they are classes


def bundled(name: str) -> Reader:
    """Return what reads a set of scikit-learn's; the target is its last column."""

    def read(_: Path | None) -> pd.DataFrame:
        from sklearn import datasets

        X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        return pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])]).assign(target=y)

    return read


def statistical(name: str, target: str, drop: tuple[str, ...] = (), label: bool = False) -> Reader:
    """Return what reads a set of statsmodels'; `label` makes the target a class, above 0 or not."""

    def read(_: Path | None) -> pd.DataFrame:
        import statsmodels.api as sm

        table = getattr(sm.datasets, name).load_pandas().data.drop(columns=list(drop))
        values = table.pop(target)
        return table.assign(target=np.where(values > 0, "yes", "no") if label else values.to_numpy())

    return read


def filed(name: str, target: str | int = -1, drop: tuple[str, ...] = ()) -> Reader:
    """Return what reads a file in the folder or below it.

    Args:
        name: file; one that ends in .dat is KEEL's.
        target: name of the target's column, or its index in a file without names.
        drop: columns to leave out.
    """

    def read(folder: Path | None) -> pd.DataFrame:
        path = next(iter(sorted(folder.rglob(name))), None) if folder else None
        if path is None:
            raise FileNotFoundError(f"{name} is not in --data; see benchmarks/peers")
        keel = path.suffix == ".dat"
        table = pd.read_csv(
            path,
            header=0 if isinstance(target, str) else None,
            comment="@" if keel else None,
            skipinitialspace=True,
            na_values=["?", "<null>"],
        )
        words = [name for name in table.columns if pd.api.types.is_string_dtype(table[name])]
        table[words] = table[words].apply(lambda column: column.str.strip())
        values = table.pop(target if isinstance(target, str) else table.columns[target])
        table.columns = [str(column) if isinstance(target, str) else f"x{column}" for column in table.columns]
        return table.drop(columns=list(drop)).assign(target=values)[values.notna()]

    return read


def skewed(kind: str, rows: int) -> Reader:
    """Return what generates a table with a skewed positive target of a known structure, the same at every call.

    Args:
        kind: prices (effects multiply, log-normal noise), counts (Poisson), durations (Weibull, one effect that bends),
            claims (most are zero, gamma amounts otherwise), or incomes (effects add, log-normal noise).
        rows: number of rows.
    """

    def read(_: Path | None) -> pd.DataFrame:
        random = np.random.default_rng(KINDS.index(kind))
        size, age, score = random.lognormal(3, 0.5, rows), random.integers(0, 60, rows), random.normal(size=rows)
        town, grade = random.integers(0, 12, rows), random.integers(0, 4, rows)
        level = random.normal(0, 0.4, 12)[town] + 0.25 * grade
        rate = np.exp(0.8 * np.log(size / 20) - 0.015 * age + level + 0.2 * score * (grade > 1))
        values = {
            "prices": 1e5 * rate * random.lognormal(0, 0.25, rows),
            "counts": random.poisson(2 * rate).astype(float),
            "durations": 10 * random.weibull(1.3, rows) * np.exp(0.5 * level + np.abs(score) / 2),
            "claims": 800 * (random.random(rows) < np.minimum(0.1 * rate, 0.9)) * random.gamma(1.5, 1 + grade, rows),
            "incomes": 1e3 * (size + 2 * grade * size**0.5 + 5 * np.maximum(score, 0)) * random.lognormal(0, 0.4, rows),
        }
        table = {
            "size": size,
            "age": age,
            "score": score,
            "town": [f"town {number}" for number in town],
            "grade": grade,
        }
        return pd.DataFrame(table).round(3).assign(target=values[kind].round(4))

    return read


def read_found(folder: Path | None) -> dict[str, tuple[str, Reader]]:
    """Return the other CSV files of the folder that have a column `target`: name -> task, and what reads it."""
    sets = {}
    for path in sorted(folder.glob("*.csv")) if folder else ():
        if path.stem in SETS or "target" not in pd.read_csv(path, nrows=0).columns:
            continue
        values = pd.read_csv(path, usecols=["target"])["target"].dropna()
        different = values.nunique()
        named = different <= MOST_CLASSES if pd.api.types.is_integer_dtype(values) else values.dtype.kind not in "fc"
        task = "binary" if different == 2 else "multiclass" if named else "regression"
        sets[path.stem] = (task, filed(path.name, "target"))
    return sets


SETS: dict[str, tuple[str, Reader]] = {
    "breast_cancer": ("binary", bundled("breast_cancer")),
    "wine": ("multiclass", bundled("wine")),
    "digits": ("multiclass", bundled("digits")),
    "diabetes": ("regression", bundled("diabetes")),
    "fair": ("binary", statistical("fair", "affairs", label=True)),
    "anes96": ("multiclass", statistical("anes96", "PID", drop=("vote",))),
    "vote96": ("binary", statistical("anes96", "vote", label=True)),
    "modechoice": ("binary", statistical("modechoice", "choice", drop=("individual",), label=True)),
    "randhie": ("regression", statistical("randhie", "mdvis")),
    "visits": ("binary", statistical("randhie", "mdvis", label=True)),
    "star98": ("regression", statistical("star98", "NABOVE")),
    "affairs": ("regression", statistical("fair", "affairs")),
    "grunfeld": ("regression", statistical("grunfeld", "invest")),
    "ccard": ("regression", statistical("ccard", "AVGEXP")),
    "prices": ("regression", skewed("prices", 1500)),
    "counts": ("regression", skewed("counts", 1500)),
    "durations": ("regression", skewed("durations", 800)),
    "claims": ("regression", skewed("claims", 3000)),
    "incomes": ("regression", skewed("incomes", 200)),
    "titanic": ("binary", filed("titanic.csv", "survived", ("alive",))),
    "horse-colic": ("multiclass", filed("horse-colic.csv", 22, ("x2",))),
    "mpg": ("regression", filed("mpg.csv", "mpg")),
    "housing": ("regression", filed("housing.csv", -1)),
    "banknote": ("binary", filed("banknote_authentication.csv", -1)),
}
