from pathlib import Path

import pytest

from mlnb.engine.project import Project
from mlnb.serving.packaging.bundles import find_service, prepare_bundles
from mlnb.serving.packaging.imported_modules import _imported_names, follow_imports


def write(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("/init", "/__init__")
        path = path.with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_the_service_has_the_request_path_and_no_training_code():
    modules = follow_imports(find_service("tabular", Project.find()) / "service.py")
    assert {
        "mlnb/__init__.py",
        "mlnb/errors.py",
        "mlnb/serving/runtime/predictor.py",
        "mlnb/methods/models/fitted_models.py",
    } <= set(modules)
    assert not [
        name for name in modules if name.startswith(("mlnb/engine", "mlnb/cli", "mlnb/tracking", "mlnb/stages"))
    ]
    assert not [name for name in modules if name.startswith(("mlnb/serving/packaging", "mlnb/serving/deploy"))]
    assert list(modules) == sorted(modules)


def test_a_projects_own_modules_are_followed_however_they_are_imported(tmp_path):
    root = write(
        tmp_path,
        service="import churn.features\nfrom churn import extra\nimport numpy, absent",
        churn__init="",
        churn__features="from .deep.inner import thing\nfrom . import sibling",
        churn__sibling="def f():\n    import churn.lazy",
        churn__lazy="",
        churn__extra="from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import churn.types",
        churn__types="",
        churn__deep__init="",
        churn__deep__inner="from ..up import x\nthing = 1",
        churn__up="import churn.features\nx = 1",
    )
    modules = follow_imports(root / "service.py", root)
    names = ["__init__", "deep/__init__", "deep/inner", "extra", "features", "lazy", "sibling", "up"]
    assert list(modules) == [f"churn/{name}.py" for name in names]
    assert modules["churn/up.py"] == root / "churn" / "up.py"


def test_imports_inside_any_statement_are_followed(tmp_path):
    service = (
        "try:\n    import churn.a\nexcept ImportError:\n    import churn.b\nelse:\n    import churn.c\n"
        "finally:\n    import churn.d\nmatch 1:\n    case 1:\n        import churn.e\n"
        "class K:\n    async def f(self):\n        async with x:\n"
        "            while True:\n                import churn.g\n"
        "if x:\n    pass\nelif y:\n    import churn.h\n"
    )
    root = write(tmp_path, service=service, churn__init="", **{f"churn__{name}": "" for name in "abcdegh"})
    assert list(follow_imports(root / "service.py", root)) == [f"churn/{n}.py" for n in ["__init__", *"abcdegh"]]


def test_modules_of_a_bundle_are_parsed_in_advance():
    prepare_bundles()
    parsed = _imported_names.cache_info().misses
    follow_imports(find_service("tabular", Project.find()) / "service.py")
    assert _imported_names.cache_info().misses == parsed > 50


def test_without_a_project_only_mlnb_is_followed(tmp_path):
    root = write(tmp_path, service="import churn\nimport mlnb.errors", churn__init="")
    assert list(follow_imports(root / "service.py")) == ["mlnb/__init__.py", "mlnb/errors.py"]


def test_a_script_that_is_no_python_is_refused(tmp_path):
    with pytest.raises(SyntaxError):
        follow_imports(write(tmp_path, service="def") / "service.py")
