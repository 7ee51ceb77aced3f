"""Settings from settings.ini and the environment: types, ranges, precedence, masking and errors."""

from pathlib import Path

import pytest

from mlnb.errors import ProjectError, SettingsError
from mlnb.settings import ProcessSettings, ProjectSettings, ServiceSettings
from mlnb.settings_file import read_sections
from mlnb.typed_settings import MASK, Setting, SettingsGroup

GROUPS = (ProjectSettings, ServiceSettings, ProcessSettings)


class Limits(SettingsGroup):
    IN_FILE = True

    workers = Setting(2, "Number of workers.", variable="LIMITS_WORKERS", low=1, high=8)
    wait = Setting(0.5, "Seconds.", low=0)
    on = Setting(False, "Whether it is on.")
    mode = Setting("fast", "How it works.", choices=("fast", "slow"))
    names = Setting[tuple[str, ...]]((), "Names.", separator=",")
    key = Setting("", "A key.", secret=True)


@pytest.mark.parametrize(
    ("values", "name", "value"),
    [
        ({}, "workers", 2),
        ({"workers": " 4 "}, "workers", 4),
        ({"wait": "1e3"}, "wait", 1000.0),
        ({"on": "Yes"}, "on", True),
        ({"mode": "SLOW"}, "mode", "slow"),
        ({"names": "a, b,"}, "names", ("a", "b")),
    ],
)
def test_texts_become_values_of_the_declared_type(values: dict[str, str], name: str, value: object) -> None:
    result = getattr(Limits(values, {}), name)
    assert result == value and type(result) is type(value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"workers": "two"}, "is 'two'; expected a whole number, at least 1 and at most 8"),
        ({"workers": "0"}, "is 0; expected"),
        ({"on": "maybe"}, "expected 1 or 0"),
        ({"mode": "fats"}, "one of fast, slow. Did you mean 'fast'"),
        ({"wrokers": "1"}, "has no setting 'wrokers'. Did you mean 'workers'"),
    ],
)
def test_invalid_values_and_unknown_names_are_refused(values: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Limits(values, {})


def test_the_environment_takes_precedence_and_the_origin_is_recorded() -> None:
    assert Limits({"workers": "3"}, {"LIMITS_WORKERS": "5"}).read("workers") == (5, "LIMITS_WORKERS")
    assert Limits({"workers": "3"}, {"LIMITS_WORKERS": " "}).read("workers") == (3, "settings.ini")
    assert Limits({}, {}).replace(workers=7).read("workers") == (7, "command line")
    with pytest.raises(SettingsError):
        Limits({}, {}).replace(workers=9)
    with pytest.raises(AttributeError, match="read-only"):
        Limits({}, {}).workers = 3


def test_secrets_are_masked_where_settings_are_printed() -> None:
    lines = {name: text for name, text, _, _ in Limits({"key": "abc", "names": "a,b"}, {}).lines()}
    assert lines == {"workers": "2", "wait": "0.5", "on": "0", "mode": "fast", "names": "a,b", "key": MASK}
    assert ProjectSettings.registry.show("postgresql://ann:pass@host/db") == f"postgresql://ann:{MASK}@host/db"


@pytest.mark.parametrize("group", GROUPS)
def test_every_setting_has_a_meaning_and_a_valid_default(group: type[SettingsGroup]) -> None:
    for name, setting in group.declared().items():
        assert setting.meaning.endswith("."), name
        assert group.IN_FILE or setting.variable, name
        setting.check(setting.default, name)
        if not setting.secret and setting.default != ():
            assert setting.parse(setting.show(setting.default), name) == setting.default


def test_no_environment_variable_sets_two_settings() -> None:
    variables = [s.variable for group in GROUPS for s in group.declared().values() if s.variable]
    assert len(variables) == len(set(variables))


def test_a_settings_file_is_read_by_section(tmp_path: Path) -> None:
    path = tmp_path / "settings.ini"
    assert read_sections(path) == {}
    path.write_text("\ufeff[mlnb]\nRuns = 100%\n\n[profile quick]\ntune.trials = 4\n", encoding="utf-8")
    assert read_sections(path) == {"mlnb": {"Runs": "100%"}, "profile quick": {"tune.trials": "4"}}
    path.write_text("no section")
    with pytest.raises(ProjectError, match=r"settings\.ini cannot be read"):
        read_sections(path)
