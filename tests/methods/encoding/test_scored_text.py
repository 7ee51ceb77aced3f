"""Scored texts: one row and a batch get the same bits for any text, scores of training rows are honest, and help."""

import json
import timeit

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlnb.methods.encoding.row_encoder import compile_row
from mlnb.methods.encoding.scored_text import ScoredTextCodec
from mlnb.methods.encoding.table_encoder import Encoder
from mlnb.methods.encoding.text_ngrams import READ
from mlnb.methods.encoding.text_scores import MOST_CLASSES
from mlnb.methods.tables.columns import Column, Schema, check_rows, to_arrays

SCHEMA = Schema((Column("note", "text", nullable=True),))
MIXED = ["red wine", "Größe ¼ x²", "我爱 Python编程", "ภาษาไทย สวย", "हिन्दी में लिखा", "שָׁלוֹם", "a\x00b", "😀 ok", "ﷺ"]
texts = st.none() | st.text(max_size=40) | st.lists(st.sampled_from(MIXED), max_size=5).map(" ".join)
ODD = ["", " ", "\x00", "word", "?!", "\ud800 x", "x" * 1_000_000, "word " * 200_000, "我爱编程" * 250_000, *MIXED]


def as_objects(values):
    return np.array(values, dtype=object)


def fit(values, y, classes, **options):
    return Encoder.fit({"note": as_objects(values)}, SCHEMA, np.asarray(y), classes=classes, **options)


def opinions(count, seed, words=40):
    """Texts whose words depend weakly on a class, and the classes."""
    random = np.random.default_rng(seed)
    names = [f"w{number}" for number in range(1500)]
    base = 1.0 / np.arange(2, 1502)
    lift = np.random.default_rng(99).normal(0, 0.6, 1500)
    y = random.integers(0, 2, count)
    chances = [base * np.exp(sign * lift) for sign in (-1, 1)]
    return [" ".join(random.choice(names, words, p=chances[one] / chances[one].sum())) for one in y], y


@settings(max_examples=60)
@given(st.lists(texts, min_size=4, max_size=8), st.lists(texts, min_size=1, max_size=4), st.sampled_from([0, 2, 3]))
def test_a_row_has_the_bits_of_the_batch(learned, rows, classes):
    encoder = fit([*learned, *MIXED, *MIXED], np.arange(len(learned) + 18) % max(classes, 2), classes)
    assert isinstance(encoder.codecs[0], ScoredTextCodec)
    again = Encoder.from_json(json.loads(json.dumps(encoder.to_json())))
    encode, batch = compile_row(SCHEMA, again), [{"note": text} for text in rows]
    matrix = encoder.transform(to_arrays(batch, SCHEMA))
    for row, numbers in zip(batch, matrix, strict=True):
        assert encode(row).tobytes() == numbers.tobytes()


@settings(max_examples=60)
@given(texts.filter(bool), st.sampled_from([0, 2]))
def test_contributions_of_words_sum_to_the_score(text, classes):
    codec = fit([*MIXED, text] * 3, np.arange(30) % 2, classes).codecs[0]
    out = np.zeros(3)
    codec.write(text, out)
    assert sum(codec.explain(text, 0).values()) + codec.intercepts[0] == pytest.approx(out[2], abs=1e-9)


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_an_odd_text_is_encoded_in_both_paths(text):
    encoder = fit([*MIXED, text] * 3, np.arange(30) % 2, 2)
    row = {"note": text}
    assert not check_rows([row], SCHEMA)
    alone, batch = compile_row(SCHEMA, encoder)(row), encoder.transform(to_arrays([row], SCHEMA))
    assert alone.tobytes() == batch[0].tobytes() and len(encoder.codecs[0].explain(text, 0)) <= READ


@pytest.mark.parametrize("values", [["same words here"] * 12, [None] * 12, ["", " "] * 6, ["?!"] * 12, ["one"] * 12])
@pytest.mark.parametrize("classes", [0, 2])
def test_columns_without_information_are_encoded(values, classes):
    y = np.arange(12) % 2
    encoder = fit(values, y, classes)
    learned = encoder.transform_training({"note": as_objects(values)}, y)
    assert learned.shape == (12, len(encoder.names)) and not np.isinf(learned).any()
    other = compile_row(SCHEMA, encoder)({"note": "another text"})
    assert other is not None and np.isfinite(other).all()


def test_a_target_that_cannot_be_scored_leaves_words():
    values = ["red wine", "white wine"] * 60
    for y, classes in [(np.zeros(120), 0), (np.ones(120, dtype=int), 2), (np.arange(120), MOST_CLASSES + 20)]:
        assert fit(values, y, classes).codecs[0].code == "text"
    assert fit(values, np.arange(120) % 2, 2, text_scores=False).codecs[0].code == "text"
    assert Encoder.fit({"note": as_objects(values)}, SCHEMA).codecs[0].code == "text"


def test_scores_of_training_rows_are_as_good_as_those_of_new_rows():
    values, y = opinions(900, 1)
    encoder = fit(values[:600], y[:600], 2)
    learned = encoder.transform_training({"note": as_objects(values[:600])}, y[:600])[:, 2]
    new = encoder.transform({"note": as_objects(values[600:])})[:, 2]
    shares = [np.mean((scores > 0) == classes) for scores, classes in ((learned, y[:600]), (new, y[600:]))]
    assert shares[1] > 0.8 and abs(shares[0] - shares[1]) < 0.06


def test_text_and_a_number_beat_either_alone():
    values, y = opinions(900, 2, words=6)
    number = np.where(y == 1, 0.6, -0.6) + np.random.default_rng(3).normal(0, 1, 900)
    encoder = fit(values[:600], y[:600], 2)
    score = encoder.transform({"note": as_objects(values[600:])})[:, 2]
    fair = encoder.transform_training({"note": as_objects(values[:600])}, y[:600])[:, 2]
    weights = np.linalg.lstsq(np.stack([fair, number[:600], np.ones(600)], axis=1), 2 * y[:600] - 1, rcond=None)[0]
    both = weights[0] * score + weights[1] * number[600:] + weights[2]
    hits = [np.mean((column > 0) == y[600:]) for column in (score, number[600:], both)]
    assert hits[2] > max(hits[:2]) + 0.02


def test_a_value_is_scored_in_its_unit():
    values, y = opinions(900, 4)
    price = 1e6 + 1e4 * y
    encoder = fit(values[:600], price[:600], 0)
    scores = encoder.transform({"note": as_objects(values[600:])})[:, 2]
    assert np.corrcoef(scores, price[600:])[0, 1] > 0.6 and abs(scores.mean() - price.mean()) < 2000


def test_a_fit_gives_the_same_bytes():
    values, y = opinions(200, 5)
    first, second = (fit(values, y, 2).to_json() for _ in range(2))
    assert first == second


def test_a_document_of_650_words_takes_a_millisecond():
    values, y = opinions(120, 6, words=650)
    encode, row = compile_row(SCHEMA, fit(values, y, 2)), {"note": values[0]}
    assert min(timeit.repeat(lambda: encode(row), number=5, repeat=9)) / 5 < 1e-3
