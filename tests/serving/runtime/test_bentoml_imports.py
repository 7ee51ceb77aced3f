"""BentoML's reverse proxy is imported, and certificates are read, by the services that need it, and by no other."""

import ast
import ssl
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

from mlnb.serving.runtime.bentoml_imports import PROXY, USED, LateContext, import_aiohttp, import_proxy_late

MAKES_CONTEXTS = """
import ssl
verified = ssl.create_default_context()
unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
unverified.check_hostname = False
unverified.verify_mode = ssl.CERT_NONE
unverified.set_default_verify_paths()
"""


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


@pytest.fixture
def contexts(monkeypatch):
    """The contexts of a module that makes them as aiohttp does, and how often certificates were read."""
    module, reads = ModuleType("aiohttp"), []
    original = ssl.SSLContext.load_default_certs

    def read(context, *purpose):
        reads.append(context)
        original(context, *purpose)

    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", read)
    monkeypatch.delitem(sys.modules, "aiohttp", raising=False)
    monkeypatch.setattr("importlib.import_module", lambda name: exec(MAKES_CONTEXTS, module.__dict__))
    import_aiohttp()
    return module.verified, module.unverified, reads


def test_certificates_are_read_before_the_first_connection(contexts):
    verified, unverified, reads = contexts
    assert not reads and isinstance(verified, LateContext) and isinstance(unverified, LateContext)
    assert verified.verify_mode == ssl.CERT_REQUIRED and verified.check_hostname
    connection = verified.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")
    assert reads == [verified] and type(verified) is ssl.SSLContext
    assert connection.context is verified
    verified.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")
    assert len(reads) == 1
    plain = ssl.create_default_context()
    assert unverified.cert_store_stats() == verified.cert_store_stats() == plain.cert_store_stats()
    assert not isinstance(plain, LateContext)


def test_contexts_of_an_import_that_fails_read_as_before(monkeypatch):
    def fail(name):
        raise ImportError(name)

    monkeypatch.delitem(sys.modules, "aiohttp", raising=False)
    monkeypatch.setattr("importlib.import_module", fail)
    with pytest.raises(ImportError):
        import_aiohttp()
    assert type(ssl.create_default_context()) is ssl.SSLContext


def test_aiohttp_makes_contexts_when_it_is_imported():
    spec = find_spec("aiohttp")
    assert spec is not None and spec.origin is not None
    source = Path(spec.origin).with_name("connector.py").read_text("utf-8")
    assert "= _make_ssl_context(True)" in source and "= _make_ssl_context(False)" in source
