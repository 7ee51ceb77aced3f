"""Real tables that need no download: scikit-learn's, statsmodels', and CSV files of a folder."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

MOST_CLASSES = 10  # different whole numbers up to which they are classes


def bundled(name: str) -> Callable[[Path | None], pd.DataFrame]:
    """Return what reads a set of scikit-learn's; the target is its last column."""

    def read(_: Path | None) -> pd.DataFrame:
        from sklearn import datasets

        X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        return pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])]).assign(target=y)

    return read


def statistical(
    name: str, target: str, drop: tuple[str, ...] = (), label: bool = False
) -> Callable[[Path | None], pd.DataFrame]:
    """Return what reads a set of statsmodels'; `label` makes the target a class, above 0 or not."""

    def read(_: Path | None) -> pd.DataFrame:
        import statsmodels.api as sm

        table = getattr(sm.datasets, name).load_pandas().data.drop(columns=list(drop))
        values = table.pop(target)
        return table.assign(target=np.where(values > 0, "yes", "no") if label else values.to_numpy())

    return read


def filed(
    name: str, target: str | int, header: bool = True, drop: tuple[str, ...] = ()
) -> Callable[[Path | None], pd.DataFrame]:
    """Return what reads a CSV file of the folder."""

    def read(folder: Path | None) -> pd.DataFrame:
        if folder is None:
            raise FileNotFoundError("state --data")
        table = pd.read_csv(folder / f"{name}.csv", header=0 if header else None, na_values=["?"])
        table.columns = [str(column) if header else f"c{column}" for column in table.columns]
        values = table.pop(target if isinstance(target, str) else table.columns[target])
        retained = values.notna()
        return table.drop(columns=list(drop)).assign(target=values)[retained]

    return read


def read_found(folder: Path | None) -> dict[str, tuple[str, Callable[[Path | None], pd.DataFrame]]]:
    """Return the other CSV files of the folder that have a column `target`: name -> task, and what reads it."""
    sets = {}
    for path in sorted(folder.glob("*.csv")) if folder else ():
        if path.stem in SETS or "target" not in pd.read_csv(path, nrows=0).columns:
            continue
        values = pd.read_csv(path, usecols=["target"])["target"].dropna()
        different = values.nunique()
        named = different <= MOST_CLASSES if pd.api.types.is_integer_dtype(values) else values.dtype.kind not in "fc"
        task = "binary" if different == 2 else "multiclass" if named else "regression"
        sets[path.stem] = (task, filed(path.stem, "target"))
    return sets


SETS: dict[str, tuple[str, Callable[[Path | None], pd.DataFrame]]] = {
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
    "titanic": ("binary", filed("titanic", "survived", drop=("alive",))),
    "horse-colic": ("multiclass", filed("horse-colic", 22, header=False, drop=("c2",))),
    "mpg": ("regression", filed("mpg", "mpg")),
    "housing": ("regression", filed("housing", -1, header=False)),
    "banknote": ("binary", filed("banknote_authentication", -1, header=False)),
}
