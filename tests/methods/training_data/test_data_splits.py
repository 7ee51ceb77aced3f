"""Splits and folds: kinds, small data, missing labels, copies."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlnb.errors import DataError, ParameterError
from mlnb.methods.audit.target_leakage import find_leaks
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.tables.columns import Column, Schema
from mlnb.methods.training_data.cross_validation import fold_rows
from mlnb.methods.training_data.data_splits import choose_kind, find_copies_to_keep, has_classes, make_folds, split_rows
from mlnb.methods.training_data.row_assignment import assign_rows

BINARY, NUMBER = ProblemContract(task="binary", target="y"), ProblemContract(task="regression", target="y")
SCHEMA = Schema((Column("y", "category", "target"), Column("day", "date"), Column("who", "category")), 100)
PAIR = Schema((Column("a", "number"), Column("b", "number"), Column("y", "category", "target")), 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "stratify"}, "did you mean 'stratified'?"),
        ({"kind": "time"}, "state split.time=NAME"),
        ({"group": "whom"}, "did you mean 'who'?"),
        ({"kind": "random", "group": "who"}, "state one of them"),
        ({"time": "who"}, "expected dates or numbers"),
        ({"kind": "group_time", "time": "day"}, "state split.group=NAME"),
        ({"time": "day", "group": "day"}, "state two columns"),
    ],
)
def test_stated_kinds_that_contradict_the_table(options: dict[str, str], message: str) -> None:
    with pytest.raises(ParameterError, match=message.replace("?", r"\?")):
        choose_kind(BINARY, SCHEMA, **options)


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1)), min_size=6, max_size=20), st.floats(0.1, 0.5))
def test_both_parts_of_a_ranking_have_relevant_rows(rows: list[tuple[int, int]], share: float) -> None:
    table = pd.DataFrame(rows, columns=["who", "y"])
    contract = ProblemContract(task="ranking", target="y", query="who")
    try:
        parts = split_rows(table, contract, "group", share, column="who")
    except DataError:
        return
    assert all(table["y"].iloc[part].sum() > 0 for part in parts)


def test_groups_and_time_are_stated_together() -> None:
    assert choose_kind(BINARY, SCHEMA, group="who", time="day")[0] == "group_time"
    assert choose_kind(BINARY, SCHEMA, "group_time", group="who", time="day")[0] == "group_time"
    panel = pd.DataFrame({"who": [*"abab"], "day": [0, 0, 1, 1], "y": range(4)})
    with pytest.raises(DataError, match="groups of 'who' that begin later by 'day'"):
        split_rows(panel, NUMBER, "group_time", column="who", time="day")


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 12)), min_size=6, max_size=60),
    st.floats(0.05, 0.5),
    st.integers(2, 5),
)
def test_groups_in_the_order_of_time_leak_nothing(rows: list[tuple[int, int]], share: float, folds: int) -> None:
    table = pd.DataFrame(rows, columns=["who", "day"]).assign(y=np.arange(len(rows), dtype=float))
    try:
        training, test = split_rows(table, NUMBER, "group_time", share, column="who", time="day")
        held = table.iloc[training].reset_index(drop=True)
        codes, _ = make_folds(held, NUMBER, "group_time", folds, column="who", time="day")
        pairs = fold_rows(codes)
    except DataError:  # too few groups that begin later
        return
    assert not set(training) & set(test) and len(pairs) <= folds
    left_out = table.drop(index=[*training, *test])
    first = table.loc[test, "day"].min()
    assert (left_out["day"] >= first).all() and set(left_out["who"]) <= set(table.loc[training, "who"])
    for frame, learned, tested in [(table, training, test), *((held, *pair) for pair in pairs)]:
        seen, new = frame.iloc[learned], frame.iloc[tested]
        assert not set(seen["who"]) & set(new["who"]) and seen["day"].max() < new["day"].min()
    validated = [row for _, rows_of in pairs for row in rows_of]
    assert len(validated) == len(set(validated)) == (codes >= 0).sum()


def test_numbers_are_not_stratified() -> None:
    with pytest.raises(ParameterError, match="state random"):
        choose_kind(NUMBER, SCHEMA, "stratified")


def test_tables_that_cannot_be_split() -> None:
    tiny = pd.DataFrame({"y": [1.0, 2.0, 3.0, 4.0, 5.0]})
    dated = pd.DataFrame({"y": list("aaab"), "day": [0, 1, 2, 3]})
    training, test = split_rows(tiny, NUMBER, "random")
    assert (len(training), len(test)) == (4, 1)
    assert set(make_folds(tiny.iloc[training], NUMBER, "random")[0]) == {0, 1}
    with pytest.raises(DataError, match="add more rows"):
        split_rows(tiny.head(2), NUMBER, "random")
    with pytest.raises(ParameterError, match="expected one between 0 and 1"):
        split_rows(tiny, NUMBER, "random", 1.5)
    with pytest.raises(DataError, match="too few rows to cross-validate"):
        make_folds(tiny.head(3), NUMBER, "random")
    with pytest.raises(DataError, match="of class 'b'"):
        split_rows(dated, BINARY, "time", 0.25, 0, "day")
    with pytest.raises(DataError, match="no value in the group column"):
        split_rows(tiny.assign(who=None), NUMBER, "group", 0.2, 0, "who")


@pytest.mark.parametrize("seed", range(10))
def test_a_class_of_three_rows(seed: int) -> None:
    rare = pd.DataFrame({"y": ["a"] * 30 + ["b"] * 3})
    training, test = split_rows(rare, BINARY, "stratified", seed=seed)
    assert (rare["y"][test] == "b").sum() == 1
    folds, why = make_folds(rare.iloc[training], BINARY, "stratified", seed=seed)
    assert set(folds[rare["y"].iloc[training] == "b"]) == {0, 1}
    assert why == "2 folds instead of 5: class 'b' has 2 training rows"


@pytest.mark.parametrize("missing", [None, np.nan])
def test_rows_without_a_label_are_split_like_a_class(missing: object) -> None:
    labels = pd.Series(["1"] * 6 + [missing] * 394, dtype="str")
    table = pd.DataFrame({"x": np.arange(400.0), "fraud": labels})
    contract = ProblemContract(task="anomaly", target="fraud", positive="1", labels=("1",), blank="normal")
    training, test = split_rows(table, contract, "stratified")
    assert len(test) == 80 and table["fraud"][test].notna().sum() == 1
    folds, _ = make_folds(table.iloc[training], contract, "stratified", 2)
    assert np.ptp(np.bincount(folds)) <= 1 and set(folds[table["fraud"].iloc[training].notna()]) == {0, 1}


@settings(max_examples=60)
@given(st.integers(12, 60), st.integers(1, 5), st.integers(0, 9), st.booleans(), st.integers(1, 2))
def test_copies_are_on_one_side_and_in_one_fold(rows: int, times: int, seed: int, numeric: bool, repeats: int) -> None:
    random = np.random.default_rng(seed)
    y = random.normal(size=rows) if numeric else np.array(["no", "yes"])[np.arange(rows) % 2]
    once = pd.DataFrame({"a": random.normal(size=rows), "b": random.normal(size=rows), "y": y})
    counts = random.integers(1, times + 1, rows)
    table = once.loc[np.repeat(np.arange(rows), counts)].sample(frac=1, random_state=seed).reset_index(drop=True)
    contract, kind = (NUMBER, "random") if numeric else (BINARY, "stratified")
    copies = find_copies_to_keep(table, PAIR, contract, kind)
    assert (copies is None) == (counts.max() == 1)
    training, test = split_rows(table, contract, kind, copies=copies, seed=seed)
    assert not set(table["a"][training]) & set(table["a"][test]) and len(training) + len(test) == len(table)
    mine = None if copies is None else copies[training]
    folds, _ = make_folds(table.iloc[training], contract, kind, 3, seed, repeats=repeats, copies=mine)
    for repeat in folds.reshape(len(training), -1).T:
        assert (pd.Series(repeat).groupby(table["a"].to_numpy()[training]).nunique() == 1).all()


def test_without_copies_the_split_is_that_of_single_rows() -> None:
    labels = np.repeat(["a", "b", None], [60, 30, 10]).astype(object)
    for seed in range(5):
        expected = assign_rows(100, [0.7, 0.3], seed, labels=labels)
        assert np.array_equal(assign_rows(100, [0.7, 0.3], seed, labels=labels, copies=np.arange(100)), expected)


def test_a_column_does_not_leak_the_target_by_copies() -> None:
    random = np.random.default_rng(0)
    noise = pd.DataFrame(random.normal(size=(80, 2)), columns=["a", "b"]).assign(y=random.choice(["no", "yes"], 80))
    copied = pd.concat([noise] * 4, ignore_index=True)
    contract = ProblemContract(task="binary", target="y", classes=("no", "yes"), positive="yes")
    schema, findings, skills = find_leaks(copied, PAIR, contract)
    assert findings == [] and max(skills.values()) < 0.5 and len(schema.features) == 2


def test_folds_are_limited_by_rows_that_are_no_copies() -> None:
    few = pd.DataFrame({"a": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], "y": list("aaabbb")})
    table = pd.concat([few] * 5, ignore_index=True)
    schema = Schema((Column("a", "number"), Column("y", "category", "target")), 30)
    copies = find_copies_to_keep(table, schema, BINARY, "stratified")
    assert make_folds(table, BINARY, "stratified", copies=copies)[1].startswith(
        "3 folds instead of 5: there are 6 training rows"
    )


def test_parts_are_balanced_by_class_where_the_target_names_classes():
    assert has_classes(ProblemContract(task="binary", target="y"))
    assert has_classes(ProblemContract(task="anomaly", target="y"))
    assert not has_classes(ProblemContract(task="anomaly"))
    assert not has_classes(ProblemContract(task="regression", target="y"))
