"""One endpoint that the attacks share."""

import gc

import pytest

from mlnb.serving.runtime.endpoint import Endpoint


@pytest.fixture(scope="module")
def endpoint(material, tmp_path_factory):
    created = Endpoint(material("linear").bundle(tmp_path_factory.mktemp("attacked") / "service").folder / "model")
    gc.collect()
    gc.freeze()  # as a worker does
    yield created
    gc.unfreeze()
    created.close()
