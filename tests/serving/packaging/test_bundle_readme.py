"""The README of a bundle."""

from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.contracts.responses import Golden
from mlnb.methods.tasks.task_traits import Task
from mlnb.serving.packaging.bundle_readme import make_readme

EXAMPLE = Golden(rows=[{"age": 1}], predictions=[{"prediction": "no"}])


def test_it_has_a_request_its_response_and_the_key_of_pseudonyms():
    contract = ProblemContract(task=Task.BINARY, target="survived", classes=("no", "yes"))
    text = make_readme("survived-classifier", contract, EXAMPLE, ["name"], "curl -s ADDRESS")
    assert "Predicts `survived`" in text and "curl -s ADDRESS" in text and '[{"prediction": "no"}]' in text
    assert "`name`" in text and "MLNB_PERSONAL_KEY" in text
    assert "MLNB_PERSONAL_KEY" not in make_readme("survived-classifier", contract, EXAMPLE, [], "curl")
