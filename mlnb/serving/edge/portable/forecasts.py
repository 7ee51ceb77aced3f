"""Forecasts from a history: an example for each step ahead, and its prediction; `scorer.py` reads this file."""

import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from runpy import run_path
from typing import NamedTuple, TypedDict

DAY, NAN = 86400.0, math.nan
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST, LATEST = -9214560000.0, 9214646400.0  # 1678 to 2261, in seconds
Value = bool | int | float | str | None
Row = dict[str, Value]  # a row of a request
Response = dict[str, str | float | dict[str, float]]  # timestamp, key, prediction and interval of one step
Codec = dict[str, object]  # how `encode` encodes a column
Numbers = list[float]
Encode = Callable[[Row, list[Codec]], Numbers]  # `scorer.encode`
Example = tuple[dict[str, str], Numbers, float, float]  # timestamp and key, encoded numbers, level, scale


class Windows(TypedDict):
    """How examples are made of histories."""

    time: str
    target: str
    keys: list[str]
    fields: list[str]  # of a response, for the keys
    local: bool  # whether timestamps are local days: their offset is left out
    season: int
    horizon: int
    width: int  # periods that features look back
    reach: int  # periods that are read
    least: int  # known values that a history needs in them
    lags: list[int]
    spans: list[int]
    holidays: list[int]
    sizes: list[list[str | float]]  # key, scale and mean of each series in training
    ahead: list[Codec]
    behind: list[Codec]
    memories: list[Numbers]
    local_models: list[str]
    sentinels: Numbers
    cycles: int
    missing: list[str]
    frequency: dict[str, object]  # read by `time_grid.py`


class Series(NamedTuple):
    """One series of a request."""

    key: tuple[str, ...]
    rows: dict[int, Row]  # by period
    values: dict[int, float]  # by period
    last: int  # period of the last known value


class Past(NamedTuple):
    """What all steps of a series share, in units of its scale."""

    recent: Numbers  # the newest first
    memories: Numbers
    local: list[Numbers]  # forecasts of each local model by step
    features: Numbers


class Interval(TypedDict):
    """A prediction interval: its ends by step, in units of the mean of some columns and a typical value."""

    columns: list[int]
    typical: float
    low: Numbers
    high: Numbers


class Model(TypedDict):
    """What is read here of the file model.json."""

    decision: dict[str, Interval | None]
    windows: Windows


GRID = run_path(str(Path(__file__).with_name("time_grid.py")))
calendar, number_of, timestamp = GRID["calendar"], GRID["number_of"], GRID["timestamp"]


def respond(rows: list[Row], model: Model, encode: Encode, predict: Callable[[Numbers], Numbers]) -> list[Response]:
    """Return the steps that follow each series, by key and time. Raises `ValueError` for a history that is no use."""
    interval, responses = model["decision"].get("interval"), list[Response]()
    for stamped, x, level, scale in examples(rows, model["windows"], encode):
        (prediction,) = predict(x)
        response: Response = {**stamped, "prediction": level + scale * prediction}
        if interval:
            spread = sum_of(x[j] if x[j] == x[j] else 0.0 for j in interval["columns"])
            spread = spread / max(1, len(interval["columns"])) + interval["typical"]
            step = min(int(x[0]), len(interval["low"])) - 1
            ends = {"low": interval["low"], "high": interval["high"]}
            bounds = {side: prediction + end[step] * spread for side, end in ends.items()}
            response["interval"] = {side: level + scale * bound for side, bound in bounds.items()}
        responses.append(response)
    return responses


def examples(rows: list[Row], windows: Windows, encode: Encode) -> list[Example]:
    """Return for each step its timestamp and key, its encoded numbers, and the level and scale of its series."""
    sizes = {tuple(map(str, key)): (float(scale), float(mean)) for *key, scale, mean in windows["sizes"]}
    out, zone = list[Example](), find_zone(rows, windows)
    for series in read_histories(rows, windows):
        level, scale, past = look_back(series, sizes.get(series.key), windows)
        for step in range(1, windows["horizon"] + 1):
            stamped = {"time": stamp_text(timestamp(series.last + step, windows), windows, zone)}
            stamped |= dict(zip(windows["fields"], series.key, strict=True))
            out.append((stamped, example(series, step, past, windows, encode), level, scale))
    return out


def read_histories(rows: list[Row], windows: Windows) -> list[Series]:
    """Return the series of the rows, sorted by key: values of one period are averaged, gaps are left out."""
    dated: dict[tuple[str, ...], list[tuple[float, Row]]] = {}
    for number, row in enumerate(rows):
        when = seconds(row.get(windows["time"]), windows["local"])
        if not EARLIEST <= when < LATEST:
            raise ValueError(f"row {number}: found {row.get(windows['time'])!r} as {windows['time']}, expected a date")
        key = tuple(label(row.get(name), windows["missing"]) for name in windows["keys"])
        dated.setdefault(key, []).append((when, row))
    out = []
    for key, stamped in sorted(dated.items(), key=lambda item: item[0]):
        by_period, observed = dict[int, Row](), dict[int, Numbers]()
        for when, row in sorted(stamped, key=lambda pair: pair[0]):
            period, value = number_of(when, windows), row.get(windows["target"])
            by_period[period] = row
            if value is not None and value == value and value not in windows["sentinels"]:
                observed.setdefault(period, []).append(float(value))
        recent = [period for period in observed if period > max(observed) - windows["width"]]
        if len(recent) < windows["least"]:
            name = f" of the series {', '.join(key)}" if key else ""
            count = f"{len(recent)} known values{name} in its last {windows['width']} periods"
            raise ValueError(f"found {count}, expected {windows['least']} at least")
        values = {period: sum_of(each) / len(each) for period, each in observed.items()}
        out.append(Series(key, by_period, values, max(observed)))
    return out


def look_back(series: Series, learned: tuple[float, float] | None, windows: Windows) -> tuple[float, float, Past]:
    """Return level and scale of a series, and the features of its values up to the last."""
    width, reach, season, last = windows["width"], windows["reach"], windows["season"], series.last
    window = [series.values.get(period, NAN) for period in range(last - reach + 1, last + 1)]
    scale, mean = learned or size_of(window[-width:], season)
    share = sum(v == v for v in window[-width:]) / width
    for j in range(1, reach):  # gaps: from one cycle before, else from the last value
        if window[j] != window[j]:
            before = window[j - season] if j >= season else NAN
            window[j] = window[j - 1] if before != before else before
    ahead = forecast_locally(window, windows) if windows["local_models"] else {}
    window = window[: -width - 1 : -1]
    cycle = [v for v in window[:season] if v == v]
    level = sum_of(cycle) / len(cycle)
    recent = [(v - level) / scale for v in window]
    present = [v == v and math.isfinite(v) for v in recent]
    memories = []
    for weights in windows["memories"]:
        pairs = [(v * w, w) for v, w, there in zip(recent, weights, present, strict=False) if there]
        memories.append(sum_of(v for v, _ in pairs) / sum_of(w for _, w in pairs))
    past = [recent[lag - 1] for lag in windows["lags"]]
    for span in windows["spans"]:
        plain = [v for v, there in zip(recent[:span], present, strict=False) if there]
        count, average = max(len(plain), 1), sum_of(plain) / max(len(plain), 1)
        deviation = math.sqrt(max(sum_of(v * v for v in plain) / count - average * average, 0.0))
        past += [average, deviation, min(plain, default=NAN), max(plain, default=NAN)]
    local = [[(v - level) / scale for v in ahead[name]] for name in windows["local_models"]]
    return level, scale, Past(recent, memories, local, [*past, (level - mean) / scale, share])


def forecast_locally(window: Numbers, windows: Windows) -> dict[str, Numbers]:
    """Return the forecasts of the local models by name."""
    models = run_path(str(Path(__file__).with_name("series_models.py")))
    forecasts: dict[str, Numbers] = models["local_forecasts"](window, windows["season"], windows["horizon"])
    return forecasts


def size_of(window: Numbers, season: int) -> tuple[float, float]:
    """Return scale and mean of a series that training did not see."""
    present = [v for v in window if v == v]
    for lag in (season, 1):
        errors = [abs(b - a) for a, b in zip(window, window[lag:], strict=False) if a == a and b == b]
        if errors and 0 < math.fsum(errors) < math.inf:
            return math.fsum(errors) / len(errors), math.fsum(present) / len(present)
    return 1.0, math.fsum(present) / len(present)


def example(series: Series, step: int, past: Past, windows: Windows, encode: Encode) -> Numbers:
    """Return the encoded numbers of one step ahead, NaN for missing values."""
    season, recent = windows["season"], past.recent
    back = season * -(-step // season) - step  # the newest value at the target's position in the cycle
    cycles = [recent[lag] for c in range(windows["cycles"]) if (lag := back + season * c) < windows["width"]]
    finite = [v for v in cycles if math.isfinite(v)]
    naive = cycles[0] if cycles and math.isfinite(cycles[0]) else recent[0]
    x = [float(step), naive, sum_of(finite) / len(finite) if finite else naive, *past.memories]
    x += [ahead[step - 1] if math.isfinite(ahead[step - 1]) else naive for ahead in past.local]
    x += calendar(timestamp(series.last + step, windows), windows) + past.features
    for columns, period in ((windows["ahead"], series.last + step), (windows["behind"], series.last)):
        row = dict(series.rows.get(period, {}))
        row.update({name: part or None for name, part in zip(windows["keys"], series.key, strict=True)})
        x += encode(row, columns)
    return [v if math.isfinite(v) else NAN for v in x]


def stamp_text(when: float, windows: Windows, zone: timezone | None) -> str:
    """Return a timestamp in ISO 8601: in the zone, else a date for days and longer periods at midnight, or a time."""
    moment = EPOCH + timedelta(microseconds=round(when * 1e6))
    if zone is not None:
        return moment.astimezone(zone).isoformat()
    whole = windows["frequency"]["unit"] not in ("s", "min", "h") and when % DAY == 0
    return moment.date().isoformat() if whole else moment.replace(tzinfo=None).isoformat()


def find_zone(rows: list[Row], windows: Windows) -> timezone | None:
    """Return the time zone of the last timestamp of a request; None unless the first and the last have an offset."""
    texts = [text for row in rows if (text := str(row.get(windows["time"]) or "").strip())]
    ends = [datetime.fromisoformat(text) for text in (texts[:1] + texts[-1:]) if len(text) > 10]
    offset = ends[-1].utcoffset() if len(ends) == 2 and ends[0].tzinfo is not None else None
    return None if offset is None or windows["local"] else timezone(offset)


def seconds(value: Value, local: bool) -> float:
    """Return the instant that an ISO 8601 text names, NaN for none; UTC without a time zone and for local days."""
    if not isinstance(value, str) or not value.strip():
        return NAN
    text = value.strip()
    moment = datetime.fromisoformat(f"{text}-01" if len(text) == 7 and text[4] == "-" else text)
    moment = moment.replace(tzinfo=UTC) if local or moment.tzinfo is None else moment
    elapsed = moment - EPOCH
    return ((elapsed.days * 86400 + elapsed.seconds) * 10**6 + elapsed.microseconds) / 1e6


def label(value: Value, missing: list[str]) -> str:
    """Return a part of a key as text, empty for a missing one."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value == value:
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    text = "" if value is None else str(value).strip()  # NaN is one of the missing words
    return "" if text.lower() in missing else text


def sum_of(terms: Iterable[float]) -> float:
    """Return the sum of terms added one after the other; Python's own sum compensates errors since 3.12."""
    total = 0.0
    for term in terms:
        total += term
    return total
