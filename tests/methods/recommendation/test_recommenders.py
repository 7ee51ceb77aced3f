"""Edge cases of recommenders: logs with one item, users with everything, names of columns and users."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest

from mlnb.errors import DataError
from mlnb.methods.contracts.declarations import ColumnDeclaration, Declarations
from mlnb.methods.problem.problem_contract import state
from mlnb.methods.recommendation.candidate_generation import collect, column_names, fit_recommender, make_candidates
from mlnb.methods.recommendation.interaction_logs import read_log
from mlnb.methods.recommendation.log_snapshots import FEATURES
from mlnb.methods.recommendation.recommenders import RecommendationRequest, Recommender, to_response
from mlnb.stages.validate import make_recommender, read_interactions, type_table


def by_popularity(rows):
    """Return the scores of a ranker that knows popularity only."""
    return np.array([row["popularity"] for row in rows])


def test_a_user_with_every_item_gets_none():
    table = pd.DataFrame({"user": ["a", "a", "b"], "item": ["x", "y", "x"]})
    recommender = fit_recommender(read_log(table, "user", "item"))
    assert recommender.recommend(RecommendationRequest(user="a"), by_popularity).items == []
    assert [one.item for one in recommender.recommend(RecommendationRequest(user="b"), by_popularity).items] == ["y"]
    excluded = RecommendationRequest(user="nobody", exclude=("x", "y", "z"))
    assert recommender.recommend(excluded, by_popularity).items == []


def test_a_log_of_one_interaction_can_be_saved(tmp_path):
    recommender = fit_recommender(read_log(pd.DataFrame({"user": [1], "item": [2]}), "user", "item"))
    again = Recommender.load(recommender.save(tmp_path / "one"))
    request = RecommendationRequest(user="2")
    assert to_response([again.recommend(request, by_popularity)]) == [
        {"fallback": True, "items": [{"item": "2", "score": 1.0}]}
    ]


def test_items_are_taken_again_where_users_do_so():
    rows = [(user, (user + step) % 3) for step in range(12) for user in range(4)]
    table = pd.DataFrame(rows, columns=["user", "item"])
    recommender = fit_recommender(read_log(table, "user", "item"))
    assert recommender.metadata.repeated
    assert len(recommender.recommend(RecommendationRequest(user="0"), by_popularity).items) == 3


def test_users_are_found_by_their_whole_name(tmp_path):
    names = ["Ann", "Annabel", "Zoë", "ann", "10", "9", "9.5"]
    table = pd.DataFrame({"wer": names * 2, "was": [0] * 7 + [1] * 7})
    recommender = Recommender.load(fit_recommender(read_log(table, "wer", "was")).save(tmp_path / "names"))
    assert all(str(recommender.users[recommender.find_user(name)]) == name for name in names)
    assert [recommender.find_user(name) for name in ("An", "Annabell", "", "zz", "90")] == [None] * 5
    assert sorted(recommender.example_users(99)) == sorted([*names, "unknown user"])


def test_a_long_name_does_not_widen_those_of_the_users(tmp_path):
    table = pd.DataFrame({"user": [f"u{number}" for number in range(2000)], "item": 0})
    recommender = Recommender.load(fit_recommender(read_log(table, "user", "item")).save(tmp_path / "many"))
    tracemalloc.start()
    try:
        assert recommender.find_user("u" * 5000) is None and recommender.find_user("u1999") is not None
        assert tracemalloc.get_traced_memory()[1] < 1e6  # 40 MB if all names were as long
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("names", [("cut", "relevance"), ("item", "user"), ("popularity", "due"), ("item", "item age")])
def test_columns_of_ours_are_never_those_of_the_log(names):
    user, item = names
    random = np.random.default_rng(0)
    table = pd.DataFrame({user: random.integers(0, 9, 200), item: random.integers(0, 30, 200)})
    log = read_log(table, user, item)
    rows, counts = make_candidates(log)
    assert rows.columns.is_unique and set(column_names(log)) <= set(rows.columns) and counts.cuts == 5
    assert not set(column_names(log)) & set(FEATURES)


def test_an_interaction_at_the_cut_is_the_future():
    table = pd.DataFrame({"user": ["a", "b", "a", "b"], "item": ["x", "x", "y", "z"], "at": [1.0, 2.0, 3.0, 3.0]})
    log = read_log(table, "user", "item", "at")
    rows = collect(log, 3.0, np.array([0, 1]))
    assert rows["user"].tolist() == []  # both have x, and y and z are not yet known
    with pytest.raises(DataError, match="expected a longer log"):
        make_candidates(log)


def test_a_log_is_typed_as_candidates_and_saved_as_a_recommender(tmp_path):
    users, films = [f"u{i % 20}" for i in range(400)], [(i * 7 + i // 20) % 30 for i in range(400)]
    visits = pd.DataFrame({"who": users, "film": films})
    requested = state(task="ranking", details={"query": "who", "item": "film"})
    log = read_interactions(visits, requested, {})
    ranked, columns, candidates, _ = type_table(visits, requested, {}, log=log)
    assert (ranked.user, ranked.item) == ("who", "film") and columns.column("who").role == "identifier"
    assert len(candidates) > 0
    persons = Declarations(columns={"who": ColumnDeclaration(personal="keep", role=("group",))})
    marked = type_table(visits, requested, {}, declarations=persons)[1].column("who")
    assert marked.declared.personal == "keep" and not marked.has_role("group")  # the newest cut is held out, not users
    saved = make_recommender(log, Declarations(), tmp_path / "recommender")
    assert (saved / "users.npy").is_file()
