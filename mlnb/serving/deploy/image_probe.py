"""Prints what an image holds, as JSON. Its source runs inside the image, so it needs Python alone."""

import json
import platform
import re
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def canonical(name: str) -> str:
    """Return a distribution's name as PEP 503 spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def python_packages() -> list[dict[str, Any]]:
    """Return the installed distributions; of what they require, extras are left out."""
    found = []
    for distribution in distributions():
        about = distribution.metadata
        written = [*(about.get_all("License-Expression") or []), *(about.get_all("License") or [])]
        licence = written[0] if written else ""
        if not licence or "\n" in licence or len(licence) > 60:
            said = [text.rpartition(" :: ")[2] for text in about.get_all("Classifier") or [] if "License ::" in text]
            licence = said[0] if said else ""
        wanted = [text for text in distribution.requires or [] if "extra ==" not in text]
        names = sorted({canonical(match[0]) for text in wanted if (match := NAME.match(text))})
        name = canonical(about["Name"])
        found.append(
            {"name": name, "version": distribution.version, "kind": "pypi", "licence": licence, "needs": names}
        )
    return found


def debian_packages() -> list[dict[str, Any]]:
    """Return the installed Debian packages, from dpkg's status file and from the folder that small images have."""
    found = {}
    for place in [Path("/var/lib/dpkg/status"), *sorted(Path("/var/lib/dpkg/status.d").glob("*"))]:
        text = place.read_text("utf-8", "replace") if place.is_file() and place.suffix != ".md5sums" else ""
        for paragraph in text.split("\n\n"):
            fields = dict(re.findall(r"^(Package|Version|Status|Depends|Pre-Depends): (.*)$", paragraph, re.MULTILINE))
            if "Package" not in fields or "Version" not in fields or "deinstall" in fields.get("Status", ""):
                continue
            wanted = ",".join([fields.get("Depends", ""), fields.get("Pre-Depends", "")]).split(",")
            names = {match[0] for text in wanted if (match := NAME.match(text.strip()))}
            name = fields["Package"]
            found[name] = {
                "name": name,
                "version": fields["Version"],
                "kind": "deb",
                "licence": "",
                "needs": sorted(names),
            }
    return list(found.values())


def system() -> str:
    """Return the name and version of the distribution."""
    place = Path("/etc/os-release")
    said = dict(
        re.findall(r'^(ID|VERSION_ID)="?([^"\n]*)"?$', place.read_text() if place.is_file() else "", re.MULTILINE)
    )
    return " ".join(said[name] for name in ("ID", "VERSION_ID") if name in said)


if __name__ == "__main__":
    packages = python_packages() + debian_packages()
    print(json.dumps({"python": platform.python_version(), "system": system(), "packages": packages}))
