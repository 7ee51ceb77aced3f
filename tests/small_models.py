"""Small model folders of every task, as in a bundle, for tests of exports and deployments."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from small_fits import QUICK

from mlnb.codec import encode
from mlnb.methods.contracts.decisions import Beta, Decision, Isotonic, Sigmoid, Temperature, ValueInterval
from mlnb.methods.contracts.declarations import ColumnDeclaration
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.contracts.responses import Golden, to_wire
from mlnb.methods.decisions.decision_rules import write_decision
from mlnb.methods.encoding.custom_encoders import EncoderCode
from mlnb.methods.encoding.embedding_sources import FOLDER, EmbeddingSource, load_embedder
from mlnb.methods.encoding.table_encoder import Encoder
from mlnb.methods.models.fitted_models import Model, predict, save_model
from mlnb.methods.models.model_families import fit_model
from mlnb.methods.models.search_spaces import default_params
from mlnb.methods.tables.columns import Column, Schema, to_arrays
from mlnb.methods.tasks.responders import respond
from mlnb.methods.tasks.task_traits import Task

COLUMNS = (
    Column("age", "number", nullable=True, sentinels=(-999.0,)),
    Column("fare paid €", "number", nullable=True),
    Column("sex", "category", nullable=True, categories=("f", "m")),
    Column("town", "category", nullable=True, declared=ColumnDeclaration(missing=("nowhere",))),
    Column("ok", "boolean", nullable=True),
    Column("day", "date", nullable=True, sentinels=(-2208988800.0,)),
)
TEXT = Column("note", "text", nullable=True, declared=ColumnDeclaration(missing=("left blank",)))
DECISIONS = {
    "plain": Decision(),
    "sigmoid": Decision(calibration=Sigmoid(a=1.1, c=0.2), threshold=0.4),
    "beta": Decision(calibration=Beta(a=0.9, b=1.2, c=-0.1), costs=((0.0, 1.0), (5.0, 0.0))),
    "isotonic": Decision(calibration=Isotonic(x=(0.0, 0.3, 0.6, 1.0), y=(0.1, 0.1, 0.8, 0.9))),
    "temperature": Decision(calibration=Temperature(temperature=1.7)),
    "interval": Decision(interval=ValueInterval(low=-1.5, high=2.0, x=(0.0, 50.0, 100.0), scale=(1.0, 2.0, 8.0))),
}
CLASSES = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c")}
QUERY = Column("visit", "category", role="identifier")


def make_rows(count: int, seed: int = 7) -> list[dict[str, Any]]:
    """Return rows with missing values, also declared ones, unseen levels and dates before 1970."""
    rng = np.random.default_rng(seed)
    return [
        {
            "age": None if number % 11 == 0 else -999.0 if number % 23 == 0 else float(rng.integers(1, 80)),
            "fare paid €": None if number % 17 == 0 else round(float(rng.exponential(30)), 2),
            "sex": "NA" if number % 29 == 0 else None if number % 13 == 0 else str(rng.choice(["f", "m"])),
            "town": (f"town {rng.integers(40)}", "nowhere")[number % 31 == 30],
            "ok": None if number % 7 == 0 else bool(rng.integers(2)),
            "day": None if number % 19 == 0 else f"{rng.integers(1890, 2040)}-{rng.integers(1, 13):02}-28T13:45:06.5",
            "note": None if number % 5 == 0 else " ".join(rng.choice(["first", "Élan", "crew", "x²", "third"], 3)),
        }
        | ({"day": "1900-01-01", "note": " left blank"} if number % 37 == 21 else {})
        for number in range(count)
    ]


def make_model(
    folder: Path,
    family: str = "lightgbm",
    task: str = "binary",
    decision: str = "plain",
    text: bool = False,
    quantiles: bool = False,
    encoders: Mapping[str, EncoderCode] | None = None,
    embeddings: EmbeddingSource | None = None,
) -> Path:
    """Return the `model` folder of a bundle; the family "ensemble" is one of boosters, "mixed" has a linear member.

    "skewed" is from `fit_skewed`, and "poisson" its linear member.
    """
    columns = (*COLUMNS, *[TEXT] * text, *[QUERY] * (task == "ranking"))
    schema, names = Schema(columns, rows=400), {column.name for column in columns}
    rows = _choose(400, 7, names)
    arrays = to_arrays(rows, schema)
    fare = np.nan_to_num(arrays["fare paid €"]) + 20 * (arrays["sex"] == "f") + np.nan_to_num(arrays["age"]) / 9
    graded = np.digitize(fare, [15, 45])
    targets = {"binary": fare > 30, "multiclass": graded, "ranking": graded, "regression": 2.5 * fare}
    y = targets.get(task, np.zeros(400)).astype(int if task in CLASSES else float)
    classes = CLASSES.get(task)
    count = len(classes or ())
    encoder = Encoder.fit(arrays, schema, y, classes=count, encoders=encoders or {}, embeddings=embeddings)
    X = encoder.transform(arrays)
    families = {"ensemble": ["lightgbm", "random_forest"], "mixed": ["lightgbm", "linear"]}.get(family, [family])
    skewed = fit_skewed(X, y) if family in ("skewed", "poisson") else None
    members = [_fit(each, X, y, task, count, quantiles) for each in families] if skewed is None else []
    model = members[0] if skewed is None else skewed if family == "skewed" else skewed.native["members"][1]
    if len(members) > 1:
        model = Model("ensemble", task, count, X.shape[1], {"members": members, "weights": [0.7, 0.3]})
    contract = ProblemContract(task=Task(task), target="survived", classes=classes, contamination=0.2, query="visit")
    held_out = _choose(40, 8, names)
    held_out[3]["town"] = "a town that nobody saw"
    prediction = predict(model, encoder.transform(to_arrays(held_out, schema)))
    groups = np.arange(40) // 8 if task == "ranking" else None
    responses = respond(prediction, contract, DECISIONS[decision], groups)
    folder.mkdir(parents=True)
    write_decision(DECISIONS[decision], save_model(model, folder / "fitted"))
    (folder / "contract.json").write_bytes(encode(contract))
    (folder / "golden.json").write_bytes(encode(Golden(rows=held_out, predictions=to_wire(responses))))
    for name, value in {"schema": schema.to_json(), "encoder": encoder.to_json()}.items():
        (folder / f"{name}.json").write_text(json.dumps(value), "utf-8")
    if embeddings is not None:
        texts = [text for text in to_arrays(held_out, schema)["note"].tolist() if text is not None]
        load_embedder(embeddings).record(texts, folder / FOLDER)
    (folder / "version.txt").write_text("small:0123456789ab\n")
    return folder


def fit_skewed(X: np.ndarray, y: np.ndarray) -> Model:
    """Return an ensemble of regression models of a skewed target, one for each way to predict it."""
    members = [
        fit_model(family, default_params(family) | more, X, y, "regression", metric="rmse", threads=1)
        for family, more in (
            ("lightgbm", {"rounds": 20, "target_distribution": "tweedie"}),
            ("linear", {"target_distribution": "poisson"}),
            ("extra_trees", {"n_estimators": 20, "target_distribution": "log-normal", "smearing": 1.1}),
        )
    ]
    return Model("ensemble", "regression", 0, X.shape[1], {"members": members, "weights": [0.5, 0.3, 0.2]})


def _choose(count: int, seed: int, names: set[str]) -> list[dict[str, Any]]:
    """Return rows with the columns of these names; eight rows are of one visit."""
    rows = [{**row, "visit": f"visit {number // 8}"} for number, row in enumerate(make_rows(count, seed))]
    return [{name: value for name, value in row.items() if name in names} for row in rows]


def _fit(family: str, X: np.ndarray, y: np.ndarray, task: str, classes: int, quantiles: bool) -> Model:
    more = QUICK.get(family, {}) | ({"quantile_transform": True} if quantiles else {})
    groups = np.arange(len(X)) // 8 if task == "ranking" else None
    return fit_model(family, {**default_params(family), **more}, X, y, task, classes, threads=1, groups=groups)
