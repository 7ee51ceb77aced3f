"""A service over HTTPS, with and without certificates of its clients, as curl uses it."""

import json
import shutil
import subprocess

import pytest

from mlnb.errors import UsageError
from mlnb.serving.packaging.bento_server import serving
from mlnb.serving.packaging.tls_certificates import Certificates

pytestmark = pytest.mark.skipif(not (shutil.which("openssl") and shutil.which("curl")), reason="needs openssl and curl")
GOOD = {"age": 31, "fare paid €": 7.25, "sex": "f"}


def run(*command: str) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The folder of certificates of a service and of a client, each signed by itself."""
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("service", "client", "other"):
        new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
        names = ("-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1")
        output = ("-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.pem"))
        done = run("openssl", *new, *names, *output)
        assert done.returncode == 0, done.stderr
    return folder


def curl(server, *options: str) -> tuple[int, str]:
    done = run("curl", "-sS", *options, f"{server.address}/predict", "-d", json.dumps([GOOD]))
    return done.returncode, done.stdout


def test_curl_verifies_the_service(quick, files, tmp_path):
    certificates = Certificates.from_options(files / "service.pem", files / "service.key", None)
    with serving(quick.path, tmp_path / "log", certificates=certificates) as server:
        server.wait()
        assert server.address.startswith("https://127.0.0.1:")
        code, reply = curl(server, "--cacert", str(files / "service.pem"))
        assert code == 0 and json.loads(reply)[0]["prediction"] in ("no", "yes")
        assert curl(server)[0] == 60  # an unknown authority
        assert run("curl", "-sS", server.address.replace("https", "http")).returncode != 0


def test_clients_need_a_certificate_where_the_service_asks_for_one(quick, files, tmp_path):
    certificates = Certificates.from_options(files / "service.pem", files / "service.key", files / "client.pem")
    with serving(quick.path, tmp_path / "log", certificates=certificates) as server:
        server.wait()
        trusted = ("--cacert", str(files / "service.pem"))
        own = ("--cert", str(files / "client.pem"), "--key", str(files / "client.key"))
        code, reply = curl(server, *trusted, *own)
        assert code == 0 and json.loads(reply)[0]["prediction"] in ("no", "yes")
        assert curl(server, *trusted)[0] != 0
        other = ("--cert", str(files / "other.pem"), "--key", str(files / "other.key"))
        assert curl(server, *trusted, *other)[0] != 0


def test_files_are_checked_before_anything_starts(files, tmp_path):
    assert Certificates.from_options(None, None, None) is None
    good = files / "service.pem", files / "service.key"
    with pytest.raises(UsageError, match="--tls-key"):
        Certificates.from_options(good[0], None, None)
    with pytest.raises(UsageError, match="found no file"):
        Certificates.from_options(tmp_path / "nothing.pem", good[1], None)
    with pytest.raises(UsageError, match="expected a certificate"):
        Certificates.from_options(good[0], files / "client.key", None)
    with pytest.raises(UsageError, match="expected certificates"):
        Certificates.from_options(*good, files / "client.key")
    locked = tmp_path / "locked.key"
    assert (
        run("openssl", "ec", "-in", str(good[1]), "-aes256", "-passout", "pass:x", "-out", str(locked)).returncode == 0
    )
    with pytest.raises(UsageError, match="password"):
        Certificates.from_options(good[0], locked, None)
