"""`mlnb export --to text`: LightGBM's text or a model's numbers, the encoder as JSON, and a scorer for Python alone."""

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlnb.codec import to_json
from mlnb.errors import ServingError
from mlnb.methods.contracts.responses import Golden, series_field
from mlnb.methods.contracts.table_formats import MISSING_WORDS
from mlnb.methods.decisions.decision_rules import find_limit
from mlnb.methods.encoding.column_encoders import CategoryCodec
from mlnb.methods.encoding.custom_encoders import CustomCodec
from mlnb.methods.encoding.embedded_text import EmbeddedTextCodec
from mlnb.methods.encoding.scored_text import ScoredTextCodec
from mlnb.methods.encoding.table_encoder import Encoder
from mlnb.methods.encoding.text_ngrams import describe_splitting
from mlnb.methods.encoding.text_scores import MOST_COUNT
from mlnb.methods.models.fitted_models import Model, inner_model, is_booster
from mlnb.methods.models.skewed_targets import LogTransform
from mlnb.methods.series.forecast_windows import Windows, request_schema
from mlnb.methods.series.lag_features import CYCLES, MEMORIES
from mlnb.methods.tables.columns import Schema
from mlnb.methods.tasks.task_traits import traits_of
from mlnb.serving.edge.exports import ExportResult, custom_refusal, embedding_refusal, refuse_groups
from mlnb.serving.edge.lightgbm_text import read_booster
from mlnb.serving.edge.model_numbers import ModelNumbers, to_numbers
from mlnb.serving.runtime.model_parts import ModelParts, Row, read_record

PORTABLE = Path(__file__).with_name("portable")
TOLERANCE = 1e-12  # of a probability, and of a value relative to its size
WINDOWS = ("time", "target", "keys", "season", "horizon", "width", "least", "lags", "spans", "holidays", "sizes")
JsonObject = dict[str, object]


@dataclass(frozen=True)
class PortableMember:
    """One model of an exported model.

    Args:
        weight: of its predictions.
        text: LightGBM's text; None for a model that is numbers.
        numbers: None for trees.
        transform: what turns its logarithms into predictions; None: it predicts them.
    """

    weight: float
    text: str | None = None
    numbers: ModelNumbers | None = None
    transform: LogTransform | None = None

    def to_json(self, file: str) -> JsonObject:
        """Return what model.json has of it; `file` holds its text."""
        described = {"file": file} if self.numbers is None else dict(vars(self.numbers))
        inverse = {} if self.transform is None else {"transform": to_json(self.transform)}
        return {"weight": self.weight, **described, **inverse}


def export_text(folder: Path, out: Path) -> ExportResult:
    """Write and verify the files of a model.

    Args:
        folder: a bundle's folder `model`.
        out: folder for model.json, scorer.py and what they need.

    Returns:
        How the scorer compares with the notebook.

    Raises:
        UsageError: the model has no text form.
        ServingError: a golden row gets another prediction.
    """
    parts = ModelParts.load(folder)
    members = _split_members(parts.model)
    files = [f"model-{number}.txt" if len(members) > 1 else "model.txt" for number in range(len(members))]
    texts = {file: member.text for file, member in zip(files, members, strict=True) if member.text is not None}
    document = _describe(parts) | {"version": (folder / "version.txt").read_text("utf-8").strip()}
    document["members"] = [member.to_json(file) for file, member in zip(files, members, strict=True)]
    code = ["scorer.py", *sorted({member.numbers.code for member in members if member.numbers is not None})]
    if traits_of(parts.contract.task).unit == "history":
        code += ["forecasts.py", "series_models.py", "time_grid.py"]
    if holds_text(document):
        code.append("texts.py")
    out.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (out / name).write_text(text, "utf-8")
    compact = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    (out / "model.json").write_text(compact + "\n", "utf-8")
    for name in code:
        shutil.copyfile(PORTABLE / name, out / name)
    golden = read_record(Golden, folder / "golden.json")
    largest = verify_scorer(out, golden.rows, golden.predictions)
    size = sum((out / name).stat().st_size for name in ("model.json", *texts, *code))
    return ExportResult(len(golden.rows), largest, TOLERANCE, size)


def holds_text(document: JsonObject) -> bool:
    """Return whether a text is encoded somewhere in what `_describe` returned."""
    if isinstance(document.get("code"), str):
        return document["code"] in ("text", "scored text")
    lists = [value if isinstance(value, list) else [value] for value in document.values()]
    return any(isinstance(value, dict) and holds_text(value) for values in lists for value in values)


def verify_scorer(out: Path, rows: Sequence[Row], expected: Sequence[Row]) -> float:
    """Return the largest difference between the scorer's responses, in a Python without packages, and the notebook's.

    Args:
        out: the exported folder.
        rows: golden rows.
        expected: the notebook's predictions for them.

    Raises:
        ServingError: the scorer fails, or a row differs by more than `TOLERANCE`.
    """
    command = [sys.executable, "-I", "-S", "-B", str(out / "scorer.py")]
    done = subprocess.run(command, input=json.dumps(rows), capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServingError(f"The exported scorer failed:\n{done.stderr[-1500:]}")
    responses, largest = json.loads(done.stdout), 0.0
    if len(responses) != len(expected):
        raise ServingError(f"Found {len(responses)} responses of the exported scorer, expected {len(expected)}.")
    for number, (scored, response) in enumerate(zip(responses, expected, strict=True)):
        difference = _difference(dict(_flatten(scored)), dict(_flatten(response)))
        if not difference <= TOLERANCE:  # NaN is not either
            raise ServingError(f"Row {number}: found {scored} from the exported scorer, expected {response}.")
        largest = max(largest, difference)
    return largest


def _difference(scored: Mapping[str, object], expected: Mapping[str, object]) -> float:
    """Return the largest difference of numbers relative to their size; infinity where anything else differs."""
    if scored.keys() != expected.keys():
        return math.inf
    largest = 0.0
    for name, value in expected.items():
        other = scored[name]
        if not isinstance(value, float):
            largest = largest if value == other else math.inf
        elif not isinstance(other, int | float) or math.isnan(other):
            return math.inf
        else:
            largest = max(largest, abs(other - value) / max(1.0, abs(value)))
    return largest


def _flatten(response: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield every value of a response with its path."""
    for name, value in response.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}\0")
        else:
            yield prefix + name, value


def _split_members(model: Model) -> list[PortableMember]:
    """Return the members of an ensemble, or the model as the only one."""
    members, weights = [model], [1.0]
    if isinstance(model.native, dict) and "members" in model.native:
        members, weights = list(model.native["members"]), [float(w) for w in model.native["weights"]]
    described = list[PortableMember]()
    for each, weight in zip(members, weights, strict=True):
        member = inner_model(each)
        transform = None if member is each else each.native["transform"]
        if is_booster(member):
            text = member.native.model_to_string()
            read_booster(text)  # refuses what the scorer does not support
            described.append(PortableMember(weight, text=text, transform=transform))
        else:
            described.append(PortableMember(weight, numbers=to_numbers(member), transform=transform))
    return described


def _describe(parts: ModelParts) -> JsonObject:
    """Return what the scorer needs besides the models: contract, decision and encoder."""
    refuse_groups(parts.decision, "Python alone")
    contract = parts.contract
    fields = ("task", "target", "classes", "query")
    document: JsonObject = {
        "contract": {name: getattr(contract, name) for name in fields},
        "decision": to_json(parts.decision),
        "missing": sorted(MISSING_WORDS),
    }
    if traits_of(contract.task).unit == "history":
        windows = Windows.from_json(parts.encoder)
        return document | {"windows": _describe_windows(windows, request_schema(parts.schema, contract))}
    document["columns"] = _describe_columns(Encoder.from_json(parts.encoder), parts.schema)
    if traits_of(contract.task).response == "alert":
        document["limit"] = find_limit(contract, parts.decision)
    return document


def _describe_windows(windows: Windows, schema: Schema) -> JsonObject:
    """Return what the scorer needs of the windows; powers as numpy computes them, for the same bits."""
    described: JsonObject = {name: windows.learned[name] for name in WINDOWS}
    for name, columns in (("ahead", windows.ahead), ("behind", windows.behind)):
        described[name] = [] if columns is None else _describe_columns(columns, schema)
    described["memories"] = [((1.0 - memory) ** np.arange(windows.width)).tolist() for memory in MEMORIES]
    described |= {"local_models": list(windows.local), "reach": windows.reach}
    described["sentinels"] = list(schema.column(windows.target).sentinels)
    described |= {"fields": list(map(series_field, windows.keys)), "local": schema.column(windows.time).local}
    described |= {"cycles": CYCLES, "missing": sorted(MISSING_WORDS), "frequency": windows.frequency.to_json()}
    return described


def _describe_columns(encoder: Encoder, schema: Schema) -> list[JsonObject]:
    """Return what the scorer needs of each column: a finished table of a category, the other codecs as learned."""
    described = list[JsonObject]()
    for codec, fields in zip(encoder.codecs, encoder.to_json()["columns"], strict=True):
        if isinstance(codec, CustomCodec):
            raise custom_refusal(codec, "Python alone")
        if isinstance(codec, EmbeddedTextCodec):
            raise embedding_refusal(codec, "Python alone")
        column: JsonObject = {**fields, "width": len(codec.names)}
        if isinstance(codec, CategoryCodec):
            column = {name: fields[name] for name in ("column", "code", "missing", "categories", "unseen")}
            column |= _tabulate(codec, schema.column(codec.column).missing_words)
        elif isinstance(codec, ScoredTextCodec):
            column |= describe_splitting() | {"most": MOST_COUNT}
        named = schema.column(codec.column)
        words = list(named.missing_words)
        column |= {"sentinels": list(named.sentinels), "missing_words": words, "local": named.local}
        described.append(column)
    return described


def _tabulate(codec: CategoryCodec, missing: tuple[str, ...]) -> JsonObject:
    """Return the encoded numbers of each category, of an unseen one and of a missing one, and their index."""
    table = np.empty((len(codec.categories) + 2, len(codec.names)))
    codec.fill(np.array([*codec.categories, "\0", None], dtype=object), table)
    if codec.unseen == "missing":
        table[-2] = table[-1]
    index = {level: number for number, level in enumerate(codec.categories)}
    return {"table": table.tolist(), "index": index | dict.fromkeys(missing, len(codec.categories) + 1)}
