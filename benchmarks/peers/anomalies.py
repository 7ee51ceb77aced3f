"""Tables with labeled anomalies, in two groups: those that the method was developed on, and those that judge it.

No set needs a download: scikit-learn's and statsmodels' tables with one class made rare, and generated tables of known
structure. Five generated structures occur in the judging group alone; five occur in both, with other sizes and seeds.
Wine and digits occur in both with other rare classes.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

Table = tuple[pd.DataFrame, np.ndarray]  # rows, and 1 for an anomaly (n,)


def rare_class(name: str, rare: int, keep: int, without: tuple[int, ...] = ()) -> Callable[[], Table]:
    """Return what reads a set of scikit-learn's, with `keep` rows of the class `rare`."""

    def read() -> Table:
        from sklearn import datasets

        X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        chosen = np.random.default_rng(0).permutation(np.flatnonzero(y == rare))[:keep]
        rows = np.sort(np.r_[np.flatnonzero((y != rare) & ~np.isin(y, without)), chosen])
        return pd.DataFrame(X[rows], columns=[f"x{j}" for j in range(X.shape[1])]), (y[rows] == rare).astype(int)

    return read


def survey(
    name: str, label: Callable[[pd.DataFrame], pd.Series], drop: tuple[str, ...], most: int
) -> Callable[[], Table]:
    """Return what reads at most `most` rows of a set of statsmodels'; `label` returns which are anomalies."""

    def read() -> Table:
        import statsmodels.api as sm

        table = getattr(sm.datasets, name).load_pandas().data
        table = table.iloc[np.sort(np.random.default_rng(0).permutation(len(table))[:most])].reset_index(drop=True)
        return table.drop(columns=list(drop)), label(table).to_numpy().astype(int)

    return read


def _table(normal: np.ndarray, strange: np.ndarray, random: np.random.Generator) -> Table:
    """Return both kinds of rows in random order."""
    X, y = np.r_[normal, strange], np.r_[np.zeros(len(normal), int), np.ones(len(strange), int)]
    order = random.permutation(len(X))
    return pd.DataFrame(X[order], columns=[f"x{j}" for j in range(X.shape[1])]), y[order]


def local_outliers(rows: int, columns: int, clusters: int, seed: int) -> Callable[[], Table]:
    """Return clusters of different spread; anomalies lie around one, a few of its spreads away."""

    def make() -> Table:
        random = np.random.default_rng(seed)
        centres, spreads = random.uniform(-8, 8, (clusters, columns)), random.uniform(0.2, 1.5, clusters)
        labels, near = random.integers(0, clusters, rows), random.integers(0, clusters, rows // 25)
        normal = centres[labels] + random.normal(size=(rows, columns)) * spreads[labels, None]
        strange = centres[near] + random.normal(size=(len(near), columns)) * (2.5 * spreads[near])[:, None]
        return _table(normal, strange, random)

    return make


def broken_dependency(rows: int, columns: int, curved: bool, seed: int) -> Callable[[], Table]:
    """Return columns that depend on two hidden ones; an anomaly has the columns of different rows."""

    def make() -> Table:
        random = np.random.default_rng(seed)
        hidden = random.normal(size=(rows, 2))
        normal = hidden @ random.normal(size=(2, columns))
        normal = np.sin(normal) + 0.3 * normal if curved else normal
        normal += 0.15 * normal.std() * random.normal(size=normal.shape)
        picks = random.integers(0, rows, (rows // 30, columns))
        return _table(normal, np.stack([normal[picks[:, j], j] for j in range(columns)], axis=1), random)

    return make


def heavy_tails(rows: int, columns: int, skewed: bool, seed: int) -> Callable[[], Table]:
    """Return independent columns, a third of them noise; anomalies have two or three values far out in a tail."""

    def make() -> Table:
        random = np.random.default_rng(seed)
        shape = (rows + rows // 30, columns)
        X = random.lognormal(0, 0.8, shape) if skewed else random.standard_t(5, shape)
        limits = np.quantile(X, 0.985, axis=0)
        for row in range(rows, len(X)):
            for j in random.choice(columns, random.integers(2, 4), replace=False):
                X[row, j] = limits[j] * random.uniform(1.0, 1.4) * (1 if skewed else random.choice([-1, 1]))
        return _table(X[:rows], X[rows:], random)

    return make


def mixed_categories(rows: int, levels: int, pairs: bool, seed: int) -> Callable[[], Table]:
    """Return categories and numbers; anomalies have rare levels, or (`pairs`) levels that do not occur together."""

    def make() -> Table:
        random = np.random.default_rng(seed)
        group, count = random.integers(0, levels, rows), rows // 30
        size = np.exp(0.5 * random.normal(size=rows) + 0.3 * group)
        table = pd.DataFrame(
            {
                "region": np.char.add("r", group.astype(str)),
                "product": np.char.add("p", ((group * 2 + random.integers(0, 2, rows)) % (levels + 2)).astype(str)),
                "channel": random.choice(["shop", "web", "phone"], rows, p=[0.6, 0.3, 0.1]),
                "size": size, "price": size * np.exp(0.2 * random.normal(size=rows)), "noise": random.normal(size=rows),
            }
        )  # fmt: skip
        strange = random.choice(rows, count, replace=False)
        if pairs:
            table.loc[strange, "product"] = table["product"].to_numpy()[random.permutation(rows)[:count]]
            table.loc[strange, "price"] = table["price"].to_numpy()[random.permutation(rows)[:count]]
        else:
            table.loc[strange, "channel"] = random.choice(["fax", "letter", "other"], count)
            table.loc[strange, "size"] *= random.choice([0.4, 2.5], count)
        return table, np.isin(np.arange(rows), strange).astype(int)

    return make


def duplicated_rows(rows: int, columns: int, seed: int) -> Callable[[], Table]:
    """Return rounded numbers, half of them copies of few rows; anomalies are scattered, without a copy."""

    def make() -> Table:
        random = np.random.default_rng(seed)
        mixing = random.normal(size=(columns, columns))
        normal = random.normal(size=(rows // 2, columns)) @ mixing
        normal = np.r_[normal, normal[random.integers(0, 40, rows - len(normal))]].round(1)
        strange = 1.5 * random.normal(size=(rows // 30, columns)) * normal.std(axis=0)
        return _table(normal, strange.round(1), random)

    return make


def highest_progression() -> Table:
    """Return scikit-learn's diabetes patients; anomalies are the twentieth with the fastest progression."""
    from sklearn.datasets import load_diabetes

    X, y = load_diabetes(return_X_y=True)
    return pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])]), (y >= np.quantile(y, 0.95)).astype(int)


def lowest_results(table: pd.DataFrame) -> pd.Series:
    """Return whether a school district is in the twentieth with the smallest share above the median."""
    share = table["NABOVE"] / (table["NABOVE"] + table["NBELOW"])
    return share <= share.quantile(0.05)


def inside_ring(rows: int, noise: int, seed: int) -> Callable[[], Table]:
    """Return points near a circle, with columns of noise; anomalies are inside."""

    def make() -> Table:
        random = np.random.default_rng(seed)
        count = rows // 30
        angle = random.uniform(0, 2 * np.pi, rows + count)
        radius = np.r_[random.normal(4, 0.3, rows), random.uniform(0, 2.5, count)]
        X = np.c_[radius * np.cos(angle), radius * np.sin(angle), random.normal(size=(rows + count, noise))]
        return _table(X[:rows], X[rows:], random)

    return make


def scattered(rows: int, columns: int, seed: int) -> Callable[[], Table]:
    """Return correlated columns of heavy-tailed rows; anomalies are as correlated, and twice as far from the center."""

    def make() -> Table:
        random = np.random.default_rng(seed)
        mixing, count = random.normal(size=(columns, columns)) + 2 * np.eye(columns), rows // 25
        spread = np.exp(0.25 * random.normal(size=rows + count))
        X = (random.normal(size=(rows + count, columns)) * spread[:, None]) @ mixing
        return _table(X[:rows], 2.0 * X[rows:], random)

    return make


def far_cluster(rows: int, columns: int, seed: int) -> Callable[[], Table]:
    """Return two clusters of normal rows; anomalies are a third, small one."""

    def make() -> Table:
        random = np.random.default_rng(seed)
        normal = random.normal(size=(rows, columns)) + 3.0 * random.integers(0, 2, rows)[:, None]
        strange = 0.5 * random.normal(size=(rows // 60, columns)) + random.uniform(-3, 6, columns)
        return _table(normal, strange, random)

    return make


def inflated_counts(rows: int, columns: int, seed: int) -> Callable[[], Table]:
    """Return counts with many zeros that depend on an activity; anomalies have some counts five times as large."""

    def make() -> Table:
        random = np.random.default_rng(seed)
        activity, count = random.gamma(2.0, 1.0, rows + rows // 30), rows // 30
        X = random.poisson(activity[:, None] * random.gamma(1.0, 0.6, columns)).astype(float)
        for row in range(rows, rows + count):
            X[row, random.choice(columns, 3, replace=False)] = random.poisson(5.0 * activity[row], 3)
        return _table(X[:rows], X[rows:], random)

    return make


def machine_sensors(rows: int, seed: int) -> Callable[[], Table]:
    """Return hour, machine, load, temperature, vibration and power; anomalies have one sensor that is off or stuck."""

    def make() -> Table:
        random = np.random.default_rng(seed)
        hour, machine = random.integers(0, 24, rows), random.integers(0, 5, rows)
        load = np.clip(0.5 + 0.4 * np.sin(2 * np.pi * hour / 24) + 0.1 * random.normal(size=rows), 0, 1)
        heat = 20 + 10 * machine + 30 * load + 2 * random.normal(size=rows)
        shake = np.exp(0.5 * load + 0.2 * machine + 0.15 * random.normal(size=rows))
        power = load * (50 + 20 * machine) + 3 * random.normal(size=rows)
        sensors = np.c_[load, heat, shake, power]
        strange = random.choice(rows, rows // 30, replace=False)
        middle, size = sensors.mean(axis=0), sensors.std(axis=0)
        for row in strange:
            j = random.integers(0, 4)
            sensors[row, j] = (
                middle[j] if random.random() < 0.4 else sensors[row, j] + 1.5 * size[j] * random.choice([-1, 1])
            )
        table = pd.DataFrame(sensors, columns=["load", "heat", "shake", "power"])
        table = table.assign(hour=hour, machine=np.char.add("m", machine.astype(str)))
        return table, np.isin(np.arange(rows), strange).astype(int)

    return make


DEVELOPMENT: dict[str, Callable[[], Table]] = {
    "wine, class 2 rare": rare_class("wine", 2, 8),
    "iris, class 1 rare": rare_class("iris", 1, 6),
    "digits, 0 rare": rare_class("digits", 0, 30, without=(1, 3, 5, 7, 9)),
    "digits, 8 rare": rare_class("digits", 8, 30, without=(1, 3, 5, 7, 9)),
    "local outliers, 6 clusters": local_outliers(1200, 4, 6, 1),
    "linear dependency": broken_dependency(1000, 6, False, 2),
    "symmetric tails": heavy_tails(1000, 8, False, 3),
    "skewed tails, 12 columns": heavy_tails(1000, 12, True, 6),
    "rare levels": mixed_categories(1200, 5, False, 4),
    "copies, 5 columns": duplicated_rows(1000, 5, 5),
    "breast cancer, malignant rare": rare_class("breast_cancer", 0, 20),
    "digits, 1 rare": rare_class("digits", 1, 30, without=(0, 2, 4, 6, 8)),
    "digits, 9 rare": rare_class("digits", 9, 30, without=(0, 2, 4, 6, 8)),
    "doctor visits, poor health": survey("randhie", lambda table: table["hlthp"] == 1, ("hlthp",), 4000),
    "marriages, very poor": survey("fair", lambda table: table["rate_marriage"] == 1, ("rate_marriage",), 4000),
    "local outliers, 3 clusters": local_outliers(2000, 10, 3, 11),
    "curved dependency": broken_dependency(1500, 5, True, 12),
    "symmetric tails, 20 columns": heavy_tails(1500, 20, False, 16),
    "skewed tails, 15 columns": heavy_tails(1500, 15, True, 13),
    "rare pairs of levels": mixed_categories(2000, 8, True, 14),
    "copies, 12 columns": duplicated_rows(1500, 12, 15),
}
JUDGING: dict[str, Callable[[], Table]] = {
    "wine, class 0 rare": rare_class("wine", 0, 8),
    "digits, 4 rare": rare_class("digits", 4, 30, without=(0, 1, 3, 8, 9)),
    "digits, 7 rare": rare_class("digits", 7, 30, without=(0, 1, 3, 8, 9)),
    "diabetes, highest twentieth": highest_progression,
    "school districts, lowest results": survey("star98", lowest_results, ("NABOVE", "NBELOW"), 4000),
    "inside a ring": inside_ring(1200, 4, 21),
    "scattered more widely": scattered(1500, 12, 22),
    "small far cluster": far_cluster(1500, 8, 23),
    "inflated counts": inflated_counts(2000, 10, 24),
    "sensors of machines": machine_sensors(2000, 25),
    "inside a ring, 8 of noise": inside_ring(1500, 8, 31),
    "scattered, 30 columns": scattered(1500, 30, 32),
    "small far cluster, 15 columns": far_cluster(1500, 15, 33),
    "inflated counts, 20 columns": inflated_counts(1500, 20, 34),
    "sensors, other machines": machine_sensors(1200, 35),
    "local outliers, 10 clusters": local_outliers(2000, 6, 10, 36),
    "curved dependency, 8 columns": broken_dependency(1500, 8, True, 37),
    "skewed tails, 6 columns": heavy_tails(1500, 6, True, 38),
    "rare levels, 10 groups": mixed_categories(1500, 10, False, 39),
    "copies, 8 columns": duplicated_rows(1500, 8, 40),
}
