import json
import math
import re

import pytest

from mlnb.errors import ServingError
from mlnb.methods.contracts.certificates import ParityCertificate
from mlnb.serving.packaging.bundles import Bundle, digest_tree
from mlnb.serving.packaging.parity_certificate import start_verification, verify_bento
from mlnb.serving.runtime.model_parts import read_record


def test_a_bento_with_the_notebooks_predictions_is_certified(bundle, built, tmp_path):
    check = verify_bento(bundle, built, start_verification())
    certificate = check.certificate
    assert certificate == ParityCertificate(
        bento=bundle.tag,
        model=bundle.model_tag,
        service=digest_tree(bundle.folder),
        rows=25,
        requests=26,
        batching=("all rows in one request", "one row a request"),
        identical=True,
        digests=certificate.digests,
        versions=certificate.versions,
    )
    assert certificate.digests.model == digest_tree(bundle.folder / "model")
    assert {"python", "mlnb", "bentoml", "lightgbm", "msgspec", "numpy"} <= set(certificate.versions)
    assert read_record(ParityCertificate, built.path / "src" / "certificate.json") == certificate
    assert 0 < check.request_ms < 1000
    assert 0 < check.start_seconds < 60


def test_a_key_of_the_service_does_not_apply_to_its_parity_check(quick_bundle, quick, tmp_path, monkeypatch):
    monkeypatch.setenv("MLNB_API_KEY", "secret")
    assert verify_bento(quick_bundle, quick, start_verification()).certificate.identical


def test_one_bit_of_difference_is_named(altered, build, tmp_path):
    bundle = altered(family="linear").bundle(tmp_path / "service", name="altered")
    message = r"row 3, probabilities\.yes: found (\S+), expected (\S+)\. "
    with pytest.raises(ServingError, match=message) as caught:
        verify_bento(bundle, build(bundle), start_verification())
    returned, expected = map(float, re.search(message, str(caught.value)).groups())
    assert math.nextafter(returned, 1) == expected
    assert "must not be deployed" in str(caught.value)


def test_a_model_changed_after_the_notebook_is_noticed(material, build, tmp_path):
    bundle = material("linear").bundle(tmp_path / "service", name="swapped")
    model = bundle.folder / "model" / "fitted" / "model.json"
    fitted = json.loads(model.read_text())
    fitted["native"]["intercepts"][0] += 0.5
    model.write_text(json.dumps(fitted))
    changed = Bundle.read(bundle.folder)
    with pytest.raises(ServingError, match="row 0, "):
        verify_bento(changed, build(changed), start_verification())
