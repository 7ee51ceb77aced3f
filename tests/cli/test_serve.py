"""The request that `mlnb serve` prints: with the key and the certificate that the service needs."""

import subprocess
from pathlib import Path

import pytest

from mlnb.cli.serve import curl_options
from mlnb.methods.contracts.responses import Golden
from mlnb.serving.packaging.bundles import curl
from mlnb.serving.packaging.tls_certificates import Certificates


def test_the_request_has_the_first_key_of_the_environment_and_the_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    certificates = Certificates(Path("/srv/my keys/service.pem"), Path("/srv/my keys/service.key"))
    assert curl_options(None) == []
    monkeypatch.setenv("MLNB_API_KEY", "first,second")
    command = curl(Golden(rows=[{"a": 1}], predictions=[{}]), options=curl_options(certificates))
    assert "first" not in command
    words = subprocess.run(command.replace("curl", "printf '%s\\n'"), shell=True, capture_output=True, text=True)
    header = ["-H", "Authorization: Bearer first", "--cacert", "/srv/my keys/service.pem"]
    assert words.stdout.splitlines()[1:5] == header
