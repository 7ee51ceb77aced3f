"""Write constraints.txt from the requirements in settings.ini, or check without a network that the two agree.

python scripts/constraints.py              resolve again, keeping the versions that still fit
python scripts/constraints.py --upgrade    resolve again, taking the newest versions that fit
python scripts/constraints.py --check      print what is out of step, and exit with 1 if anything is
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
OLDEST, NEWEST = "3.11", "3.13"
LINE = re.compile(r"^[a-z0-9-]+==[A-Za-z0-9.+!]+( ; [^#/\\@]+)?$")


def declared(settings: Path) -> list[str]:
    """Return the requirements of all sets in settings.ini, in the order in which they stand there."""
    parser = configparser.ConfigParser()
    parser.read(settings, encoding="utf-8")
    keys = [key for key in parser["DEFAULT"] if key.endswith("_requirements") and key != APART]
    return list(dict.fromkeys(line for key in keys for line in parser["DEFAULT"][key].split()))


def resolve(requirements: list[str], previous: str, upgrade: bool) -> str:
    """Return one line `name==version ; marker` for each package that is needed, on every platform."""
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


def main() -> int:
    """Write or check constraints.txt; return 0 when it is right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing, use no network")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that fit")
    args = parser.parse_args()
    requirements, path = declared(ROOT / "settings.ini"), ROOT / "constraints.txt"
    previous = path.read_text(encoding="utf-8") if path.exists() else ""
    if not args.check:
        previous = resolve(requirements, previous, args.upgrade)
        path.write_text(previous, encoding="utf-8")
    messages = problems(requirements, previous)
    for problem in messages:
        print(f"constraints.txt: {problem}", file=sys.stderr)
    if messages:
        print("constraints.txt: run `make constraints` and commit what it writes", file=sys.stderr)
    return 1 if messages else 0


if __name__ == "__main__":
    sys.exit(main())
