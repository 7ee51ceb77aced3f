"""`--to text`: LightGBM's own text, the encoder as JSON, and a scorer that needs Python alone."""

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from mlnb.errors import ServingError, UsageError
from mlnb.methods.codecs import CategoryCodec
from mlnb.methods.encoders import Encoder
from mlnb.methods.models import Model, is_booster
from mlnb.methods.values import MISSING_WORDS
from mlnb.serving.edge.boosters import read_booster
from mlnb.serving.edge.refusals import refuse_task
from mlnb.serving.parts import Parts, read_json

SCORER = Path(__file__).with_name("scorer.py")
TASKS = ("binary", "multiclass", "regression", "ranking")
TOLERANCE = 1e-12  # of a probability, and of a value relative to its size


def export_text(folder: Path, out: Path) -> dict[str, Any]:
    """Return what was verified of the files written to the folder `out`.

    Raises `UsageError` for a model that is no trees, `ServingError` when a golden row comes out differently.
    """
    parts = Parts.load(folder)
    if parts.contract["task"] not in TASKS:
        raise UsageError(refuse_task(parts.contract["task"], TASKS))
    members, weights = _members(parts.model)
    texts = [member.native.model_to_string() for member in members]
    for text in texts:
        read_booster(text)  # refuses what the scorer does not know
    names = ["model.txt"] if len(texts) == 1 else [f"model-{number}.txt" for number in range(len(texts))]
    encoder = Encoder.from_json(parts.encoder)
    told = zip(encoder.codecs, parts.encoder["columns"], parts.schema.features, strict=True)
    columns = [{**_describe(codec, fields), "sentinels": list(column.sentinels)} for codec, fields, column in told]
    about = {
        "version": (folder / "version.txt").read_text("utf-8").strip(),
        "contract": {name: parts.contract.get(name) for name in ("task", "target", "classes", "query")},
        "decision": parts.decision,
        "encoder": {"columns": columns},
        "missing": sorted(MISSING_WORDS),
        "boosters": names,
        "weights": weights,
    }
    out.mkdir(parents=True, exist_ok=True)
    for name, text in zip(names, texts, strict=True):
        (out / name).write_text(text, "utf-8")
    (out / "model.json").write_text(json.dumps(about, sort_keys=True, indent=1, ensure_ascii=False) + "\n", "utf-8")
    shutil.copyfile(SCORER, out / "scorer.py")
    golden = read_json(folder / "golden.json")
    worst = verify(out, golden["rows"], golden["predictions"])
    size = sum(file.stat().st_size for file in out.iterdir() if file.is_file())
    return {"rows": len(golden["rows"]), "largest_difference": worst, "tolerance": TOLERANCE, "bytes": size}


def verify(out: Path, rows: list[dict[str, Any]], expected: list[dict[str, Any]]) -> float:
    """Return the largest difference between the scorer's answers, in a Python without packages, and the notebook's."""
    command = [sys.executable, "-I", "-S", "-B", str(out / "scorer.py")]
    done = subprocess.run(command, input=json.dumps(rows), capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServingError(f"The exported scorer failed:\n{done.stderr[-1500:]}")
    worst = 0.0
    for number, (found, answer) in enumerate(zip(json.loads(done.stdout), expected, strict=True)):
        one, other = _numbers(found), _numbers(answer)
        far = max((abs(a - b) / max(1.0, abs(b)) for a, b in zip(one, other, strict=True)), default=0.0)
        said = [each.get("prediction", each.get("rank")) for each in (found, answer)]
        same = said[0] == said[1] or isinstance(said[1], float)
        if not same or not far <= TOLERANCE or any(map(math.isnan, one)):
            raise ServingError(f"Row {number}: the exported scorer says {found}, the notebook {answer}.")
        worst = max(worst, far)
    return worst


def _numbers(answer: dict[str, Any]) -> list[float]:
    """Return all numbers of an answer, in order."""
    inner = answer.get("probabilities") or answer.get("interval") or {}
    own = [answer[name] for name in ("prediction", "score") if isinstance(answer.get(name), float)]
    return [*own, *inner.values()]


def _members(model: Model) -> tuple[list[Model], list[float]]:
    """Return the boosters of a model and their weights; UsageError when it is none, or not of these alone."""
    members = [model] if is_booster(model) else []
    weights = [1.0]
    if isinstance(model.native, dict) and "members" in model.native:
        members, weights = list(model.native["members"]), [float(w) for w in model.native["weights"]]
    if not members or not all(map(is_booster, members)):
        families = ", ".join(sorted({member.family for member in members} or {model.family}))
        raise UsageError(
            f"A model of the family {families} is not made of trees alone, so LightGBM has no text for it. "
            "Export with --to onnx, or train trees: mlnb run -p tune.families '[lightgbm]'"
        )
    return members, weights


def _describe(codec: Any, fields: dict[str, Any]) -> dict[str, Any]:
    """Return what the scorer needs of a column: categories as a finished table, the rest as learned."""
    if isinstance(codec, CategoryCodec):
        table = np.empty((len(codec.levels) + 2, len(codec.names)))
        codec.fill(np.array([*codec.levels, "\0", None], dtype=object), table)
        if codec.unseen == "missing":
            table[-2] = table[-1]
        index = {level: place for place, level in enumerate(codec.levels)}
        kept = {name: fields[name] for name in ("column", "code", "missing", "levels", "unseen")}
        return kept | {"table": table.tolist(), "index": index}
    return {**fields, "width": len(codec.names)}
