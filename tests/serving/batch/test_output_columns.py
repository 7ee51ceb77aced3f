"""The table of predictions: names, types, and which columns may have missing values."""

import numpy as np
import pyarrow as pa

from mlnb.methods.tasks.responders import ResponseColumns
from mlnb.serving.batch.output_columns import make_output, name_retained


def test_repeated_columns_never_have_the_name_of_an_output_column():
    created = ("prediction", "row", "file")
    assert name_retained(("customer",), created) == {"customer": "customer"}
    assert name_retained(("row", "prediction"), created) == {"row": "input row", "prediction": "input prediction"}
    names = name_retained(("row", "input row", "row"), created)
    assert names == {"row": "input input row", "input row": "input row"}
    assert len({*names.values(), *created}) == len(names) + len(created)


def test_only_repeated_columns_may_have_missing_values() -> None:
    values = ResponseColumns(values=np.array([1.5, 2.5]), bounds=np.array([[1.0, 2.0], [2.0, 3.0]]))
    table = make_output(np.array([4, 7]), values, {"low": pa.chunked_array([[None, 1]])})
    assert table.column_names == ["row", "input low", "prediction", "low", "high"]
    assert [field.nullable for field in table.schema] == [False, True, False, False, False]
    assert table.slice(0, 1).to_pylist() == [{"row": 4, "input low": None, "prediction": 1.5, "low": 1.0, "high": 2.0}]


def test_classes_are_codes_and_probabilities_by_class() -> None:
    p = np.array([[0.25, 0.75], [0.5, 0.5]])
    classes = ResponseColumns(labels=np.array([1, 0]), names=("no", "yes"), probabilities=p)
    table = make_output(np.arange(2), classes, {})
    assert pa.types.is_dictionary(table.schema.field("prediction").type)
    assert table.to_pydict() == {
        "row": [0, 1],
        "prediction": ["yes", "no"],
        "probability no": [0.25, 0.5],
        "probability yes": [0.75, 0.5],
    }
