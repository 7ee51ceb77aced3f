"""A person of the data is not in what a bundle publishes: README, example request, API documentation, banner."""

import json
import re

from example_run import Example

from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.tables.columns import Schema
from mlnb.serving.packaging.bundles import Bundle, curl
from mlnb.serving.runtime.response_schemas import describe_responses, describe_rows


def test_no_test_row_is_published(example: Example, tmp_path) -> None:
    """Every fare is unique, as an unusual number of a person is; each person has a name."""
    run = example.make_run(example.make_project(tmp_path), reused=())
    bundle, table = Bundle.read(run.load("service")), run.load("table")
    schema, public = Schema.from_json(run.load("schema")), bundle.read_example()
    described = [
        describe_rows(schema, public.rows),
        describe_responses(run.load("contract", ProblemContract), public.predictions),
    ]
    published = "\n".join(
        [
            (bundle.folder / "README.md").read_text(),
            (bundle.folder / "model" / "example.json").read_text(),
            json.dumps(described),
            curl(public),
            *(cell.read_text() for cell in (run.folder / "notebooks").glob("80_package.*")),
        ]
    )
    numbers = set(re.findall(r"\d+\.\d+", published))
    fares = {f"{fare:.2f}" for fare in run.load("test")["fare"] if fare > 10}
    assert len(fares) > 30 and not numbers & fares
    assert not re.search(r"passenger \d", published + (bundle.folder / "model" / "schema.json").read_text())
    (row,) = public.rows
    equal = sum(
        all(values[name] == value or value is None for name, value in row.items())
        for values in table[[column.name for column in schema.features]].to_dict("records")
    )
    assert equal == 0 or equal >= 5
    assert json.dumps(row["fare"]) in (bundle.folder / "README.md").read_text()


def test_a_bundle_of_an_earlier_version_has_no_example(material, tmp_path) -> None:
    bundle = material().bundle(tmp_path / "service")
    (bundle.folder / "model" / "example.json").unlink()
    assert bundle.read_example().rows == []
