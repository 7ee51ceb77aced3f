"""The usual recipe: a FastAPI handler, a typed row, a DataFrame, and a joblib pickle of a scikit-learn pipeline."""

import os
from pathlib import Path

import joblib
import pandas as pd
from fastapi import FastAPI
from pydantic import create_model

from peers.material import CATEGORIES, NUMBERS

FIELDS: dict = dict.fromkeys(NUMBERS, (float | None, None)) | dict.fromkeys(CATEGORIES, (str | None, None))
Row = create_model("Row", member=(bool, ...), renewed=(bool, ...), day=(str, ...), note=(str, ...), **FIELDS)
pipeline = joblib.load(Path(os.environ["PEERS"]) / "pipeline.joblib")
app = FastAPI()


def predict_rows(rows: list[dict]) -> list[dict]:
    frame = pd.DataFrame(rows).astype(dict.fromkeys(NUMBERS, float))
    frame["day"] = pd.to_datetime(frame["day"]).astype("int64") / 86.4e12
    return [{"prediction": "yes" if p > 0.5 else "no", "probability": p} for p in pipeline.predict_proba(frame)[:, 1]]


@app.post("/predict")
def predict(rows: list[Row]) -> list[dict]:
    return predict_rows([row.model_dump() for row in rows])
