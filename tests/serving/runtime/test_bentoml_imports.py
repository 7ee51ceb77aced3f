"""BentoML's reverse proxy is imported by the services that need it, and by no other."""

import ast
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from mlnb.serving.runtime.bentoml_imports import PROXY, USED, import_proxy_late


def test_bentoml_imports_one_function_of_its_proxy():
    spec = find_spec(PROXY.partition(".")[0])  # not the module: its package would be imported
    assert spec is not None and spec.origin is not None
    package = Path(spec.origin).parent
    assert package.joinpath(*PROXY.split(".")[1:]).with_suffix(".py").is_file()
    names = {
        alias.name
        for file in package.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").endswith("server.proxy")
        for alias in node.names
    }
    assert names == {USED}
    assert "create_proxy_app(self.service)" in (package / "server" / "app.py").read_text("utf-8")


def test_the_proxy_is_imported_when_a_service_needs_it(monkeypatch):
    monkeypatch.delitem(sys.modules, PROXY, raising=False)
    import_proxy_late()
    late = sys.modules[PROXY]
    import_proxy_late()
    assert sys.modules[PROXY] is late
    real = ModuleType(PROXY)
    setattr(real, USED, lambda service: f"proxy of {service}")
    monkeypatch.setattr("importlib.import_module", lambda name: {PROXY: real}[name])
    assert getattr(late, USED)("program") == "proxy of program"
    assert sys.modules.get(PROXY) is not late


def test_a_proxy_that_is_imported_stays(monkeypatch):
    monkeypatch.setitem(sys.modules, PROXY, real := ModuleType(PROXY))
    import_proxy_late()
    assert sys.modules[PROXY] is real
