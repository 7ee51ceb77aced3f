"""What `mlnb serve` prints and follows: a request with key and certificate; pointers, or a catalog of models."""

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlnb.cli import serve
from mlnb.cli.serve import curl_options, follow
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


@pytest.mark.parametrize(
    ("options", "several", "names"),
    [
        ({}, False, set()),
        ({"follow": True, "canary": "@next"}, False, {"FOLLOW", "CANARY", "CANARY_SHARE"}),
        ({"shadow": "@next"}, False, {"SHADOW"}),
        ({}, True, set()),
        ({"canary": "@next"}, True, {"MODELS"}),
    ],
)
def test_one_model_has_pointers_and_several_have_a_catalog(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], several: bool, names: set[str]
) -> None:
    environment: dict[str, str] = {}
    monkeypatch.setattr(os, "environ", environment)
    followed = SimpleNamespace(path=tmp_path / "models.json", update=lambda: None)
    monkeypatch.setattr(serve, "FollowedModels", lambda project, path, args: followed)
    args: Any = SimpleNamespace(**{"run": "", "follow": False, "canary": None, "shadow": None, "share": 0.2, **options})
    source: Any = SimpleNamespace(folder=tmp_path / "model")
    update = follow(None, tmp_path / "3000.log", source, args, several)  # type: ignore[arg-type]
    assert {name.removeprefix("MLNB_") for name in environment} == names
    assert {path.name for path in tmp_path.iterdir()} == ({"3000.follow"} if "FOLLOW" in names else set())
    if not names:
        update()  # nothing is followed
