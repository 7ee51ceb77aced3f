"""Prints the packages of an image, as JSON. Its source runs inside the image and imports the standard library only."""

import json
import platform
import re
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def canonical(name: str) -> str:
    """Return a distribution's name as PEP 503 spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def describe(name: str, version: str, kind: str, license: str, needs: set[str]) -> dict[str, object]:
    """Return a package as `image_contents.ImagePackage` holds it."""
    return {"name": name, "version": version, "kind": kind, "license": license, "needs": sorted(needs)}


def python_packages() -> Iterator[dict[str, object]]:
    """Yield the installed distributions; requirements of extras are left out."""
    for distribution in distributions():
        metadata = distribution.metadata
        texts = [*(metadata.get_all("License-Expression") or []), *(metadata.get_all("License") or [])]
        license = texts[0] if texts else ""
        if not license or "\n" in license or len(license) > 60:
            classifiers = metadata.get_all("Classifier") or []
            license = next((text.rpartition(" :: ")[2] for text in classifiers if "License ::" in text), "")
        requirements = [text for text in distribution.requires or [] if "extra ==" not in text]
        needs = {canonical(match[0]) for text in requirements if (match := NAME.match(text))}
        yield describe(canonical(metadata["Name"]), distribution.version, "pypi", license, needs)


def debian_packages() -> Iterator[dict[str, object]]:
    """Yield the installed Debian packages, from dpkg's status file and from the folder that small images have."""
    packages = {}
    for path in [Path("/var/lib/dpkg/status"), *sorted(Path("/var/lib/dpkg/status.d").glob("*"))]:
        text = path.read_text("utf-8", "replace") if path.is_file() and path.suffix != ".md5sums" else ""
        for paragraph in text.split("\n\n"):
            fields = dict(re.findall(r"^(Package|Version|Status|Depends|Pre-Depends): (.*)$", paragraph, re.MULTILINE))
            if "Package" not in fields or "Version" not in fields or "deinstall" in fields.get("Status", ""):
                continue
            requirements = ",".join([fields.get("Depends", ""), fields.get("Pre-Depends", "")]).split(",")
            needs = {match[0] for text in requirements if (match := NAME.match(text.strip()))}
            packages[fields["Package"]] = describe(fields["Package"], fields["Version"], "deb", "", needs)
    yield from packages.values()


def system() -> str:
    """Return the name and version of the distribution."""
    path = Path("/etc/os-release")
    release = dict(
        re.findall(r'^(ID|VERSION_ID)="?([^"\n]*)"?$', path.read_text() if path.is_file() else "", re.MULTILINE)
    )
    return " ".join(release[name] for name in ("ID", "VERSION_ID") if name in release)


if __name__ == "__main__":
    packages = [*python_packages(), *debian_packages()]
    print(json.dumps({"python": platform.python_version(), "system": system(), "packages": packages}))
