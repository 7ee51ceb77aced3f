"""Three-way merge of settings.ini: section by section, setting by setting, stage lists stage by stage."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from mlnb.engine.three_way import MergedItem, Status, merge_items, merge_value

SECTION = re.compile(r"\[([^\]]+)\]\s*$")
SETTING = re.compile(r"([^\s#;=:][^=:]*?)\s*[=:]\s*(.*)$", re.DOTALL)
NOTE = re.compile(r"^# mlnb upgrade: .*\n", re.MULTILINE)
WORD_LISTS = ("stages",)


@dataclass(frozen=True)
class SettingLines:
    """One setting, or the header of a section; `above` are the comments and blank lines before it."""

    above: str
    value: str
    text: str = field(compare=False)  # as it is written, with the lines that continue it


Section = tuple[tuple[str, SettingLines], ...]  # the header under "", then the settings by name


def merge_settings(base: str, ours: str, theirs: str) -> tuple[str, tuple[str, ...]]:
    """Return the merged text, and one message for each setting that both sides have changed differently.

    Such a setting keeps our value, under a comment that names the new version's.
    """
    sections = [_read(text) for text in (base, ours, theirs)]
    messages: list[str] = []

    def combine(name: str, base: Section | None, ours: Section, theirs: Section) -> tuple[Section, None]:
        merged = merge_items(dict(base or ()), dict(ours), dict(theirs), _combine)
        messages.extend(_message(name, item) for item in merged if item.status is Status.CONFLICT)
        return tuple((item.key, _noted(item)) for item in merged if item.value is not None), None

    (old, _), (mine, end), (new, _) = sections
    items = merge_items(old, mine, new, combine)
    messages += [
        f"[{item.key}] is {'deleted here' if item.value is None else 'kept here'}; the new version has "
        f"{'changed' if item.value is None else 'removed'} it"
        for item in items
        if item.status is Status.CONFLICT
    ]
    text = "".join(_write(item.value) for item in items if item.value is not None) + end
    return text, tuple(messages)


def _combine(
    name: str, base: SettingLines | None, ours: SettingLines, theirs: SettingLines
) -> tuple[SettingLines, SettingLines | None]:
    old = base or SettingLines("", "", "")
    above, _ = merge_value(old.above, ours.above, theirs.above)
    value, conflict = merge_value(old.value, ours.value, theirs.value)
    if conflict and name in WORD_LISTS:
        before, mine, new = ({word: word for word in side.value.split()} for side in (old, ours, theirs))
        merged = merge_items(before, mine, new, lambda *_: None)
        value, conflict = " ".join(item.value for item in merged if item.value), False
        return SettingLines(above, value, f"{name} = {value}\n"), None
    return SettingLines(above, value, (ours if value == ours.value else theirs).text), theirs if conflict else None


def _message(section: str, item: MergedItem[SettingLines]) -> str:
    ours = f"{item.value.value!r} is kept" if item.value else "it is deleted here"
    theirs = f"has {item.theirs.value!r}" if item.theirs else "has removed it"
    return f"[{section}] {item.key}: {ours}; the new version {theirs}"


def _noted(item: MergedItem[SettingLines]) -> SettingLines:
    """Return our lines of a setting, in a conflict under a comment with the new version's value."""
    assert item.value is not None
    if item.status is not Status.CONFLICT or not item.key:
        return item.value
    new = f"has {item.key} = {' '.join(item.theirs.value.split())}" if item.theirs else "has no such setting"
    above = NOTE.sub("", item.value.above)
    return replace(item.value, above=f"{above}# mlnb upgrade: the new version {new}\n")


def _read(text: str) -> tuple[dict[str, Section], str]:
    """Return the sections by name, and the text after the last setting. Lines before a section are one, called ""."""
    sections: dict[str, list[tuple[str, SettingLines]]] = {}
    name, above = "", ""
    for lines in _entries(text):
        line = lines.rstrip("\n")
        if lines[:1] in "#;\n" or not line.strip():
            above += lines
        elif section := SECTION.match(line):
            name = section[1]
            sections.setdefault(name, []).append(("", SettingLines(above, line, lines)))
            above = ""
        else:
            setting = SETTING.match(line)
            key, value = (setting[1], setting[2]) if setting else (line, "")
            sections.setdefault(name, []).append((key, SettingLines(above, value.strip(), lines)))
            above = ""
    return {name: tuple(items) for name, items in sections.items()}, above


def _entries(text: str) -> Iterator[str]:
    """Yield the text in pieces: a setting with the indented lines that continue it, or a single line."""
    piece = ""
    for line in text.splitlines(keepends=True):
        if piece and line[:1] in " \t" and line.strip() and piece[:1] not in "#;\n[":
            piece += line
        else:
            if piece:
                yield piece
            piece = line
    if piece:
        yield piece


def _write(section: Section) -> str:
    return "".join(lines.above + lines.text.rstrip("\n") + "\n" for _, lines in section)
