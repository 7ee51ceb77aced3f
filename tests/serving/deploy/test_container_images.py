"""Container images: the engine, the checks of the contents, the bill of materials."""

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from mlnb.cli.containerize import read_options
from mlnb.errors import ServingError, UsageError
from mlnb.serving.deploy import image_builder
from mlnb.serving.deploy.bill_of_materials import bill_of_materials
from mlnb.serving.deploy.container_engines import Engine, find_engine
from mlnb.serving.deploy.container_images import USER, Image, inspect_image, write_hashes
from mlnb.serving.deploy.image_contents import PROBE, ImageContents, ImagePackage, check_pins, probe_image
from mlnb.serving.packaging.library_requirements import HASHES

PACKAGES = (
    ("libc6", "2.36-9+deb12u14", "deb", "", ("libgcc-s1",)),
    ("libgomp1", "12.2.0-14", "deb", "", ("libc6",)),
    ("lightgbm", "4.7.0", "pypi", "MIT", ("numpy", "scipy")),
    ("numpy", "2.4.6", "pypi", "BSD-3-Clause", ()),
)
CONTENTS = ImageContents(
    python="3.12.1",
    system="debian 12",
    packages=tuple(
        ImagePackage(name=name, version=version, kind=kind, license=license, needs=needs)
        for name, version, kind, license, needs in PACKAGES
    ),
)
IMAGE = Image("localhost/churn:7", "ab" * 32, 250_000_000, "1034:1034", "python:3.12-slim", "churn:0123456789ab")


@pytest.fixture
def engines(tmp_path, monkeypatch):
    """Return a function that puts a program of that name, and with that script, first and alone on the path."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def make(name, script="exit 0"):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    return make


def test_the_first_engine_that_works_is_taken(engines):
    engines("docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    engines("podman")
    engines("buildah")
    assert find_engine().name == "podman"
    assert find_engine("buildah").name == "buildah"


def test_without_an_engine_the_error_names_one_to_install(engines):
    engines("docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    with pytest.raises(ServingError) as caught:
        find_engine()
    message = str(caught.value)
    assert "docker: installed, but it does not work (Cannot connect to the Docker daemon)" in message
    assert "podman: not installed; apt install podman" in message
    assert "buildah: not installed" in message
    with pytest.raises(ServingError, match="expected a working podman"):
        find_engine("podman")


def test_an_image_that_runs_as_root_is_refused(engines):
    about = json.dumps([{"Config": {"User": "bentoml"}, "Id": "sha256:ab", "Size": 7}])
    engines("podman", f"echo '{about}'")
    with pytest.raises(ServingError, match="runs as user 'bentoml', expected a number"):
        inspect_image(find_engine("podman"), "x:1", "base", "m:1")
    engines("podman", f"echo '{about.replace('bentoml', '1034:1034')}'")
    assert inspect_image(find_engine("podman"), "x:1", "base", "m:1").user == "1034:1034"


def test_an_image_lists_its_packages(tmp_path):
    """The source that runs inside images, run here."""
    program = tmp_path / "podman"
    program.write_text(f'#!/bin/sh\nwhile [ "$1" != -c ]; do shift; done\nexec {sys.executable} -c "$2"\n')
    program.chmod(0o755)
    contents = probe_image(Engine("podman", str(program)), "x:1")
    packages = {package.name: package for package in contents.packages}
    assert packages["bentoml"].version == importlib.metadata.version("bentoml")
    assert "numpy" in packages["lightgbm"].needs
    assert contents.python == sys.version.split()[0]
    assert compile(PROBE.read_text(), "image_probe", "exec")


def test_other_versions_than_the_verified_ones_are_refused():
    check_pins(CONTENTS, "# libraries\nLightGBM==4.7.0\nnumpy==2.4.6\n")
    with pytest.raises(ServingError, match=r"lightgbm 4.7.0, expected 4.6.0; numpy 2.4.6, expected none; scipy absent"):
        check_pins(CONTENTS, "lightgbm==4.6.0\nscipy==1.17.1\n")


def test_the_bill_of_materials_is_cyclonedx():
    bill = bill_of_materials(IMAGE, CONTENTS)
    assert bill == bill_of_materials(IMAGE, CONTENTS)
    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill))
    assert problem is None, problem
    purls = [component["purl"] for component in bill["components"]]
    assert "pkg:deb/debian/libc6@2.36-9%2Bdeb12u14?distro=debian-12" in purls
    assert "pkg:pypi/lightgbm@4.7.0" in purls
    depends = {entry["ref"]: entry["dependsOn"] for entry in bill["dependencies"]}
    assert depends["pkg:pypi/lightgbm@4.7.0"] == ["pkg:pypi/numpy@2.4.6"]
    assert len(depends["image:localhost/churn:7"]) == 5


def test_the_last_stage_is_owned_by_root_and_run_by_a_number():
    stage = image_builder.last_stage({"OMP_WAIT_POLICY": "passive"}, "b:1", ["libgomp1"], USER, ["python", "start.py"])
    assert '\nUSER 1034:1034\nENTRYPOINT ["python", "start.py"]' in stage
    assert "--chown" not in stage
    assert 'ENV OMP_WAIT_POLICY="passive"' in stage
    assert stage.count("FROM b:1") == 1
    assert "apt-get install -q -y --no-install-recommends libgomp1" in stage
    assert "\nRUN python -P /home/bentoml/bento/env/docker/image_compiler.py /home/bentoml/bento && rm -rf" in stage
    assert "apt-get" not in image_builder.last_stage({}, "b:1", [], USER, [])


def test_the_digests_of_libraries_are_compared_in_an_image(tmp_path):
    path = tmp_path / "requirements.txt"
    pin = HASHES.read_text().split(" \\\n")[0]
    path.write_text(f"{pin}\nnumpy==0.0.1\n")
    assert write_hashes(path) == ("numpy==0.0.1",)
    first, *digests, last = path.read_text().splitlines()
    assert (first, last) == (f"{pin} \\", "numpy==0.0.1")
    assert digests
    assert all(digest.startswith("    --hash=sha256:") for digest in digests)


def test_options_reach_the_engine_s_build():
    pairs = ["network=host", "no-cache", "build-arg=A=1", "build-arg=B=2"]
    assert read_options(pairs) == {"network": ("host",), "no_cache": True, "build_arg": ("A=1", "B=2")}
    with pytest.raises(UsageError, match="found no name"):
        read_options(["=x"])


def test_the_script_for_ci_reports_that_it_was_skipped(tmp_path):
    script = Path(__file__).parents[3] / "scripts" / "container.py"
    (tmp_path / "python").symlink_to(sys.executable)
    for more, code in (([], 77), (["--skippable"], 0)):
        done = subprocess.run(
            [sys.executable, str(script), *more], env={"PATH": str(tmp_path)}, capture_output=True, text=True
        )
        assert (done.returncode, done.stderr[:8]) == (code, "SKIPPED:")
