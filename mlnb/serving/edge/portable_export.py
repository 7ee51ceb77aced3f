"""`--to text`: LightGBM's own text or a family's numbers, the encoder as JSON, and a scorer that needs Python alone."""

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mlnb.codec import to_json
from mlnb.errors import ServingError
from mlnb.methods.contracts.responses import Golden
from mlnb.methods.decisions.decisions import find_limit
from mlnb.methods.encoding.column_encoders import CategoryCodec
from mlnb.methods.encoding.table_encoder import Encoder
from mlnb.methods.models.fitted_models import Model, is_booster
from mlnb.methods.series.forecast_windows import Windows, request_schema
from mlnb.methods.series.lag_features import CYCLES, MEMORIES
from mlnb.methods.tables.columns import Schema
from mlnb.methods.tables.values import MISSING_WORDS
from mlnb.serving.edge.lightgbm_text import read_booster
from mlnb.serving.edge.model_numbers import write_member
from mlnb.serving.runtime.service_parts import Parts, read_record

PORTABLE = Path(__file__).with_name("portable")
TOLERANCE = 1e-12  # of a probability, and of a value relative to its size
WINDOWS = ("time", "target", "keys", "season", "horizon", "width", "least", "lags", "spans", "holidays", "sizes")


def export_text(folder: Path, out: Path) -> dict[str, Any]:
    """Return what was verified of the files written to the folder `out`.

    Raises `UsageError` for a family of one's own, `ServingError` when a golden row comes out differently.
    """
    parts = Parts.load(folder)
    contract, code = parts.contract, ["scorer.py"]
    about: dict[str, Any] = {
        "version": (folder / "version.txt").read_text("utf-8").strip(),
        "contract": {name: getattr(contract, name) for name in ("task", "target", "classes", "query")},
        "decision": to_json(parts.decision),
        "missing": sorted(MISSING_WORDS),
    }
    if contract.task == "forecasting":
        encoder = Windows.from_json(parts.encoder)
        about["windows"] = _windows(encoder, request_schema(parts.schema, contract))
        code.append("forecasts.py")
    else:
        about["columns"] = _columns(Encoder.from_json(parts.encoder), parts.schema)
    if contract.task == "anomaly":
        about["limit"] = find_limit(contract, parts.decision)
    about["members"], texts = _members(parts.model)
    code += sorted({member["code"] for member in about["members"] if "code" in member})
    out.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (out / name).write_text(text, "utf-8")
    compact = json.dumps(about, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    (out / "model.json").write_text(compact + "\n", "utf-8")
    for name in code:
        shutil.copyfile(PORTABLE / name, out / name)
    golden = read_record(Golden, folder / "golden.json")
    worst = verify(out, golden.rows, golden.predictions)
    size = sum((out / name).stat().st_size for name in ("model.json", *texts, *code))
    return {"rows": len(golden.rows), "largest_difference": worst, "tolerance": TOLERANCE, "bytes": size}


def verify(out: Path, rows: list[dict[str, Any]], expected: list[dict[str, Any]]) -> float:
    """Return the largest difference between the scorer's answers, in a Python without packages, and the notebook's."""
    command = [sys.executable, "-I", "-S", "-B", str(out / "scorer.py")]
    done = subprocess.run(command, input=json.dumps(rows), capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServingError(f"The exported scorer failed:\n{done.stderr[-1500:]}")
    said, worst = json.loads(done.stdout), 0.0
    if len(said) != len(expected):
        raise ServingError(f"The exported scorer gives {len(said)} answers, the notebook {len(expected)}.")
    for number, (found, answer) in enumerate(zip(said, expected, strict=True)):
        one, other = dict(_leaves(found)), dict(_leaves(answer))
        numbers = [name for name, value in other.items() if isinstance(value, float)]
        same = one.keys() == other.keys() and all(one[name] == other[name] for name in other.keys() - {*numbers})
        far = [abs(one[name] - other[name]) / max(1.0, abs(other[name])) for name in numbers] if same else [math.inf]
        if not all(each <= TOLERANCE for each in far):  # nor is it when one is NaN
            raise ServingError(f"Row {number}: the exported scorer says {found}, the notebook {answer}.")
        worst = max(worst, *far)
    return worst


def _leaves(answer: dict[str, Any], within: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Give every value of an answer by the names that lead to it."""
    for name, value in answer.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*within, name))
        else:
            yield (*within, name), value


def _members(model: Model) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return what a model is made of, and LightGBM's texts by the name of their file."""
    members, weights = [model], [1.0]
    if isinstance(model.native, dict) and "members" in model.native:
        members, weights = list(model.native["members"]), [float(w) for w in model.native["weights"]]
    described, texts = [], dict[str, str]()
    for number, (member, weight) in enumerate(zip(members, weights, strict=True)):
        if is_booster(member):
            name = "model.txt" if len(members) == 1 else f"model-{number}.txt"
            texts[name] = member.native.model_to_string()
            read_booster(texts[name])  # refuses what the scorer does not know
            about = {"file": name}
        else:
            about = write_member(member)
        described.append(about | {"weight": weight})
    return described, texts


def _windows(encoder: Windows, asked: Schema) -> dict[str, Any]:
    """Return what the scorer needs of the windows; weights as numpy raises them, for the same bits."""
    facts = {name: encoder.facts[name] for name in WINDOWS}
    for name, columns in (("ahead", encoder.ahead), ("behind", encoder.behind)):
        facts[name] = [] if columns is None else _columns(columns, asked)
    memories = [((1.0 - memory) ** np.arange(encoder.width)).tolist() for memory in MEMORIES]
    sentinels = list(asked.column(encoder.target).sentinels)
    more = {"cycles": CYCLES, "memories": memories, "missing": sorted(MISSING_WORDS), "sentinels": sentinels}
    return facts | more | {"frequency": encoder.frequency.to_json()}


def _columns(encoder: Encoder, schema: Schema) -> list[dict[str, Any]]:
    """Return what the scorer needs of each column."""
    out = [_describe(codec, told) for codec, told in zip(encoder.codecs, encoder.to_json()["columns"], strict=True)]
    return [about | {"sentinels": list(schema.column(about["column"]).sentinels)} for about in out]


def _describe(codec: Any, fields: dict[str, Any]) -> dict[str, Any]:
    """Return what the scorer needs of a codec: categories as a finished table, the rest as learned."""
    if isinstance(codec, CategoryCodec):
        table = np.empty((len(codec.levels) + 2, len(codec.names)))
        codec.fill(np.array([*codec.levels, "\0", None], dtype=object), table)
        if codec.unseen == "missing":
            table[-2] = table[-1]
        index = {level: place for place, level in enumerate(codec.levels)}
        kept = {name: fields[name] for name in ("column", "code", "missing", "levels", "unseen")}
        return kept | {"table": table.tolist(), "index": index}
    return {**fields, "width": len(codec.names)}
