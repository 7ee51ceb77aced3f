"""The README of a bundle."""

from small_recommenders import make_log

from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.contracts.responses import Golden
from mlnb.methods.recommendation.candidate_generation import fit_recommender
from mlnb.methods.recommendation.interaction_logs import read_log
from mlnb.methods.tasks.task_traits import Task
from mlnb.serving.packaging.bundle_readme import make_readme

EXAMPLE = Golden(rows=[{"age": 1}], predictions=[{"prediction": "no"}])


def test_it_has_a_request_its_response_and_the_key_of_pseudonyms(tmp_path):
    contract = ProblemContract(task=Task.BINARY, target="survived", classes=("no", "yes"))
    text = make_readme("survived-classifier", contract, EXAMPLE, ["name"], "curl -s ADDRESS", tmp_path / "none")
    assert "Predicts `survived`" in text and "curl -s ADDRESS" in text and '[{"prediction": "no"}]' in text
    assert "`name`" in text and "MLNB_PERSONAL_KEY" in text
    assert "MLNB_PERSONAL_KEY" not in make_readme(
        "survived-classifier", contract, EXAMPLE, [], "curl", tmp_path / "none"
    )


def test_recommendations_are_described_with_their_memory_and_personal_data(tmp_path):
    folder = fit_recommender(read_log(make_log(), "customer", "product")).save(tmp_path / "recommender")
    contract = ProblemContract(task=Task.RANKING, target="relevance")
    text = make_readme("products", contract, EXAMPLE, [], "curl", folder)
    assert "POST /recommend" in text and "30 users, 20 items" in text and "0.1 MB" in text
    assert "which user took which items; users (the column `customer`) have\nthe names of the log" in text
