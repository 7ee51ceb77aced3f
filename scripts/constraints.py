"""Write the exact versions of all libraries from the requirements in settings.ini, or check offline that they agree.

python scripts/constraints.py              resolve again, keeping the versions that still fit
python scripts/constraints.py --upgrade    resolve again, taking the newest versions that fit
python scripts/constraints.py --check      print what is out of step, and exit with 1 if anything is

It writes four files:
- constraints.txt: one version of each library in any set, for `pip install -c`;
- requirements-dev.txt: what `make` and CI install, with the SHA-256 digest of each file that may be installed;
- mlnb/serving/packaging/library_hashes.txt: the same for the libraries of services, which images install;
- requirements-docs.txt: the same for the tools that build the documentation site, which `make docs` installs.
"""

import argparse
import configparser
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
APART = "bench_requirements"  # what the benchmarks compare with need not fit the rest
STORAGE = ("s3_requirements", "gcs_requirements", "azure_requirements")
IMAGES = ("serving_requirements", "modelling_requirements", "text_requirements", *STORAGE)
LEARNERS = ("xgboost_requirements", "catboost_requirements")
DOCS = "docs_requirements"
UNTESTED = (*STORAGE, *LEARNERS, "bigquery_requirements", "model-signing_requirements", DOCS)  # no test needs them
OLDEST, NEWEST = "3.11", "3.13"
LINE = re.compile(r"^[a-z0-9-]+==[A-Za-z0-9.+!]+( ; [^#/\\@]+)?$")
HASHES = re.compile(r"( \\\n    --hash=sha256:[0-9a-f]{64})+$")
HASHED = {
    "requirements-dev.txt": "development",
    "mlnb/serving/packaging/library_hashes.txt": "images",
    "requirements-docs.txt": "docs",
}


def declared(settings: Path, group: str = "all") -> list[str]:
    """Return the requirements of the sets in settings.ini, in the order in which they stand there.

    Args:
        settings: the file.
        group: all; development: what `make` installs; images: what services may need; docs: what builds the site.
    """
    parser = configparser.ConfigParser()
    parser.read(settings, encoding="utf-8")
    keys = [key for key in parser["DEFAULT"] if key.endswith("_requirements") and key != APART]
    groups = {"images": IMAGES, "docs": (DOCS,), "development": [key for key in keys if key not in UNTESTED]}
    keys = [key for key in keys if key in groups.get(group, keys)]
    return list(dict.fromkeys(line for key in keys for line in parser["DEFAULT"][key].split()))


def resolve(requirements: list[str], previous: str, upgrade: bool, hashes: bool = False) -> str:
    """Return one line `name==version ; marker` for each package that is needed, on every platform.

    Args:
        requirements: what is needed.
        previous: versions that are kept while they fit.
        upgrade: take the newest versions instead.
        hashes: add a line with the digest of each file of each package.
    """
    with tempfile.TemporaryDirectory() as folder:
        wanted, pinned = Path(folder, "requirements.in"), Path(folder, "constraints.txt")
        wanted.write_text("\n".join(requirements) + "\n", encoding="utf-8")
        pinned.write_text(previous, encoding="utf-8")
        command = [
            shutil.which("uv") or str(Path(sys.executable).with_name("uv")),
            "pip",
            "compile",
            "--quiet",
            "--universal",
        ]
        command += [
            "--python-version",
            OLDEST,
            "--no-header",
            "--no-annotate",
            "--no-emit-index-url",
            "--no-emit-find-links",
        ]
        command += ["--upgrade"] if upgrade else []
        command += ["--generate-hashes"] if hashes else []
        subprocess.run([*command, "--output-file", str(pinned), str(wanted)], check=True)
        return "".join(
            f"{line}\n" for line in pinned.read_text(encoding="utf-8").splitlines() if line and line[0] not in "#-"
        )


def problems(requirements: list[str], constraints: str) -> list[str]:
    """Return what is wrong with `constraints`: lines with more than a version, requirements missed."""
    lines = constraints.splitlines()
    messages = [f"{line!r} is not of the form 'name==version ; marker'" for line in lines if not LINE.match(line)]
    pins: dict[str, list[Requirement]] = {}
    for line in lines:
        if LINE.match(line):
            pin = Requirement(line)
            pins.setdefault(canonicalize_name(pin.name), []).append(pin)
    for requirement in map(Requirement, requirements):
        for python in (OLDEST, NEWEST):
            where = {"python_version": python, "python_full_version": f"{python}.7", "extra": ""}
            versions = [
                p for p in pins.get(canonicalize_name(requirement.name), []) if not p.marker or p.marker.evaluate(where)
            ]
            if len(versions) != 1:
                messages.append(f"{requirement.name}: {len(versions)} versions for Python {python}, expected one")
            elif not requirement.specifier.contains(next(iter(versions[0].specifier)).version, prereleases=True):
                messages.append(f"{versions[0]} does not satisfy {requirement}")
    return messages


def hash_problems(requirements: list[str], constraints: str, hashed: str) -> list[str]:
    """Return what is wrong with a hashed file: entries without hashes, or versions other than in `constraints`."""
    entries = [entry for entry in re.split(r"\n(?! )", hashed.rstrip("\n")) if entry]
    messages = [f"{entry[:60]!r} has no hashes, or other text" for entry in entries if not HASHES.search(entry)]
    pins = [HASHES.sub("", entry) for entry in entries]
    pinned = {line.partition(" ;")[0] for line in constraints.splitlines()}
    messages += [f"{pin} is not in constraints.txt" for pin in pins if pin.partition(" ;")[0] not in pinned]
    return messages + problems(requirements, "\n".join(pins))


def main() -> int:
    """Write or check the files; return 0 when they are right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing, use no network")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that fit")
    args = parser.parse_args()
    settings = ROOT / "settings.ini"
    texts = {name: read(ROOT / name) for name in ("constraints.txt", *HASHED)}
    if not args.check:
        texts["constraints.txt"] = resolve(declared(settings), texts["constraints.txt"], args.upgrade)
        for name, group in HASHED.items():
            texts[name] = resolve(declared(settings, group), texts["constraints.txt"], False, hashes=True)
        for name, text in texts.items():
            (ROOT / name).write_text(text, encoding="utf-8")
    constraints = texts["constraints.txt"]
    messages = [f"constraints.txt: {problem}" for problem in problems(declared(settings), constraints)]
    for name, group in HASHED.items():
        wrong = hash_problems(declared(settings, group), constraints, texts[name])
        messages += [f"{name}: {problem}" for problem in wrong]
    for message in messages:
        print(message, file=sys.stderr)
    if messages:
        print("run `make constraints` and commit what it writes", file=sys.stderr)
    return 1 if messages else 0


def read(path: Path) -> str:
    """Return the text of a file; empty when there is none."""
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
