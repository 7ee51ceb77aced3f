"""Time series that need no download: statsmodels' own, and generated ones of known structure."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

Made = Callable[[np.random.Generator, np.ndarray], np.ndarray]


def table(start: str, frequency: str, values: np.ndarray) -> pd.DataFrame:
    """Return a raw table with the columns date, as text, and value."""
    dates = pd.date_range(start, periods=len(values), freq=frequency)
    text = dates.strftime("%Y-%m-%d %H:%M" if frequency == "h" else "%Y-%m-%d")
    return pd.DataFrame({"date": text, "value": values})


def real() -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield name and table of the series that statsmodels includes."""
    import statsmodels.api as sm
    from statsmodels.datasets import elec_equip

    sunspots = sm.datasets.sunspots.load_pandas().data
    yield "sunspots, Y", table("1700-01-01", "YS", sunspots["SUNACTIVITY"].to_numpy())
    yield "Nile, Y", table("1871-01-01", "YS", sm.datasets.nile.load_pandas().data["volume"].to_numpy())
    copper = sm.datasets.copper.load_pandas().data["WORLDCONSUMPTION"]
    yield "copper, Y", table("1951-01-01", "YS", copper.to_numpy())
    co2 = sm.datasets.co2.load_pandas().data["co2"].resample("MS").mean()
    yield "CO2, M", table(str(co2.index[0].date()), "MS", co2.to_numpy())
    ocean = sm.datasets.elnino.load_pandas().data.to_numpy()[:, 1:].ravel()
    yield "El Nino, M", table("1950-01-01", "MS", ocean)
    equipment = elec_equip.load_pandas().data.iloc[:, -1]
    yield "equipment, M", table("1996-01-01", "MS", equipment.to_numpy(dtype=np.float64))
    macro = sm.datasets.macrodata.load_pandas().data
    for name, column in (("GDP", "realgdp"), ("prices", "cpi"), ("unemployed", "unemp"), ("bills", "tbilrate")):
        yield f"{name}, Q", table("1959-01-01", "QS", macro[column].to_numpy())


def growing(random: np.random.Generator, t: np.ndarray) -> np.ndarray:
    """Return a trend times a yearly season, with errors in proportion to the level."""
    season = 1 + 0.25 * np.sin(2 * np.pi * t / 12) + 0.1 * np.cos(4 * np.pi * t / 12)
    return np.asarray(
        100 * np.exp(np.cumsum(random.normal(0.008, 0.01, len(t)))) * season * random.lognormal(0, 0.02, len(t))
    )


def wandering(random: np.random.Generator, t: np.ndarray) -> np.ndarray:
    """Return a random walk."""
    return 200 + np.cumsum(random.normal(0, 1.5, len(t)))


def intermittent(random: np.random.Generator, t: np.ndarray) -> np.ndarray:
    """Return counts that are mostly 0."""
    return np.asarray((random.random(len(t)) < 0.25) * random.poisson(6, len(t)), dtype=np.float64)


def shifting(random: np.random.Generator, t: np.ndarray) -> np.ndarray:
    """Return a weekly season on a level that jumps."""
    level = 60 + np.cumsum((random.random(len(t)) < 0.012) * random.normal(0, 20, len(t)))
    return np.asarray(level + np.array([0, 2, 3, 2, 6, -9, -12])[t.astype(int) % 7] + random.normal(0, 3, len(t)))


def saturating(random: np.random.Generator, t: np.ndarray) -> np.ndarray:
    """Return a trend that levels off, with a season of quarters."""
    return np.asarray(500 - 400 * np.exp(-t / 60) + 15 * np.sin(np.pi * t / 2 + 0.5) + random.normal(0, 6, len(t)))


def nested(random: np.random.Generator, t: np.ndarray) -> np.ndarray:
    """Return a season of the day whose size depends on the day of the week, with correlated errors."""
    error = np.zeros(len(t))
    for i in range(1, len(t)):
        error[i] = 0.8 * error[i - 1] + random.normal(0, 2)
    weekend = (t // 24).astype(int) % 7 >= 5
    return np.asarray(100 + np.where(weekend, 8, 30) * np.sin(2 * np.pi * (t % 24 - 7) / 24) - 10 * weekend + error)


def cycling(random: np.random.Generator, t: np.ndarray) -> np.ndarray:
    """Return an autoregression of order 2 with a long cycle, around a season of the year that changes."""
    error = np.zeros(len(t))
    for i in range(2, len(t)):
        error[i] = 1.6 * error[i - 1] - 0.75 * error[i - 2] + random.normal(0, 1)
    wave = np.cumsum(random.normal(0, 0.25, (12, len(t) // 12 + 1)), axis=1) + random.normal(0, 4, 12)[:, None]
    return np.asarray(40 + error + wave[t.astype(int) % 12, t.astype(int) // 12])


GENERATED: dict[str, tuple[Made, str, str, int]] = {  # name -> function, first date, frequency, values
    "growing season, M": (growing, "2009-01-01", "MS", 160),
    "random walk, D": (wandering, "2022-01-01", "D", 400),
    "intermittent, D": (intermittent, "2022-01-01", "D", 400),
    "level shifts, D": (shifting, "2022-01-01", "D", 420),
    "saturating, Q": (saturating, "1990-01-01", "QS", 130),
    "day and week, h": (nested, "2024-01-01", "h", 24 * 16),
    "cycles, M": (cycling, "1990-01-01", "MS", 300),
}


def generated(seed: int = 0) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield name and table of the generated series."""
    for index, (name, (make, start, frequency, count)) in enumerate(GENERATED.items()):
        values = make(np.random.default_rng([seed, index]), np.arange(count, dtype=np.float64))
        yield name, table(start, frequency, values.round(4))
