"""A small project with a model for each segment: three shared stages, and two that run for each of them."""

from pathlib import Path

import toys

ROWS = """\
import pandas as pd
from mlnb.methods.contracts.problems import ProblemContract
stores = ["Köln/Ost"] * 60 + ["New York"] * 60 + [None] * 5 + ["tiny"] * 9 + ["new york"] * 60 + ["same"] * 60
table = pd.DataFrame({"store": stores, "y": ["no", "yes"] * 97 + ["no"] * 60, "x": range(len(stores))})
how = {"metric": "roc_auc", "direction": "maximize"}
stage.save("contract", ProblemContract(task="binary", target="y", classes=("no", "yes"), **how))
stage.save("table", table)"""
SPLIT = """\
import numpy as np
from mlnb.methods.training_data.segments import segment_rows
table = stage.load("table")
names = [segment] if segment else table["store"].dropna().unique()
rows = np.sort(np.concatenate([segment_rows(table, each, name) for name in names]))
test = np.sort(np.concatenate([segment_rows(table, each, name)[:40] for name in names]))
if fail and segment == fail:
    raise ValueError(f"{segment} is not to be learned")
stage.log(rows=len(rows))
stage.save("rows", rows)
stage.save("test_rows", test)"""
TRAIN = """\
rows, table = stage.load("test_rows"), stage.load("table")
yes = (table["y"].to_numpy()[rows] == "yes") * (0.9 if segment else 0.0)
predictions = pd.DataFrame({"truth": table["y"].to_numpy()[rows], "p no": 1 - yes, "p yes": yes})
stage.save("predictions", predictions.assign(prediction="no"))
stage.save("model", [segment, threads, int(stage.load("rows").sum())])"""


def project(root: Path) -> Path:
    """Write the project; `split.fail` names the segment whose run fails."""
    return toys.project(
        root,
        {
            "10_validate": toys.stage(
                "validate", ROWS, writes={"contract": "what is predicted", "table": "rows"}, parameters='data: str = ""'
            ),
            "30_split": toys.stage(
                "split",
                SPLIT,
                reads=["table"],
                writes={"rows": "the rows of the segment", "test_rows": "its first rows"},
                parameters='each: str = ""\nsegment: str = ""\nfail: str = ""',
            ),
            "40_train": toys.stage(
                "train",
                TRAIN,
                reads=["rows", "test_rows", "table"],
                writes={"model": "what was learned", "predictions": "of the test rows"},
                parameters='segment: str = ""\nthreads: int = 2',
                functions="import pandas as pd",
            ),
        },
    )
