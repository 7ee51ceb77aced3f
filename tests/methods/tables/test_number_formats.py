"""Separators and signs of numbers."""

import numpy as np
import pytest

from mlnb.methods.contracts.table_formats import NumberFormat
from mlnb.methods.tables.number_formats import choose_separators, find_evidence, find_signs, parse_with


def read(*texts):
    """The numbers of one column alone, or why there are none."""
    signs, why = find_signs(texts, choose_separators({"x": find_evidence(texts)})["x"])
    return why if signs is None else parse_with(texts, signs).tolist()


def test_stated_separators_and_those_of_other_columns():
    assert choose_separators({"ratio": find_evidence(["1.919"])}, prefer_comma=True)["ratio"].decimal == ","
    assert choose_separators({"ratio": find_evidence(["0.919", "2.345"])})["ratio"] == NumberFormat(thousands=",")
    assert choose_separators({"x": find_evidence(["1.919"])}, decimal=",")["x"].decimal == ","
    assert choose_separators({"x": find_evidence(["1.919"])}, thousands=".")["x"].decimal == ","
    us = {"sales": find_evidence(["1,250", "980"]), "rate": find_evidence(["0.25"])}
    assert choose_separators(us)["sales"] == NumberFormat(decimal=".", thousands=",")


@pytest.mark.parametrize(
    ("texts", "result"),
    [
        (("5%", "12"), "numbers with and without %"),
        (("$5", "€6"), "mixed currencies ($, €)"),
        (("5 kg", "7 lb"), "mixed units (kg, lb)"),
        (("5 kg", "7"), "mixed units (kg and none)"),
        (("1.5e3", "2E-2"), [1500, 0.02]),
        (("\u22125", "3-"), [-5, -3]),
        ((".5", "5."), [0.5, 5.0]),
    ],
)
def test_signs_around_numbers(texts, result):
    assert read(*texts) == result


def test_texts_that_are_not_numbers_are_missing():
    assert np.isnan(read("1.2.3", "4")[0]) and np.isnan(read("x", "4")[0])
