"""A history becomes examples, one a step ahead, and their answers, by Python alone; `scorer.py` reads this file."""

import math
from bisect import bisect_left
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

DAY, NAN = 86400.0, math.nan
LENGTHS = {"s": 1.0, "min": 60.0, "h": 3600.0, "D": DAY, "W": 7 * DAY}  # seconds
MONTHS = {"M": 1, "Q": 3, "Y": 12}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST, LATEST = -9214560000.0, 9214646400.0  # 1678 to 2261, in seconds
SPREADS = ("mean", "deviation", "low", "high")  # of each span
Row = dict[str, Any]
Series = dict[str, Any]  # key, rows by period, values by period, last period with a value


def answer(rows: list[Row], model: Row, encode: Callable[..., Any], predict: Callable[..., Any]) -> list[Row]:
    """Return the steps that follow each series, by key and time; ValueError when a history cannot be used."""
    interval, said = model["decision"].get("interval"), list[Row]()
    for told, x, level, scale in examples(rows, model["windows"], encode):
        (prediction,) = predict(x)
        answered = told | {"prediction": level + scale * prediction}
        if interval:
            spread = sum_of(x[j] if x[j] == x[j] else 0.0 for j in interval["columns"])
            spread = spread / max(1, len(interval["columns"])) + interval["typical"]
            place = min(int(x[0]), len(interval["low"])) - 1
            far = {side: prediction + interval[side][place] * spread for side in ("low", "high")}
            answered["interval"] = {side: level + scale * end for side, end in far.items()}
        said.append(answered)
    return said


def examples(rows: list[Row], facts: Row, encode: Callable[..., Any]) -> list[tuple[Row, list[float], float, float]]:
    """Return for each step its stamp and key, its encoded numbers, and what 0 and 1 stand for in the target's unit."""
    out, sizes = [], {tuple(key): (scale, mean) for *key, scale, mean in facts["sizes"]}
    for series in read_histories(rows, facts):
        level, scale, past = look_back(series, sizes.get(series["key"]), facts)
        for step in range(1, facts["horizon"] + 1):
            told = {"time": stamp_text(stamp(series["last"] + step, facts), facts)}
            told |= dict(zip(facts["keys"], series["key"], strict=True))
            out.append((told, example(series, step, past, facts, encode), level, scale))
    return out


def read_histories(rows: list[Row], facts: Row) -> list[Series]:
    """Return the series of the rows, sorted by key: stamps that share a period are averaged, gaps are left out."""
    dated: dict[tuple[str, ...], list[tuple[float, Row]]] = {}
    for number, row in enumerate(rows):
        when = seconds(row.get(facts["time"]))
        if not EARLIEST <= when < LATEST:
            raise ValueError(f"row {number}: found {row.get(facts['time'])!r} as {facts['time']}, expected a date")
        key = tuple(label(row.get(name), facts["missing"]) for name in facts["keys"])
        dated.setdefault(key, []).append((when, row))
    out = []
    for key, stamped in sorted(dated.items(), key=lambda item: item[0]):
        at, told = dict[int, Row](), dict[int, list[float]]()
        for when, row in sorted(stamped, key=lambda pair: pair[0]):
            period, value = number_of(when, facts), row.get(facts["target"])
            at[period] = row
            if value is not None and value == value and value not in facts["sentinels"]:
                told.setdefault(period, []).append(float(value))
        recent = [period for period in told if period > max(told) - facts["width"]]
        if len(recent) < facts["least"]:
            name = f" of the series {', '.join(key)}" if key else ""
            found = f"{len(recent)} known values{name} in its last {facts['width']} periods"
            raise ValueError(f"found {found}, expected {facts['least']} at least")
        values = {period: sum_of(each) / len(each) for period, each in told.items()}
        out.append({"key": key, "rows": at, "values": values, "last": max(told)})
    return out


def look_back(series: Series, learned: tuple[float, float] | None, facts: Row) -> tuple[float, float, Row]:
    """Return level and scale of a series, and what its values up to the last say: the same for all steps."""
    width, season, last = facts["width"], facts["season"], series["last"]
    window = [series["values"].get(period, NAN) for period in range(last - width + 1, last + 1)]
    scale, mean = learned or size_of(window, season)
    share = sum(v == v for v in window) / width
    for j in range(1, width):  # gaps: from one cycle before, else from the last value
        if window[j] != window[j]:
            before = window[j - season] if j >= season else NAN
            window[j] = window[j - 1] if before != before else before
    window.reverse()
    cycle = [v for v in window[:season] if v == v]
    level = sum_of(cycle) / len(cycle)
    recent = [(v - level) / scale for v in window]
    known = [v == v and math.isfinite(v) for v in recent]
    memories = []
    for weights in facts["memories"]:
        pairs = [(v * w, w) for v, w, there in zip(recent, weights, known, strict=False) if there]
        memories.append(sum_of(v for v, _ in pairs) / sum_of(w for _, w in pairs))
    past = [recent[lag - 1] for lag in facts["lags"]]
    for span in facts["spans"]:
        plain = [v for v, there in zip(recent[:span], known, strict=False) if there]
        count, average = max(len(plain), 1), sum_of(plain) / max(len(plain), 1)
        deviation = math.sqrt(max(sum_of(v * v for v in plain) / count - average * average, 0.0))
        past += [average, deviation, min(plain, default=NAN), max(plain, default=NAN)]
    return level, scale, {"recent": recent, "memories": memories, "past": [*past, (level - mean) / scale, share]}


def size_of(window: list[float], season: int) -> tuple[float, float]:
    """Return scale and mean of a series that training did not see."""
    known = [v for v in window if v == v]
    for lag in (season, 1):
        errors = [abs(b - a) for a, b in zip(window, window[lag:], strict=False) if a == a and b == b]
        if errors and 0 < math.fsum(errors) < math.inf:
            return math.fsum(errors) / len(errors), math.fsum(known) / len(known)
    return 1.0, math.fsum(known) / len(known)


def example(series: Series, step: int, past: Row, facts: Row, encode: Callable[..., Any]) -> list[float]:
    """Return the encoded numbers of one step ahead, NaN for what is not known."""
    season, recent = facts["season"], past["recent"]
    back = season * -(-step // season) - step  # the newest value at the target's place in the cycle
    cycles = [recent[place] for c in range(facts["cycles"]) if (place := back + season * c) < facts["width"]]
    known = [v for v in cycles if math.isfinite(v)]
    naive = cycles[0] if cycles and math.isfinite(cycles[0]) else recent[0]
    x = [float(step), naive, sum_of(known) / len(known) if known else naive, *past["memories"]]
    x += calendar(stamp(series["last"] + step, facts), facts) + past["past"]
    for columns, period in ((facts["ahead"], series["last"] + step), (facts["behind"], series["last"])):
        row = dict(series["rows"].get(period, {}))
        row.update({name: part or None for name, part in zip(facts["keys"], series["key"], strict=True)})
        x += encode(row, columns)
    return [v if math.isfinite(v) else NAN for v in x]


def calendar(when: float, facts: Row) -> list[float]:
    """Return what the calendar says of a stamp."""
    unit, out = facts["frequency"]["unit"], list[float]()
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
    if days := facts["holidays"]:
        if day > days[-1]:
            last = date(1970, 1, 1) + timedelta(days=days[-1])
            raise ValueError(f"found a stamp after {last}, the end of the known holidays; train again to know more")
        for near in (day, day + 1, day - 1):
            place = bisect_left(days, near)
            out.append(float(place < len(days) and days[place] == near))
    return out


def waves(share: float, pairs: int) -> list[float]:
    """Return sines and cosines of a share of a cycle."""
    angles = [2 * math.pi * k * share for k in range(1, pairs + 1)]
    return [wave(angle) for angle in angles for wave in (math.sin, math.cos)]


def ruler(facts: Row) -> tuple[str, int, float, bool]:
    """Return unit, factor, seconds from the start of a period to its stamp, and whether that is its last day."""
    unit, factor, phase, end = (facts["frequency"][name] for name in ("unit", "factor", "phase", "end"))
    return unit, factor, phase, end


def number_of(when: float, facts: Row) -> int:
    """Return the number of the period that a stamp, in seconds since 1970, falls into."""
    unit, factor, phase, _ = ruler(facts)
    if unit in MONTHS:
        moment = EPOCH + timedelta(days=math.floor(when / DAY))
        return ((moment.year - 1970) * 12 + moment.month - 1) // (MONTHS[unit] * factor)
    if unit == "B":  # weekday 0 of week 0 is Monday, 29 December 1969; a weekend counts as its Friday
        week, weekday = divmod(math.floor((when - phase) / DAY) + 3, 7)
        return (week * 5 + min(weekday, 4) - 3) // factor
    return math.floor((when - phase) / (LENGTHS[unit] * factor))


def stamp(period: int, facts: Row) -> float:
    """Return the stamp of a period, in seconds since 1970."""
    unit, factor, phase, end = ruler(facts)
    if unit in MONTHS:
        year, month = divmod((period + end) * MONTHS[unit] * factor, 12)
        return ((date(1970 + year, month + 1, 1) - date(1970, 1, 1)).days - end) * DAY + phase
    if unit == "B":
        week, weekday = divmod(period * factor + 3, 5)
        return (week * 7 + weekday - 3) * DAY + phase
    return period * (LENGTHS[unit] * factor) + phase


def stamp_text(when: float, facts: Row) -> str:
    """Return a stamp in ISO 8601: a date for days and longer periods at midnight, else date and time."""
    moment = EPOCH + timedelta(microseconds=round(when * 1e6))
    whole = facts["frequency"]["unit"] not in ("s", "min", "h") and when % DAY == 0
    return moment.date().isoformat() if whole else moment.replace(tzinfo=None).isoformat()


def seconds(value: Any) -> float:
    """Return the instant that an ISO 8601 text names, NaN for none; without a time zone it is UTC."""
    if not isinstance(value, str) or not value.strip():
        return NAN
    text = value.strip()
    moment = datetime.fromisoformat(f"{text}-01" if len(text) == 7 and text[4] == "-" else text)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    passed = moment - EPOCH
    return ((passed.days * 86400 + passed.seconds) * 10**6 + passed.microseconds) / 1e6


def label(value: Any, missing: list[str]) -> str:
    """Return a part of a key as text, empty for a missing one."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value == value:
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    text = "" if value is None else str(value).strip()  # NaN is one of the missing words
    return "" if text.lower() in missing else text


def sum_of(terms: Any) -> float:
    """Return the terms added one after the other: Python's own sum rounds less from 3.12 on."""
    total = 0.0
    for term in terms:
        total += term
    return total
