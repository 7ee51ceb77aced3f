"""The time grid of series: periods, their timestamps and calendar features; `forecasts.py` reads this file."""

import math
from bisect import bisect_left
from datetime import UTC, date, datetime, timedelta
from typing import TypedDict

DAY = 86400.0
LENGTHS = {"s": 1.0, "min": 60.0, "h": 3600.0, "D": DAY, "W": 7 * DAY}  # seconds
MONTHS = {"M": 1, "Q": 3, "Y": 12}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Numbers = list[float]


class Frequency(TypedDict):
    """The time grid."""

    unit: str
    factor: int
    phase: float  # seconds from the start of a period to its timestamp
    end: bool  # whether the timestamp is the last day of a month or a longer period


class Grid(TypedDict):
    """What is read here of the windows."""

    frequency: Frequency
    holidays: list[int]


def calendar(when: float, windows: Grid) -> Numbers:
    """Return the calendar features of a timestamp."""
    unit, out = windows["frequency"]["unit"], Numbers()
    day, within = math.floor(when / DAY), when % DAY / DAY
    moment = date(1970, 1, 1) + timedelta(days=day)
    if unit != "Y":
        leap = moment.year % 4 == 0 and (moment.year % 100 != 0 or moment.year % 400 == 0)
        out += waves((moment.timetuple().tm_yday - 1 + within) / (365.0 + leap), 3)
    if unit in ("s", "min", "h", "D", "B"):
        out += waves((moment.day - 1 + within) / 30.4375, 1)
        out += [float(moment.weekday() == d) for d in range(5 if unit == "B" else 7)]
    if unit in ("s", "min", "h"):
        out += waves(within, 3)
    if days := windows["holidays"]:
        if day > days[-1]:
            last = date(1970, 1, 1) + timedelta(days=days[-1])
            raise ValueError(
                f"found a timestamp after {last}, the end of the known holidays; train again with later holidays"
            )
        for near in (day, day + 1, day - 1):
            index = bisect_left(days, near)
            out.append(float(index < len(days) and days[index] == near))
    return out


def waves(share: float, pairs: int) -> Numbers:
    """Return sines and cosines of a share of a cycle."""
    return [wave(2 * math.pi * k * share) for k in range(1, pairs + 1) for wave in (math.sin, math.cos)]


def number_of(when: float, windows: Grid) -> int:
    """Return the number of the period of a timestamp in seconds since 1970."""
    grid = windows["frequency"]
    unit, factor, phase = grid["unit"], grid["factor"], grid["phase"]
    if unit in MONTHS:
        moment = EPOCH + timedelta(days=math.floor(when / DAY))
        return ((moment.year - 1970) * 12 + moment.month - 1) // (MONTHS[unit] * factor)
    if unit == "B":  # weekday 0 of week 0 is Monday, 29 December 1969; a weekend counts as its Friday
        week, weekday = divmod(math.floor((when - phase) / DAY) + 3, 7)
        return (week * 5 + min(weekday, 4) - 3) // factor
    return math.floor((when - phase) / (LENGTHS[unit] * factor))


def timestamp(period: int, windows: Grid) -> float:
    """Return the timestamp of a period in seconds since 1970."""
    grid = windows["frequency"]
    unit, factor, phase, end = grid["unit"], grid["factor"], grid["phase"], grid["end"]
    if unit in MONTHS:
        year, month = divmod((period + end) * MONTHS[unit] * factor, 12)
        return ((date(1970 + year, month + 1, 1) - date(1970, 1, 1)).days - end) * DAY + phase
    if unit == "B":
        week, weekday = divmod(period * factor + 3, 5)
        return (week * 7 + weekday - 3) * DAY + phase
    return period * (LENGTHS[unit] * factor) + phase
