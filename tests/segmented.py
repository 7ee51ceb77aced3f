"""A small project with a model for each segment: three shared stages, and two that run for each of them."""

from pathlib import Path

import toys

ROWS = """\
import pandas as pd
from mlnb.methods.contracts.problems import ProblemContract
stores = ["Köln/Ost"] * 60 + ["New York"] * 60 + [None] * 5 + ["tiny"] * 9 + ["new york"] * 60 + ["same"] * 60
table = pd.DataFrame({"store": stores, "y": ["no", "yes"] * 97 + ["no"] * 60, "x": range(len(stores))})
stage.save("contract", ProblemContract(task="binary", target="y", classes=("no", "yes")))
stage.save("table", table)"""
SPLIT = """\
from mlnb.methods.training_data.segments import segment_rows
rows = segment_rows(stage.load("table"), each, segment)
if segment == fail:
    raise ValueError(f"{segment} is not to be learned")
stage.log(rows=len(rows))
stage.save("rows", rows)"""


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
                writes={"rows": "the rows of the segment"},
                parameters='each: str = ""\nsegment: str = ""\nfail: str = ""',
            ),
            "40_train": toys.stage(
                "train",
                'stage.save("model", [segment, threads, int(stage.load("rows").sum())])',
                reads=["rows"],
                writes={"model": "what was learned"},
                parameters='segment: str = ""\nthreads: int = 2',
            ),
        },
    )
