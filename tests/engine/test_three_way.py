"""Three-way merges of keyed sequences, parameters cells, settings and text."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlnb.engine.parameter_merge import merge_parameters
from mlnb.engine.settings_merge import merge_settings
from mlnb.engine.text_merge import conflict_lines, merge_text
from mlnb.engine.three_way import Status, merge_items, moved


def merged(base: str, ours: str, theirs: str) -> str:
    """Merge words, each its own key and value; a digit after the letter is the version of the value."""
    sides = [{word[0]: word for word in text.split()} for text in (base, ours, theirs)]
    items = merge_items(*sides, combine=lambda *_: None)
    return " ".join(item.value + "!" * (item.status is Status.CONFLICT) for item in items if item.value)


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "expected"),
    [
        ("a b c", "a b c", "a b c", "a b c"),
        ("a b c", "a b1 c", "a b c1", "a b1 c1"),
        ("a b c", "a b1 c", "a b2 c", "a b1! c"),
        ("a b c", "a b1 c", "a b1 c", "a b1 c"),
        ("a b c", "a c", "a b c", "a c"),
        ("a b c", "a b c", "a c", "a c"),
        ("a b c", "a b1 c", "a c", "a b1! c"),
        ("a b c", "a x b c", "a b y c", "a x b y c"),
        ("a b c", "x a b c", "y a b c", "y x a b c"),
        ("a b c", "c a b", "a b1 c", "c a b1"),
        ("a b c", "a b c x", "c a b", "c a b x"),
        ("a b c d", "b a c d", "a b d c", "b d a c"),
        ("", "x", "y", "y x"),
    ],
)
def test_merges_of_sequences(base: str, ours: str, theirs: str, expected: str) -> None:
    assert merged(base, ours, theirs) == expected


def test_an_item_deleted_here_and_changed_there_is_a_conflict_without_a_value() -> None:
    (item,) = merge_items({"a": 1}, {}, {"a": 2}, combine=lambda *_: None)
    assert (item.status, item.value, item.theirs) == (Status.CONFLICT, None, 2)


def test_the_fewest_items_count_as_moved() -> None:
    assert moved("abcd", "dabc") == {"d"}
    assert moved("abcd", "abcd") == set()
    assert moved("abcd", "xbay") in ({"a"}, {"b"})


# A busy machine is slow at drawing examples, which is no property of the merge.
patient = settings(suppress_health_check=[HealthCheck.too_slow])

sequences = st.lists(st.sampled_from("abcdefgh"), unique=True)


@patient
@given(sequences, sequences, sequences)
def test_a_merge_keeps_what_either_side_has_added(base: list[str], ours: list[str], theirs: list[str]) -> None:
    sides = [{key: key for key in side} for side in (base, ours, theirs)]
    items = merge_items(*sides, combine=lambda *_: None)
    result = [item.key for item in items if item.value is not None]
    assert len(result) == len(set(result))
    assert set(result) == {key for key in {*ours, *theirs} if key not in base or (key in ours and key in theirs)}


@patient
@given(sequences, sequences)
def test_a_side_that_changed_nothing_yields_the_other(base: list[str], other: list[str]) -> None:
    sides = {key: key for key in base}, {key: key for key in other}
    for ours, theirs in (sides, sides[::-1]):
        items = merge_items(sides[0], ours, theirs, combine=lambda *_: None)
        assert [item.key for item in items if item.value is not None] == other


BASE = """run: str = "draft"  # id of the run
trials: int = 20  # trials of the search [1..]
rate: float = (
    0.1  # step of a trial [0..1]
)
names: list[str] = []  # names"""


@pytest.mark.parametrize(
    ("ours", "theirs", "expected", "conflict"),
    [
        (("= 20", "= 50"), ("trials of the search", "number of trials"), "= 50  # number of trials [1..]", ""),
        (("= 20", "= 50"), ("= 20", "= 50"), "trials: int = 50  #", ""),
        (("= 20", "= 50"), ("= 20", "= 40"), "trials: int = 50  #", "trials: int = 40  # trials of the search [1..]"),
        (("0.1", "0.2"), ("float", "float | None"), "rate: float | None = 0.2  # step of a trial [0..1]", ""),
        (("= []", '= ["ä # ö"]'), ("  # names", "  # größere Namen"), '= ["ä # ö"]  # größere Namen', ""),
        (("= 20", "= 50"), ("names: list", "more: int = 1  # more\nnames: list"), "more: int = 1  # more\nnames", ""),
        (("names: list", "mine: int = 1  # mine\nnames: list"), ("= 20", "= 30"), "mine: int = 1  # mine\nnames", ""),
        (("trials: int = 20  # trials of the search [1..]\n", ""), ("0.1", "0.3"), "run\nrate: float = (\n    0.3", ""),
        (
            ("= 20", "= 50"),
            ("trials: int = 20  # trials of the search [1..]\n", ""),
            "= 50",
            "# the new version has no",
        ),
        (("trials: int = 20  # trials of the search [1..]\n", ""), ("= 20", "= 30"), "run\nrate", "trials: int = 30"),
        (("trials: int", "# mine\ntrials: int"), ("= 20", "= 30"), "# mine\ntrials: int = 30", ""),
    ],
)
def test_merges_of_parameters_cells(
    ours: tuple[str, str], theirs: tuple[str, str], expected: str, conflict: str
) -> None:
    source, conflicting = merge_parameters(BASE, BASE.replace(*ours), BASE.replace(*theirs))
    assert expected in source
    assert conflicting.startswith(conflict) and bool(conflicting) is bool(conflict)
    compile(source, "parameters", "exec")


def test_cells_with_other_code_are_not_merged_by_line() -> None:
    for other in (BASE + "\nprint(1)", BASE + "\nx = 1", "a: int = 1; b: int = 2", "a: int = ", BASE + "\r"):
        assert merge_parameters(BASE, other, BASE) is None
    text = 'run: str = "draft"\nlong: str = (\n    "a"\n    "b"\n)  # text'
    other = text.replace('"b"', '"c"')
    assert merge_parameters(text, other, text) == (other, ""), "one side alone keeps its layout"
    assert merge_parameters(text, other, text.replace("# text", "# prose")) is None, "cannot be put into one line"


SETTINGS = """# top
[DEFAULT]
lib_name = shop

[mlnb]
# stages side by side
workers = 2
kernels = warm

[pipeline train]
stages = ingest split
    train

[profile smoke]
tune.trials = 4
"""


def test_settings_are_merged_one_by_one() -> None:
    ours = SETTINGS.replace("warm", "standard").replace("    train", "    train single").replace("shop", "store")
    theirs = SETTINGS.replace("workers = 2", "workers = 3\nsnapshots = all").replace(
        "ingest split", "ingest check split"
    )
    theirs += "\n[profile full]\ntune.trials = 90\n"
    text, conflicts = merge_settings(SETTINGS, ours, theirs)
    assert not conflicts
    expected = theirs.replace("warm", "standard").replace("shop", "store")
    expected = expected.replace("ingest check split\n    train", "ingest check split train single")
    assert text == expected


def test_a_setting_changed_on_both_sides_keeps_ours_and_names_the_other() -> None:
    ours, theirs = SETTINGS.replace("workers = 2", "workers = 1"), SETTINGS.replace("workers = 2", "workers = 3")
    text, conflicts = merge_settings(SETTINGS, ours, theirs)
    assert conflicts == ("[mlnb] workers: '1' is kept; the new version has '3'",)
    note = "# mlnb upgrade: the new version has workers = 3\n"
    assert text == ours.replace("workers = 1", f"{note}workers = 1")
    again, _ = merge_settings(theirs, text, SETTINGS.replace("workers = 2", "workers = 4"))
    assert again == text.replace("workers = 3", "workers = 4"), "one note, of the newest version"


def test_sections_deleted_on_one_side() -> None:
    smoke = SETTINGS[SETTINGS.index("\n[profile smoke]") :]
    without = SETTINGS.removesuffix(smoke)
    changed = SETTINGS.replace("trials = 4", "trials = 5")
    assert merge_settings(SETTINGS, without, SETTINGS) == (without, ())
    assert merge_settings(SETTINGS, SETTINGS, without) == (without, ())
    assert merge_settings(SETTINGS, without, changed)[1] == (
        "[profile smoke] is deleted here; the new version has changed it",
    )
    text, conflicts = merge_settings(SETTINGS, changed, without)
    assert (text, len(conflicts)) == (changed, 1)


def test_text_is_merged_by_lines() -> None:
    base = "a\nb\nc\nd\n"
    assert merge_text(base, "a\nB\nc\nd\n", "a\nb\nc\nD\ne\n") == ("a\nB\nc\nD\ne\n", 0)
    text, conflicts = merge_text(base, "a\nB\nc\nd\n", "a\nß\nc\nd")
    assert (conflicts, conflict_lines(text)) == (1, [2])
    assert text.startswith("a\n<<<<<<< yours\nB\n=======\nß\n>>>>>>> new version\nc\n")
    assert conflict_lines(base) == []


lines = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "\n"])).map("".join)


@patient
@given(lines, lines)
def test_text_that_one_side_has_changed_becomes_that_side(base: str, other: str) -> None:
    assert (
        merge_text(base, other, base) == merge_text(base, base, other) == merge_text(base, other, other) == (other, 0)
    )
