from importlib.metadata import version

import pytest

from mlnb.errors import MissingExtra
from mlnb.serving.requirements import libraries, pin, system_packages


@pytest.mark.parametrize(
    ("file", "library"), [("model.txt", ["lightgbm"]), ("model.pkl", ["scikit-learn"]), ("model.json", [])]
)
def test_a_model_brings_the_library_that_reads_it(tmp_path, file, library):
    (tmp_path / file).touch()
    assert list(libraries(tmp_path)) == ["bentoml", "httptools", "numpy", "uvloop", *library]


def test_everything_is_pinned_once_to_what_is_installed():
    lines = [line for line in pin(["numpy", "bentoml", "lightgbm"]).splitlines() if not line.startswith("#")]
    names = [line.partition("==")[0] for line in lines]
    assert names[:3] == ["bentoml", "lightgbm", "numpy"]
    assert len(set(names)) == len(names)
    assert {"starlette", "pydantic", "scipy"} <= set(names)
    assert not {"pandas", "pytest", "papermill", "wandb", "scikit-learn"} & set(names)
    assert f"numpy=={version('numpy')}" in lines


def test_a_library_that_is_not_installed_is_named():
    with pytest.raises(MissingExtra, match="pip install no-such-library"):
        pin(["no-such-library"])


def test_lightgbm_needs_openmp_of_the_system():
    assert system_packages(["bentoml", "lightgbm"]) == ["libgomp1"]
    assert system_packages(["bentoml", "scikit-learn"]) == []
