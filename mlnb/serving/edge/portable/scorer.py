"""Answers of a model for rows, by Python alone: `python scorer.py < rows.json` in the folder that was exported."""

import json
import math
import re
import sys
import unicodedata
import zlib
from datetime import UTC, datetime
from pathlib import Path
from runpy import run_path
from typing import Any

HERE = Path(__file__).parent
MODEL = json.loads((HERE / "model.json").read_text("utf-8"))  # contract, encoder, decision, members
PARTS = ("year", "month", "day", "weekday", "yearday", "hour", "minute")
NAN = math.nan


def encode(row: dict[str, Any], columns: list[dict[str, Any]]) -> list[float]:
    """Return the encoded numbers of a row: what the training encoder makes of it."""
    out: list[float] = []
    numbers: list[float]
    for codec in columns:
        value, code = row.get(codec["column"]), codec["code"]
        words = MODEL["missing"] if code in ("category", "text") else [""]
        if value != value or value in codec["sentinels"] or (isinstance(value, str) and value.strip().lower() in words):
            value = None
        if code == "number":
            true = {"true": 1.0, "t": 1.0, "yes": 1.0, "y": 1.0, "on": 1.0, "1": 1.0}
            numbers = [
                NAN
                if value is None
                else true.get(value.strip().lower(), 0.0)
                if isinstance(value, str)
                else float(value)
            ]
        elif code == "category":
            label = None if value is None else json.dumps(value) if isinstance(value, bool) else str(value).strip()
            if isinstance(value, float):
                label = str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
            count = len(codec["levels"])
            place = count + 1 if label is None else codec["index"].get(label, count + (codec["unseen"] == "missing"))
            numbers = codec["table"][place]
            out += [*numbers, float(place == count + 1)] if codec["missing"] else numbers
            continue
        elif code == "date":
            numbers = [NAN] * (len(codec["parts"]) + 1)
            if value is not None:
                moment = datetime.fromisoformat(value + "-01" if re.fullmatch(r"\d{4}-\d\d", value) else value.strip())
                moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
                passed = moment - datetime(1970, 1, 1, tzinfo=UTC)
                seconds = ((passed.days * 86400 + passed.seconds) * 10**6 + passed.microseconds) / 1e6
                if -9214560000.0 <= seconds < 9214646400.0:
                    day = moment.timetuple()
                    found = (day.tm_year, day.tm_mon, day.tm_mday, day.tm_wday, day.tm_yday, day.tm_hour, day.tm_min)
                    parts = dict(zip(PARTS, map(float, found), strict=True))
                    numbers = [*(parts[name] for name in codec["parts"]), (seconds - codec["origin"]) / 86400.0]
        else:
            numbers = [NAN, NAN] if value is None else text(value.strip(), codec)
            numbers += [0.0] * (codec["width"] - len(numbers))
        out += [*numbers, float(numbers[0] != numbers[0])] if codec["missing"] else numbers
    return out


def text(value: str, codec: dict[str, Any]) -> list[float]:
    """Return characters, words, and the weight of each telling word or component."""
    words = re.findall(r"\w+", unicodedata.normalize("NFKC", value).lower())
    place, counts = {bucket: j for j, bucket in enumerate(codec["kept"])}, dict[int, int]()
    for word in words:
        j = place.get(zlib.crc32(word.encode("utf-8", "surrogatepass")) % codec["buckets"])
        if j is not None:
            counts[j] = counts.get(j, 0) + 1
    weights = [(j, counts[j] * codec["idf"][j]) for j in sorted(counts)]
    length = math.sqrt(sum(weight * weight for _, weight in weights))
    width = codec["width"] - 2
    out = [0.0] * width
    for j, weight in weights:
        for k in range(width) if codec["pressed"] else [j]:
            out[k] += weight / length * (codec["pressed"][j * width + k] if codec["pressed"] else 1.0)
    return [float(len(value)), float(len(words)), *out]


def load(path: Path) -> tuple[dict[str, str], list[Any]]:
    """Return LightGBM's text as its header and its trees, each a list of named lists."""
    head, *blocks = path.read_text("utf-8").split("\nTree=")
    trees = []
    for block in blocks:
        facts = dict(line.partition("=")[::2] for line in block.splitlines())
        names = ("split_feature", "threshold", "decision_type", "left_child", "right_child", "leaf_value")
        trees.append(
            [
                [float(x) if n in ("threshold", "leaf_value") else int(x) for x in facts.get(n, "").split()]
                for n in names
            ]
        )
    return dict(line.partition("=")[::2] for line in head.splitlines()), trees


def leaf(tree: Any, x: list[float]) -> float:
    """Return the value of the leaf that an encoded row falls into."""
    feature, threshold, kind, left, right, value = tree
    node = 0 if feature else -1
    while node >= 0:
        v, missing = x[feature[node]], kind[node] >> 2 & 3
        v = 0.0 if v != v and missing != 2 else v
        gone = (missing == 2 and v != v) or (missing == 1 and abs(v) <= 1e-35)
        node = left[node] if (kind[node] & 2 if gone else v <= threshold[node]) else right[node]
    return float(value[~node])


def booster(head: dict[str, str], trees: list[Any], x: list[float]) -> list[float]:
    """Return what one booster predicts: probabilities, or one value."""
    outputs = int(head["num_tree_per_iteration"])
    scores = [0.0] * outputs
    for number, tree in enumerate(trees):
        scores[number % outputs] += leaf(tree, x)
    if "average_output" in head:
        scores = [score / (len(trees) // outputs) for score in scores]
    name, *settings = head.get("objective", "").split(" ")
    if name == "multiclass":
        raised = [math.exp(score - max(scores)) for score in scores]
        scores = [one / sum(raised) for one in raised]
    elif name in ("binary", "cross_entropy"):
        slope = float(dict(s.partition(":")[::2] for s in settings).get("sigmoid", 1))
        scores = [1.0 / (1.0 + math.exp(-slope * scores[0]))]
    elif name in ("poisson", "gamma", "tweedie"):
        scores = [math.exp(scores[0])]
    return [1.0 - scores[0], scores[0]] if MODEL["contract"]["task"] == "binary" else scores


def predict(x: list[float]) -> list[float]:
    """Return what the members predict for an encoded row together: probabilities, or one value."""
    total = list[float]()
    for member in MODEL["members"]:
        said = booster(member["head"], member["trees"], x) if "file" in member else member["call"](member, x)
        said = [member["weight"] * n for n in said] if len(MODEL["members"]) > 1 else said
        total = [a + b for a, b in zip(total, said, strict=True)] if total else said
    return total


def answer(row: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to one row, as the service gives it."""
    total, task = predict(encode(row, MODEL["columns"])), MODEL["contract"]["task"]
    decision, classes = MODEL["decision"], MODEL["contract"]["classes"]
    if task == "ranking":
        return {"score": total[0]}
    if task == "anomaly":
        return {"prediction": "anomaly" if total[0] >= MODEL["limit"] else "normal", "score": total[0]}
    if not classes:
        interval = decision.get("interval")
        if not interval:
            return {"prediction": total[0]}
        scale = interpolate(total[0], interval["x"], interval["scale"])
        return {"prediction": total[0], "interval": {n: total[0] + interval[n] * scale for n in ("low", "high")}}
    total = calibrate(total, decision.get("calibration"))
    if decision.get("threshold") is not None:
        place = int(total[1] >= decision["threshold"])
    elif decision.get("costs") is not None:
        costs = [sum(p * line[j] for p, line in zip(total, decision["costs"], strict=True)) for j in range(len(total))]
        place = costs.index(min(costs))
    else:
        place = total.index(max(total))
    return {"prediction": classes[place], "probabilities": dict(zip(classes, total, strict=True))}


def rank(rows: list[dict[str, Any]], answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the answers with each row's place in its query, 1 for the highest score; of equal ones the first row's."""
    queries: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        queries.setdefault(str(row.get(MODEL["contract"]["query"])), []).append(number)
    for members in queries.values():
        for place, number in enumerate(sorted(members, key=lambda member: -answers[member]["score"])):
            answers[number]["rank"] = place + 1
    return answers


def calibrate(p: list[float], learned: Any) -> list[float]:
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


def interpolate(value: float, x: list[float], y: list[float]) -> float:
    """Return the height on straight lines between knots."""
    if len(x) == 1 or value <= x[0]:
        return y[0]
    at = min(sum(knot <= value for knot in x) - 1, len(x) - 2)
    return y[at] + (y[at + 1] - y[at]) * min(max((value - x[at]) / (x[at + 1] - x[at]), 0.0), 1.0)


for part in MODEL["members"]:  # trees, or numbers with the file that reads them
    if "file" in part:
        part["head"], part["trees"] = load(HERE / part["file"])
    else:
        part["call"] = run_path(str(HERE / part["code"]))["predict"]
if __name__ == "__main__":
    asked = json.load(sys.stdin)
    if MODEL["contract"]["task"] == "forecasting":  # rows are histories, answers the steps that follow
        said = run_path(str(HERE / "forecasts.py"))["answer"](asked, MODEL, encode, predict)
    else:
        said = [answer(row) for row in asked]
    json.dump(rank(asked, said) if MODEL["contract"]["task"] == "ranking" else said, sys.stdout)
