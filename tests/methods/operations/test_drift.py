"""Drift of single columns and of all columns together."""

import numpy as np
import pytest

from mlnb.codec import to_json
from mlnb.methods.metrics.column_drift import compare_column, compare_columns
from mlnb.methods.operations.joint_drift import domain_classifier


@pytest.fixture(scope="module")
def related():
    """Two columns that rise together, and the same two in opposite directions."""
    random = np.random.default_rng(0)
    first = random.normal(size=1500)
    together = np.stack([first, first + 0.3 * random.normal(size=1500)], axis=1)
    return together, np.stack([first, -first + 0.3 * random.normal(size=1500)], axis=1)[:900]


def test_a_changed_relation_of_columns_is_no_drift_of_one(related):
    before, after = ({"a": side[:, 0], "b": side[:, 1]} for side in related)
    assert not any(one.drifted for one in compare_columns(before, after, {"a": "number", "b": "number"}))


def test_a_classifier_finds_the_changed_relation_again_with_the_same_seed(related):
    joint = domain_classifier(*related, ("a", "b"))
    assert joint.drifted and joint.area > 0.8 and set(joint.columns) == {"a", "b"}
    assert joint == domain_classifier(*related, ("a", "b"))


def test_five_rows_are_too_few_for_a_classifier(related):
    with pytest.raises(ValueError, match="expected 30"):
        domain_classifier(related[0][:5], related[1])


def test_an_infinite_effect_has_no_number_in_json():
    one = compare_column("a", "number", np.zeros(100), np.ones(100))
    assert one.size == np.inf and to_json(one)["effect"] is None


def documents(kind, seed, count=80, words=200):
    """Texts of random words of one vocabulary."""
    random = np.random.default_rng(seed)
    texts = [" ".join(f"{kind}{i}" for i in random.zipf(1.3, words) % 3000) for _ in range(count)]
    return np.array(texts, dtype=object)


@pytest.mark.parametrize("words", [3, 200])
def test_new_words_of_a_text_are_drift_and_other_texts_of_the_same_kind_are_not(words):
    before, same, other = documents("a", 1, 200, words), documents("a", 2, words=words), documents("b", 3, words=words)
    (quiet,) = compare_columns({"t": before}, {"t": same}, {"t": "text"})
    (loud,) = compare_columns({"t": before}, {"t": other}, {"t": "text"})
    assert not quiet.drifted and loud.drifted and loud.size > 0.5


@pytest.mark.parametrize("text", ["\ud800", "\x00", "", "我爱编程", "x" * 1_000_000])
def test_odd_texts_are_compared(text):
    texts = np.array(["red wine", text] * 40, dtype=object)
    for sides in ((texts, texts[:60]), (texts, np.array([text] * 60, dtype=object))):
        assert 0.0 <= compare_column("t", "text", *sides).p <= 1.0
