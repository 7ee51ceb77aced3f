"""The search for terms that have a standard equivalent."""

import json

import prose
import pytest
import terms


def terms_in(text):
    return [finding.text for finding in prose.search_text("a.md", 1, text)]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("The version in charge", ["in charge"]),
        ("It charges the battery", []),
        ("Duels are won", ["Duels"]),
        ("individual", []),
        ("held-out rows, a concealed box", []),
        ("a sealed test set", ["sealed"]),
        ("an ask-and-tell interface; ask and tell", []),
        ("It was told so", ["told"]),
        ("a timestamp of stamps", ["stamps"]),
        ("real world, hello world", []),
        ("a made-up world", ["made-up world"]),
        ("no more than 3", []),
        ("it is no more there", ["no more"]),
        ("a folder of its own", ["of its own"]),
        ("a folder of the draft's own", ["of the draft's own"]),
        ("its own folder", []),
        ("labeled feedback", []),
        ("feedback of users", ["feedback"]),
        ("rows are dealt into folds; deal with it", ["dealt"]),
        ("as\na rule", ["as a rule"]),
        ("the room; room for more; headroom", ["room"]),
        ("the target_giveaway", []),
    ],
)
def test_terms_are_whole_words_and_few_others(text, expected):
    assert terms_in(text) == expected


def test_every_term_has_something_to_use_instead():
    assert all(instead for _, instead in terms.TERMS)
    assert all(why for *_, why in terms.ALLOWED)


CODE = '''"""It says so.

The duel."""


def f(asked, row):
    found, row.told = asked, f"a {row} met in service"  # a stamp
    return {"levels": found}["sealed"]


class Orders: ...
'''


def test_code_is_searched_in_comments_texts_and_definitions():
    findings = sorted((one.line, one.text, one.is_name) for one in prose.search_code("a.py", CODE, list(range(1, 20))))
    assert findings == [
        (1, "says", False),
        (3, "duel", False),
        (6, "asked", True),
        (7, "found", True),
        (7, "met in service", False),
        (7, "stamp", False),
        (7, "told", True),
        (8, "levels", False),
        (8, "sealed", False),
        (11, "Orders", True),
    ]


def test_lines_of_a_notebook_are_those_of_its_file():
    cells = [
        ("markdown", ["# Duel\n", "`in charge` is code, a rival not"]),
        ("code", []),
        ("code", ["x = 1\n", "# says\n", "y = 'proven'"]),
        ("code", ["%magic\n", "# proofs"]),
    ]
    document = {"cells": [{"cell_type": kind, "id": "a", "metadata": {}, "source": source} for kind, source in cells]}
    text = json.dumps(document, indent=1)
    findings = list(prose.search_notebook("a.ipynb", text))
    assert [one.text for one in findings] == ["Duel", "rival", "says", "proven", "proofs"]
    for one in findings:
        assert one.text in text.splitlines()[one.line - 1]


def test_code_in_markdown_is_left_out_and_lines_stay():
    text = prose.without_code("`duel`\n```sh\nmlnb duel\n```\na duel")
    assert [(one.line, one.text) for one in prose.search_text("a.md", 1, text)] == [(5, "duel")]


def test_a_finding_in_any_file_fails_the_check(monkeypatch, capsys):
    monkeypatch.setattr(prose, "files", lambda within: ["a.md", "b.md"])
    monkeypatch.setattr(prose, "search_file", lambda path: prose.search_text(path, 1, {"a.md": "a duel"}.get(path, "")))
    assert prose.main([]) == 1 and "a.md:1: found 'duel'" in capsys.readouterr().out
    monkeypatch.setattr(prose, "files", lambda within: ["b.md"])
    assert prose.main(["b.md"]) == 0
