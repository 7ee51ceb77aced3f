"""No module but `compat` uses a private API of another library, and each that it lists is noticed when it is gone."""

import ast
import importlib
from pathlib import Path

import pytest

import mlnb.kernels
from mlnb.kernels.protocol import compat
from mlnb.kernels.protocol.compat import DRIVER_APIS, KERNEL_APIS, PrivateApi

PACKAGE = Path(mlnb.kernels.__file__).parent
ALL_APIS = list(dict.fromkeys([*DRIVER_APIS, *KERNEL_APIS]))
OWN = ("self", "cls", "os")  # os._exit is documented


def private_uses(path: Path) -> list[str]:
    """Return where a module uses a private attribute of something that is not its own."""
    uses = []
    own = {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            owner = node.value
            is_own = isinstance(owner, ast.Name) and owner.id in OWN
            if not is_own and node.attr not in own:
                uses.append(f"{path.name}:{node.lineno} {ast.unparse(node)}")
    return uses


def test_no_other_module_uses_a_private_api() -> None:
    modules = [path for path in PACKAGE.rglob("*.py") if path.name != "compat.py"]
    assert len(modules) > 30
    assert [use for path in modules for use in private_uses(path)] == []


def remove(api: PrivateApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove a private API from its library; one that only instances have, from their methods' sight."""
    module, _, name = api.owner.partition(":")
    owner = importlib.import_module(module)
    owner = getattr(owner, name) if name else owner
    for base in getattr(owner, "__mro__", [owner]):
        if api.name in vars(base):
            monkeypatch.delattr(base, api.name)
    if compat._assigns(owner, api.name):
        monkeypatch.setattr(compat, "_assigns", lambda owner, attribute: attribute != api.name)


@pytest.mark.parametrize("api", ALL_APIS, ids=lambda api: f"{api.owner}.{api.name}")
def test_an_api_that_is_gone_is_named_with_its_library(api: PrivateApi, monkeypatch: pytest.MonkeyPatch) -> None:
    assert compat.find_missing([api]) is None
    remove(api, monkeypatch)
    missing = compat.find_missing([api])
    assert missing is not None and f"has no {api.owner}.{api.name}, needed to {api.use}" in missing
    assert missing.startswith(f"{api.library} ") and compat.CHECKED[api.library] in missing


def test_a_module_that_is_gone_is_named() -> None:
    missing = compat.find_missing([PrivateApi("ipykernel", "ipykernel.nothing:Here", "name", "test")])
    assert missing is not None and "has no ipykernel.nothing:Here.name" in missing


def test_each_library_has_versions_it_was_checked_with() -> None:
    assert {api.library for api in ALL_APIS} == set(compat.CHECKED)


def test_hooks_are_called_by_the_names_of_nbclient() -> None:
    called: list[object] = []

    class Base:
        def _update_display_id(self, display_id: str, message: object) -> None:
            called.append((display_id, message))

    @compat.nbclient_hooks
    class Client(Base):
        def before_display_update(self, display_id: str) -> None:
            called.append(display_id)

    Client()._update_display_id("d", "message")
    assert called == ["d", ("d", "message")]
