"""Whatever a file of answers has, it is read, or refused with a message that names the file and stays short."""

from pathlib import Path

import pytest

from mlnb.errors import DeclarationError
from mlnb.methods.documentation.open_questions import read_answers

NESTED = "".join(
    f"{name}: &{name} [{', '.join([item] * 9)}]\n" for name, item in {"b": "x", "c": "*b", "d": "*c", "e": "*d"}.items()
)
REFUSED = {
    "no such day": "owner: 2024-02-30",
    "no such hour": "owner: 2001-12-14t99:99:99Z",
    "date": "owner: 2024-02-03",
    "integer of many digits": f"owner: {'9' * 5000}",
    "nested lists": f"owner: {'[' * 2000}{']' * 2000}",
    "nested objects": f"owner: {'{a: ' * 2000}{'}' * 2000}",
    "aliases in aliases": "owner:\n  " + NESTED.replace("\n", "\n  "),
    "recursive": "owner: &o [*o]",
    "a list": "- owner",
    "no object": "[]",
    "a number": "0",
    "two documents": "owner: a\n---\nowner: b",
    "surrogate": 'owner: "\\ud800"',
    "escape": 'owner: "a\\e[31mb"',
    "other keys": "owner: {text: a, 3: b}",
    "number": "owner: three or 4",
    "number and placeholder": "owner: {text: 4 people, source: tbd}",
    "long number": f"owner: '4 {'people ' * 5000}'",
    "class": "owner: !!python/object:os.system x",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_answer_is_refused_in_words(name: str, tmp_path: Path) -> None:
    path = tmp_path / "answers.yaml"
    path.write_text(REFUSED[name])
    with pytest.raises(DeclarationError, match=r"^answers\.yaml") as caught:
        read_answers(path)
    assert len(str(caught.value)) < 400


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "answers.yaml"
    assert read_answers(path) == {}
    path.mkdir()
    with pytest.raises(DeclarationError, match="cannot be read"):
        read_answers(path)
    path.rmdir()
    path.write_bytes("owner: Jörg".encode("latin-1"))
    with pytest.raises(DeclarationError, match="utf-8"):
        read_answers(path)


@pytest.mark.parametrize("text", ["", "\n", "# owner:", "owner:", "owner: ~"])
def test_blank_files_have_no_answers(text: str, tmp_path: Path) -> None:
    path = tmp_path / "answers.yaml"
    path.write_text(text)
    assert not any(answer.text for answer in read_answers(path).values())


def test_answers_may_be_in_any_script(tmp_path: Path) -> None:
    path = tmp_path / "answers.yaml"
    path.write_text("\ufeffowner: Jörg ✓ 日本\u200c👩\u200d🔬\n", encoding="utf-8")
    assert read_answers(path)["owner"].text == "Jörg ✓ 日本\u200c👩\u200d🔬"
