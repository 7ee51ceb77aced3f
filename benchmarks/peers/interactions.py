"""Synthetic interaction logs of different structure, in the order of time: user, item, day."""

from collections.abc import Callable

import numpy as np
import pandas as pd

DAYS = 120.0  # of a log


def _log(user: np.ndarray, item: np.ndarray, day: np.ndarray) -> pd.DataFrame:
    """Return a log in the order of time."""
    table = pd.DataFrame({"user": user, "item": item, "day": day})
    return table.sort_values("day", kind="stable", ignore_index=True)


def _zipf(items: int, random: np.random.Generator, power: float = 0.8) -> np.ndarray:
    """Return popularities that fall with the rank of an item, in random order."""
    weights = (1.0 + random.permutation(items)) ** -power
    popularity: np.ndarray = weights / weights.sum()
    return popularity


def _draw(weights: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """Return `count` different items, drawn by weight."""
    keys = random.gumbel(size=len(weights)) + np.log(np.maximum(weights, 1e-300))
    return np.argsort(-keys)[:count]


def popularity(seed: int, users: int = 900, items: int = 400) -> pd.DataFrame:
    """Everyone takes popular items, and every item has its season."""
    random = np.random.default_rng([seed, 1])
    base, peak = _zipf(items, random), random.random(items) * DAYS
    rows = []
    for user in range(users):
        for day in np.sort(random.random(random.poisson(14) + 1) * DAYS):
            season = base * (0.2 + 3.0 * np.exp(-0.5 * ((day - peak) / 15.0) ** 2))
            rows.append((user, random.choice(items, p=season / season.sum()), day))
    user, item, day = map(np.array, zip(*rows, strict=True))
    return _log(user, item, day).drop_duplicates(["user", "item"], ignore_index=True)


def clusters(seed: int, users: int = 900, items: int = 500, groups: int = 12) -> pd.DataFrame:
    """Users take most items from one or two of several shelves."""
    random = np.random.default_rng([seed, 2])
    base, shelf = _zipf(items, random), random.integers(groups, size=items)
    parts = []
    for user in range(users):
        liked = random.choice(groups, random.integers(1, 3), replace=False)
        taken = _draw(base * np.where(np.isin(shelf, liked), 25.0, 1.0), random.poisson(16) + 2, random)
        parts.append((np.full(len(taken), user), taken, random.random(len(taken)) * DAYS))
    return _log(*map(np.concatenate, zip(*parts, strict=True)))


def factors(seed: int, users: int = 900, items: int = 500, rank: int = 8) -> pd.DataFrame:
    """Preferences are products of latent factors of users and items."""
    random = np.random.default_rng([seed, 3])
    left, right = random.normal(size=(users, rank)), random.normal(size=(items, rank))
    base, parts = _zipf(items, random, 0.5), []
    for user in range(users):
        taken = _draw(base * np.exp(1.3 * left[user] @ right.T / np.sqrt(rank) * 2.0), random.poisson(18) + 2, random)
        parts.append((np.full(len(taken), user), taken, random.random(len(taken)) * DAYS))
    return _log(*map(np.concatenate, zip(*parts, strict=True)))


def sessions(seed: int, users: int = 700, items: int = 400) -> pd.DataFrame:
    """Each item has a few typical successors within a session; users come back on other days."""
    random = np.random.default_rng([seed, 4])
    base = _zipf(items, random)
    following = [random.choice(items, 6, replace=False, p=base) for _ in range(items)]
    rows = []
    for user in range(users):
        seen: set[int] = set()
        for start in np.sort(random.random(random.poisson(4) + 1) * DAYS):
            item = int(random.choice(items, p=base))
            for step in range(random.poisson(3) + 2):
                if item not in seen:
                    rows.append((user, item, start + step / 1000))
                seen.add(item)
                item = int(random.choice(following[item]) if random.random() < 0.8 else random.choice(items, p=base))
    return _log(*map(np.array, zip(*rows, strict=True)))


def repeats(seed: int, users: int = 400, items: int = 300) -> pd.DataFrame:
    """Users have a repertoire that they take again at regular intervals, as groceries."""
    random = np.random.default_rng([seed, 5])
    base, rows = _zipf(items, random), []
    for user in range(users):
        start = random.random() * DAYS / 2
        for item in _draw(base, random.poisson(8) + 3, random):
            every = float(np.exp(random.normal(2.6, 0.6)))
            day = start + random.random() * every
            while day < DAYS:
                if random.random() < 0.85:
                    rows.append((user, item, day))
                day += every * float(np.exp(random.normal(0.0, 0.15)))
        for day in start + random.random(random.poisson(5)) * (DAYS - start):
            rows.append((user, random.choice(items, p=base), day))
    return _log(*map(np.array, zip(*rows, strict=True)))


def news(seed: int, users: int = 700, items: int = 900, topics: int = 10) -> pd.DataFrame:
    """Items appear all the time, and are taken for a few days by users who follow their topic."""
    random = np.random.default_rng([seed, 6])
    born, topic = np.sort(random.random(items)) * DAYS - 5.0, random.integers(topics, size=items)
    base = random.gamma(1.0, size=items)
    rows = []
    for user in range(users):
        liked = random.dirichlet(np.full(topics, 0.3))
        for day in np.sort(random.random(random.poisson(18) + 2) * DAYS):
            age = day - born
            weight = np.where(age > 0, base * (0.02 + liked[topic]) * np.exp(-np.maximum(age, 0.0) / 4.0), 0.0)
            rows.append((user, random.choice(items, p=weight / weight.sum()), day))
    user, item, day = map(np.array, zip(*rows, strict=True))
    return _log(user, item, day).drop_duplicates(["user", "item"], ignore_index=True)


def newcomers(seed: int, users: int = 1500, items: int = 400, groups: int = 8) -> pd.DataFrame:
    """Most users join late and have few interactions."""
    random = np.random.default_rng([seed, 7])
    base, shelf, parts = _zipf(items, random), random.integers(groups, size=items), []
    for user in range(users):
        taken = _draw(base * np.where(shelf == random.integers(groups), 15.0, 1.0), random.poisson(4) + 1, random)
        joined = random.random() * DAYS
        parts.append((np.full(len(taken), user), taken, joined + random.random(len(taken)) * (DAYS - joined)))
    return _log(*map(np.concatenate, zip(*parts, strict=True)))


def moods(seed: int, users: int = 500, items: int = 500, groups: int = 10) -> pd.DataFrame:
    """Users take several items of one shelf, then move on to another one."""
    random = np.random.default_rng([seed, 8])
    base, shelf = _zipf(items, random), random.integers(groups, size=items)
    rows = []
    for user in range(users):
        seen: set[int] = set()
        mood = random.integers(groups)
        for day in np.sort(random.random(random.poisson(28) + 3) * DAYS):
            mood = random.integers(groups) if random.random() < 0.12 else mood
            weight = base * np.where(shelf == mood, 20.0, 1.0)
            item = int(random.choice(items, p=weight / weight.sum()))
            if item not in seen:
                rows.append((user, item, day))
            seen.add(item)
    return _log(*map(np.array, zip(*rows, strict=True)))


LOGS: dict[str, Callable[[int], pd.DataFrame]] = {
    make.__name__: make for make in (popularity, clusters, factors, sessions, repeats, news, newcomers, moods)
}
