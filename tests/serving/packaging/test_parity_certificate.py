import json
import math
import re

import pytest

from mlnb.errors import ServingError
from mlnb.serving.packaging.bento_stores import build_bento
from mlnb.serving.packaging.bundles import Bundle, digest_tree
from mlnb.serving.packaging.parity_certificate import get_ready, prove


def test_a_bento_that_answers_as_the_notebook_did_is_certified(bundle, built, tmp_path):
    proof = prove(bundle, built, get_ready())
    certificate = dict(proof.certificate)
    digests, versions = certificate.pop("digests"), certificate.pop("versions")
    assert certificate == {
        "bento": bundle.tag,
        "model": bundle.model_tag,
        "service": digest_tree(bundle.folder),
        "rows": 25,
        "requests": 26,
        "ways": ["all rows in one request", "one row a request"],
        "identical": True,
    }
    assert set(digests) == {"rows", "predictions", "model"}
    assert {"python", "mlnb", "bentoml", "lightgbm", "numpy"} <= set(versions)
    assert json.loads((built.path / "src" / "certificate.json").read_text()) == proof.certificate
    assert 0 < proof.request_ms < 1000
    assert 0 < proof.start_seconds < 60


def test_a_key_that_is_set_for_the_service_does_not_lock_its_proof_out(quick_bundle, quick, tmp_path, monkeypatch):
    monkeypatch.setenv("MLNB_API_KEY", "secret")
    assert prove(quick_bundle, quick, get_ready()).certificate["identical"]


def test_one_bit_of_difference_is_named(altered, tmp_path):
    bundle = altered(family="linear").bundle(tmp_path / "service", name="altered")
    place = r"row 3, probabilities\.yes: found (\S+), expected (\S+)\. "
    with pytest.raises(ServingError, match=place) as caught:
        prove(bundle, build_bento(bundle), get_ready())
    found, wanted = map(float, re.search(place, str(caught.value)).groups())
    assert math.nextafter(found, 1) == wanted
    assert "must not be shipped" in str(caught.value)


def test_a_model_changed_after_the_notebook_is_noticed(material, tmp_path):
    bundle = material("linear").bundle(tmp_path / "service", name="swapped")
    model = bundle.folder / "model" / "fitted" / "model.json"
    fitted = json.loads(model.read_text())
    fitted["native"]["intercepts"][0] += 0.5
    model.write_text(json.dumps(fitted))
    changed = Bundle.read(bundle.folder)
    with pytest.raises(ServingError, match="row 0, "):
        prove(changed, build_bento(changed), get_ready())
