"""Scores rows with an exported model, by Python alone: `python scorer.py < rows.json` in the exported folder."""

import json
import math
import re
import sys
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from runpy import run_path
from typing import NotRequired, TypedDict

Row = dict[str, bool | int | float | str | None]  # a row of a request
Response = dict[str, str | float | dict[str, float]]  # in the service's form
Numbers = list[float]
Tree = tuple[list[int], Numbers, list[int], list[int], list[int], Numbers]  # in the order of `TREE_FIELDS`


class Codec(TypedDict):
    """How one column of the table is encoded; which fields are there depends on `code`."""

    column: str
    code: str  # number, category, date, text or scored text
    missing: bool  # whether a flag for missing values follows
    sentinels: Numbers
    missing_words: list[str]
    local: bool  # dates: whether they are local days, whose offset is left out
    width: int
    categories: list[str]
    index: dict[str, int]
    table: list[Numbers]
    unseen: str
    parts: list[str]
    origin: float


class Transform(TypedDict):
    """What turns the logarithm that a model predicts into its prediction."""

    shift: float
    low: float
    high: float
    smearing: float


class Member(TypedDict):
    """One model: trees in a file of LightGBM's, or numbers and the code that reads them."""

    weight: float
    file: NotRequired[str]
    code: NotRequired[str]
    transform: NotRequired[Transform]
    header: NotRequired[dict[str, str]]
    trees: NotRequired[list[Tree]]
    predict: NotRequired[Callable[["Member", Numbers], Numbers]]


class Contract(TypedDict):
    """The problem."""

    task: str
    target: str
    classes: list[str] | None
    query: str | None


class Interval(TypedDict):
    """A prediction interval: its ends in units of a scale, and the scale between predictions."""

    low: float
    high: float
    x: Numbers
    scale: Numbers


class Calibration(TypedDict):
    """A calibration of probabilities; which fields are there depends on `method`."""

    method: str  # temperature, isotonic, sigmoid or beta
    temperature: float
    x: Numbers
    y: Numbers
    a: float
    b: float
    c: float


class Decision(TypedDict):
    """How predictions become decisions; null where a part was not learned."""

    calibration: NotRequired[Calibration | None]
    interval: NotRequired[Interval | None]
    threshold: NotRequired[float | None]
    costs: NotRequired[list[Numbers] | None]


class Model(TypedDict):
    """The file model.json."""

    contract: Contract
    decision: Decision
    missing: list[str]
    columns: list[Codec]
    limit: float
    windows: dict[str, object]  # read by `forecasts.py`
    members: list[Member]


HERE = Path(__file__).parent
MODEL: Model = json.loads((HERE / "model.json").read_text("utf-8"))
TREE_FIELDS = ("split_feature", "threshold", "decision_type", "left_child", "right_child", "leaf_value")
PARTS = ("year", "month", "day", "weekday", "yearday", "hour", "minute")
TRUE = ("true", "t", "yes", "y", "on", "1")
TEXTS = ("text", "scored text")  # codes of the columns that `texts.py` encodes
ENCODERS = dict[str, Callable[[str, Codec], Numbers]]()  # "text", from `texts.py`
NAN = math.nan


def encode(row: Row, columns: list[Codec]) -> Numbers:
    """Return the encoded numbers of a row, as the training encoder does."""
    out, numbers = Numbers(), Numbers()
    for codec in columns:
        value, code = row.get(codec["column"]), codec["code"]
        words = MODEL["missing"] if code in ("category", *TEXTS) else [""]
        if value != value or value in codec["sentinels"] or (isinstance(value, str) and value.strip().lower() in words):
            value = None
        if code in TEXTS and value is not None and str(value).strip() in codec["missing_words"]:
            value = None
        if code == "number":
            value = float(value.strip().lower() in TRUE) if isinstance(value, str) else value
            numbers = [NAN if value is None else float(value)]
        elif code == "category":
            label = None if value is None else json.dumps(value) if isinstance(value, bool) else str(value).strip()
            if isinstance(value, float):
                label = str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
            count = len(codec["categories"])
            level = count + 1 if label is None else codec["index"].get(label, count + (codec["unseen"] == "missing"))
            numbers = codec["table"][level]
            out += [*numbers, float(level == count + 1)] if codec["missing"] else numbers
            continue
        elif code == "date":
            numbers = [NAN] * (len(codec["parts"]) + 1)
            if value is not None:
                text = str(value).strip()
                moment = datetime.fromisoformat(text + "-01" if re.fullmatch(r"\d{4}-\d\d", text) else text)
                local = codec["local"] or moment.tzinfo is None
                moment = moment.replace(tzinfo=UTC) if local else moment.astimezone(UTC)
                elapsed = moment - datetime(1970, 1, 1, tzinfo=UTC)
                seconds = ((elapsed.days * 86400 + elapsed.seconds) * 10**6 + elapsed.microseconds) / 1e6
                if -9214560000.0 <= seconds < 9214646400.0 and seconds not in codec["sentinels"]:
                    day = moment.timetuple()
                    values = (day.tm_year, day.tm_mon, day.tm_mday, day.tm_wday, day.tm_yday, day.tm_hour, day.tm_min)
                    parts = dict(zip(PARTS, map(float, values), strict=True))
                    numbers = [*(parts[name] for name in codec["parts"]), (seconds - codec["origin"]) / 86400.0]
        else:
            text = unicodedata.normalize("NFC", str(value)).strip()
            numbers = [NAN, NAN] if value is None else ENCODERS["text"](text, codec)
            numbers += [NAN if code == "scored text" else 0.0] * (codec["width"] - len(numbers))
        out += [*numbers, float(numbers[0] != numbers[0])] if codec["missing"] else numbers
    return out


def read_trees(path: Path) -> tuple[dict[str, str], list[Tree]]:
    """Return the header and the trees of LightGBM's text."""
    head, *blocks = path.read_text("utf-8").split("\nTree=")
    trees = []
    for block in blocks:
        lines = dict(line.partition("=")[::2] for line in block.splitlines())
        feature, threshold, kind, left, right, value = (lines.get(name, "").split() for name in TREE_FIELDS)
        numbers = [float(x) for x in threshold], [float(x) for x in value]
        integers = [[int(x) for x in each] for each in (feature, kind, left, right)]
        trees.append((integers[0], numbers[0], integers[1], integers[2], integers[3], numbers[1]))
    return dict(line.partition("=")[::2] for line in head.splitlines()), trees


def find_leaf(tree: Tree, x: Numbers) -> float:
    """Return the value of the leaf that an encoded row reaches."""
    feature, threshold, kind, left, right, value = tree
    node = 0 if feature else -1
    while node >= 0:
        v, missing = x[feature[node]], kind[node] >> 2 & 3
        v = 0.0 if v != v and missing != 2 else v
        is_missing = (missing == 2 and v != v) or (missing == 1 and abs(v) <= 1e-35)
        node = left[node] if (kind[node] & 2 if is_missing else v <= threshold[node]) else right[node]
    return value[~node]


def predict_trees(header: dict[str, str], trees: list[Tree], x: Numbers) -> Numbers:
    """Return one booster's prediction: probabilities, or one value."""
    outputs = int(header["num_tree_per_iteration"])
    scores = [0.0] * outputs
    for number, tree in enumerate(trees):
        scores[number % outputs] += find_leaf(tree, x)
    if "average_output" in header:
        scores = [score / (len(trees) // outputs) for score in scores]
    name, *settings = header.get("objective", "").split(" ")
    if name == "multiclass":
        raised = [math.exp(score - max(scores)) for score in scores]
        scores = [one / sum(raised) for one in raised]
    elif name in ("binary", "cross_entropy"):
        slope = float(dict(s.partition(":")[::2] for s in settings).get("sigmoid", 1))
        scores = [1.0 / (1.0 + math.exp(-slope * scores[0]))]
    elif name in ("poisson", "gamma", "tweedie"):
        scores = [math.exp(scores[0])]
    return [1.0 - scores[0], scores[0]] if MODEL["contract"]["task"] == "binary" else scores


def predict(x: Numbers) -> Numbers:
    """Return the weighted sum of the members' predictions for an encoded row: probabilities, or one value."""
    total = Numbers()
    for member in MODEL["members"]:
        each = predict_trees(member["header"], member["trees"], x) if "file" in member else member["predict"](member, x)
        each = [from_log(member["transform"], n) for n in each] if "transform" in member else each
        each = [member["weight"] * n for n in each] if len(MODEL["members"]) > 1 else each
        total = [a + b for a, b in zip(total, each, strict=True)] if total else each
    return total


def from_log(transform: Transform, z: float) -> float:
    """Return the prediction whose logarithm a model predicts."""
    inverted = math.exp(min(max(z, transform["low"]), transform["high"])) - transform["shift"]
    return max(inverted, 0.0) * transform["smearing"]


def respond(row: Row) -> Response:
    """Return the response to one row, in the service's form."""
    total, task = predict(encode(row, MODEL["columns"])), MODEL["contract"]["task"]
    decision, classes = MODEL["decision"], MODEL["contract"]["classes"]
    if task == "anomaly":
        return {"prediction": "anomaly" if total[0] >= MODEL["limit"] else "normal", "score": total[0]}
    if not classes:
        if not (interval := decision.get("interval")):
            return {"prediction": total[0]}
        scale = interpolate(total[0], interval["x"], interval["scale"])
        ends = {"low": interval["low"], "high": interval["high"]}
        return {"prediction": total[0], "interval": {name: total[0] + end * scale for name, end in ends.items()}}
    total = calibrate(total, decision.get("calibration"))
    if (threshold := decision.get("threshold")) is not None:
        label = int(total[1] >= threshold)
    elif (matrix := decision.get("costs")) is not None:
        costs = [sum(p * line[j] for p, line in zip(total, matrix, strict=True)) for j in range(len(total))]
        label = costs.index(min(costs))
    else:
        label = total.index(max(total))
    return {"prediction": classes[label], "probabilities": dict(zip(classes, total, strict=True))}


def rank(rows: list[Row]) -> list[Response]:
    """Return the score and the rank of each row in its query: 1 for the highest score, the first row for equal ones."""
    scores = [predict(encode(row, MODEL["columns"]))[0] for row in rows]
    responses, queries = [Response(score=score) for score in scores], dict[str, list[int]]()
    for number, row in enumerate(rows):
        queries.setdefault(str(row.get(MODEL["contract"]["query"] or "")), []).append(number)
    for members in queries.values():
        for index, number in enumerate(sorted(members, key=lambda member: -scores[member])):
            responses[number]["rank"] = index + 1
    return responses


def calibrate(p: Numbers, learned: Calibration | None) -> Numbers:
    """Return calibrated probabilities."""
    if not learned:
        return p
    if learned["method"] == "temperature":
        powers = [math.log(min(max(one, 1e-15), 1.0)) / learned["temperature"] for one in p]
        raised = [math.exp(one - max(powers)) for one in powers]
        return [one / sum(raised) for one in raised]
    if learned["method"] == "isotonic":
        positive = interpolate(p[1], learned["x"], learned["y"])
    else:
        one = min(max(p[1], 1e-15), 1 - 1e-15)
        b = learned["b"] if learned["method"] == "beta" else learned["a"]
        positive = 1 / (1 + math.exp(-(learned["a"] * math.log(one) - b * math.log1p(-one) + learned["c"])))
    return [1.0 - positive, positive]


def interpolate(value: float, x: Numbers, y: Numbers) -> float:
    """Return the linear interpolation between knots."""
    if len(x) == 1 or value <= x[0]:
        return y[0]
    j = min(sum(knot <= value for knot in x) - 1, len(x) - 2)
    return y[j] + (y[j + 1] - y[j]) * min(max((value - x[j]) / (x[j + 1] - x[j]), 0.0), 1.0)


for model in MODEL["members"]:
    if "file" in model:
        model["header"], model["trees"] = read_trees(HERE / model["file"])
    else:
        model["predict"] = run_path(str(HERE / model["code"]))["predict"]
if (HERE / "texts.py").exists():
    ENCODERS["text"] = run_path(str(HERE / "texts.py"))["encode_text"]
if __name__ == "__main__":
    request = json.load(sys.stdin)
    if MODEL["contract"]["task"] == "forecasting":  # rows are histories, responses the steps that follow
        responses = run_path(str(HERE / "forecasts.py"))["respond"](request, MODEL, encode, predict)
    else:
        responses = rank(request) if MODEL["contract"]["task"] == "ranking" else [respond(row) for row in request]
    json.dump(responses, sys.stdout)
