"""A table of 20 mixed columns, a scikit-learn pipeline and an mlnb bundle with the same LightGBM model family."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.contracts.responses import Golden, to_wire
from mlnb.methods.tasks.task_traits import Task

ROUNDS, LEAVES = 300, 31
WORDS = ["first", "second", "third", "crew", "cabin", "deck", "port", "stern"]
NUMBERS, CATEGORIES = [f"amount_{n}" for n in range(10)], [f"kind_{n}" for n in range(6)]


def make_rows(count: int, seed: int = 0) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        row: dict[str, Any] = {name: None if rng.random() < 0.05 else float(rng.normal()) for name in NUMBERS}
        row |= {name: str(rng.choice(list("abcdef"))) for name in CATEGORIES}
        row |= {"member": bool(rng.integers(2)), "renewed": bool(rng.integers(2))}
        row["day"] = f"2024-{rng.integers(1, 13):02}-{rng.integers(1, 29):02}"
        rows.append(row | {"note": " ".join(rng.choice(WORDS, 3))})
    return rows


def make_target(rows: list[dict[str, Any]], seed: int = 1) -> np.ndarray:
    values = np.array([[row[name] or 0.0 for name in NUMBERS[:3]] for row in rows])
    noise = np.random.default_rng(seed).normal(size=len(rows))
    return (values[:, 0] + values[:, 1] * values[:, 2] + noise > 0).astype(int)


def make_bundle_in(folder: Path, rows: list[dict[str, Any]], y: np.ndarray) -> Any:
    """Return the bundle of a LightGBM model, as stage `package` makes it."""
    from mlnb.engine.project import Project
    from mlnb.methods.encoding.table_encoder import Encoder
    from mlnb.methods.evaluation.fitted_pipeline import assemble_pipeline
    from mlnb.methods.evaluation.golden_rows import make_example
    from mlnb.methods.models.fitted_models import predict, save_model
    from mlnb.methods.models.model_families import fit_model
    from mlnb.methods.tables.columns import Column, Schema, to_arrays
    from mlnb.methods.tasks.responders import respond
    from mlnb.serving.packaging.bundles import find_service, make_bundle

    columns = [Column(name, "number") for name in NUMBERS]
    columns += [Column(name, "category", categories=tuple("abcdef")) for name in CATEGORIES]
    columns += [
        Column("member", "boolean"),
        Column("renewed", "boolean"),
        Column("day", "date"),
        Column("note", "text"),
    ]
    schema = Schema((*columns, Column("churned", "category", role="target")), len(rows))
    arrays = to_arrays(rows, schema)
    encoder = Encoder.fit(arrays, schema)
    X = encoder.transform(arrays)
    model = fit_model("lightgbm", {"rounds": ROUNDS, "num_leaves": LEAVES}, X, y, "binary", 2)
    contract = ProblemContract(task=Task.BINARY, target="churned", classes=("no", "yes"))
    golden = Golden(rows=rows[:100], predictions=to_wire(respond(predict(model, X[:100]), contract)))
    parts: dict[str, Any] = {"contract": contract, "schema": schema.to_json(), "encoder": encoder.to_json()}
    service = find_service("tabular", Project.find(Path(__file__).parent))
    fitted = save_model(model, folder / "fitted")
    example = make_example(assemble_pipeline(contract, parts["schema"], parts["encoder"], fitted), golden)
    parts |= {"golden": golden, "example": example}
    return make_bundle(folder / "bundle", service=service, name="churned", model=fitted, **parts)


def make_pipeline_in(folder: Path, rows: list[dict[str, Any]], y: np.ndarray) -> None:
    """Write what many services are made of: a pipeline over a DataFrame, stored by joblib."""
    import joblib
    import pandas as pd
    from lightgbm import LGBMClassifier
    from sklearn.compose import ColumnTransformer
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    frame = pd.DataFrame(rows).assign(day=lambda f: pd.to_datetime(f["day"]).astype("int64") / 86.4e12)
    numbers = Pipeline([("fill", SimpleImputer()), ("scale", StandardScaler())])
    prepare = ColumnTransformer(
        [
            ("numbers", numbers, [*NUMBERS, "day"]),
            ("flags", "passthrough", ["member", "renewed"]),
            ("categories", OneHotEncoder(handle_unknown="ignore"), CATEGORIES),
            ("words", CountVectorizer(), "note"),
        ]
    )
    model = LGBMClassifier(n_estimators=ROUNDS, num_leaves=LEAVES, verbose=-1, n_jobs=1)
    joblib.dump(Pipeline([("prepare", prepare), ("model", model)]).fit(frame, y), folder / "pipeline.joblib")


def make(folder: Path, count: int = 3000) -> Any:
    """Return the bundle; write rows, pipeline and bundle to the folder."""
    rows = make_rows(count)
    y = make_target(rows)
    make_pipeline_in(folder, rows, y)
    (folder / "rows.json").write_text(json.dumps(rows[:100]))
    return make_bundle_in(folder, rows, y)


def make_bento(folder: Path) -> tuple[Any, list[dict[str, Any]], Path]:
    """Return bundle, rows and bento of a model, all in the folder, which becomes the home of BentoML."""
    from mlnb.serving.packaging.bento_stores import build_bento

    os.environ["BENTOML_HOME"] = str(folder / "bentoml")
    bundle = make(folder)
    return bundle, json.loads((folder / "rows.json").read_text()), build_bento(bundle).path
