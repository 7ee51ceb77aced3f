"""The console of `mlnb debug`: completion candidates, multi-line statements, and what is printed."""

from typing import Any

import pytest

from mlnb.kernels.driver import console


class Client:
    """Replies as a kernel does; a statement is complete when its last line is not indented."""

    def complete(self, line: str, end: int, **options: Any) -> dict[str, Any]:
        start = line.rfind(".") + 1
        return {"content": {"cursor_start": start, "matches": ["mean", "median"]}}

    def is_complete(self, text: str) -> str:
        self.text = text
        return "id"

    def get_shell_msg(self, timeout: float) -> dict[str, Any]:
        status = "incomplete" if self.text.endswith(":") or self.text.splitlines()[-1].startswith(" ") else "complete"
        return {"parent_header": {"msg_id": "id"}, "content": {"status": status}}


@pytest.mark.parametrize(("line", "word"), [("x = frame.me", "frame.me"), ("me", "me")])
def test_candidates_keep_the_part_of_the_word_that_the_kernel_does_not_return(
    monkeypatch: pytest.MonkeyPatch, line: str, word: str
) -> None:
    monkeypatch.setattr(console.readline, "get_line_buffer", lambda: line)
    monkeypatch.setattr(console.readline, "get_endidx", lambda: len(line))
    complete, prefix = console.Completer(Client()), word.removesuffix("me")
    assert [complete(word, number) for number in range(3)] == [f"{prefix}mean", f"{prefix}median", None]


def test_a_statement_is_read_until_it_is_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    lines, prompts = iter(["for i in x:", "    print(i)", ""]), list[str]()
    monkeypatch.setattr("builtins.input", lambda prompt: (prompts.append(prompt), next(lines))[1])
    assert console._read(Client(), "In [3]: ") == "for i in x:\n    print(i)\n"
    assert prompts == ["In [3]: ", "   ...: ", "   ...: "]


def test_outputs_and_errors_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    for kind, content in [
        ("stream", {"name": "stdout", "text": "a\n"}),
        ("execute_result", {"data": {"text/plain": "3"}}),
        ("display_data", {"data": {"image/png": "…"}}),
        ("error", {"traceback": ["Traceback", "ValueError"]}),
        ("status", {}),
    ]:
        console._print({"msg_type": kind, "content": content})
    out, err = capsys.readouterr()
    assert (out, err) == ("a\n3\n\n", "Traceback\nValueError\n")
