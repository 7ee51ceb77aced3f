"""The checks before a release: changelog, citation, tag and bill of materials."""

import importlib.metadata

import pytest
import release
import sbom
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

GOOD = (
    "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- a\n  more\n\n"
    "## [1.10.0] - 2026-01-31\n\n### Fixed\n\n- b\n\n## [1.9.0] - 2025-12-01\n"
)
CITATION = {"cff-version": "1.2.0", "message": "m", "title": "t", "authors": [{"name": "a"}], "version": "1.10.0"}


def test_this_repository_is_ready() -> None:
    assert release.problems() == []


def test_a_changelog_in_the_form_has_no_problem() -> None:
    assert list(release.changelog_problems(GOOD)) == []


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("# Changelog", "# Changes", "line 1: expected the title"),
        ("## [Unreleased]", "## Next", "expected '## [Unreleased]'"),
        ("2026-01-31", "31.1.2026", "expected '## [1.2.3] - 2026-01-31'"),
        ("2026-01-31", "2026-02-30", "expected '## [1.2.3] - 2026-01-31'"),
        ("1.10.0", "1.8.0", "expected the newest version first"),
        ("### Fixed", "### Repaired", "expected one of Added"),
        ("- b", "b", "expected an entry"),
        ("### Fixed\n\n- b", "### Fixed\n\n### Fixed\n\n- b", "the section Fixed occurs twice"),
    ],
)
def test_what_is_wrong_with_a_changelog_is_reported(before: str, after: str, problem: str) -> None:
    assert any(problem in line for line in release.changelog_problems(GOOD.replace(before, after)))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, ""),
        ({"version": "1.9.0"}, "found version '1.9.0', expected 1.10.0"),
        ({"authors": []}, "expected authors"),
        ({"authors": [{"family-names": "A"}]}, "expected authors"),
        ({"doi": "10.1/x"}, "unknown key doi"),
        ({"cff-version": "1.1.0"}, "expected 1.2.0"),
    ],
)
def test_what_is_wrong_with_a_citation_is_reported(changes: dict[str, object], problem: str) -> None:
    lines = list(release.citation_problems({**CITATION, **changes}, "1.10.0"))
    assert any(problem in line for line in lines) if problem else not lines


def test_a_tag_must_name_the_version_and_the_newest_release() -> None:
    assert list(release.tag_problems("v1.10.0", "1.10.0", GOOD)) == []
    assert "expected the tag v1.10.0" in next(release.tag_problems("v1.9.0", "1.10.0", GOOD))
    assert any("move [Unreleased]" in line for line in release.tag_problems("v2.0.0", "2.0.0", GOOD))


def test_the_bill_of_materials_is_valid_and_complete() -> None:
    document = sbom.bill_of_materials()
    text = sbom.json.dumps(document)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    names = {component["name"]: component["version"] for component in document["components"]}
    assert names["pandas"] == importlib.metadata.version("pandas") and not {"pip", "mlnb"} & set(names)
    needs = {entry["ref"]: entry["dependsOn"] for entry in document["dependencies"]}
    (product,) = [ref for ref in needs if ref.startswith("pkg:pypi/mlnb@")]
    assert f"pkg:pypi/pandas@{names['pandas']}" in needs[product]
