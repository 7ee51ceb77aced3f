"""Write the bill of materials of the environment that runs this script, in CycloneDX 1.6; no library is needed.

python scripts/sbom.py --out sbom.cdx.json

The release workflow runs it in an empty environment with the wheel, so that it lists exactly what the wheel installs.
"""

import argparse
import importlib.metadata
import json
import re
import sys
import uuid
from pathlib import Path
from typing import Any

TOOLS = ("pip", "setuptools", "wheel")  # of the environment, not of the wheel
PRODUCT = "mlnb"


def canonical(name: str) -> str:
    """Return the normalized name of a package."""
    return re.sub(r"[-_.]+", "-", name).lower()


def purl(name: str, version: str) -> str:
    """Return the package URL of a package from PyPI."""
    return f"pkg:pypi/{name}@{version}"


def bill_of_materials() -> dict[str, Any]:
    """Return the CycloneDX document of mlnb: every installed package, and which one needs which.

    Raises:
        PackageNotFoundError: mlnb is not installed in this environment.
    """
    versions = {canonical(package.name): package.version for package in importlib.metadata.distributions()}
    version = importlib.metadata.version(PRODUCT)
    packages = sorted(set(versions) - {PRODUCT, *TOOLS})
    references = {name: purl(name, versions[name]) for name in [PRODUCT, *packages]}
    dependencies = []
    for name, reference in references.items():
        lines = importlib.metadata.requires(name) or []
        names = {canonical(re.split(r"[^\w.-]", line)[0]) for line in lines if "extra ==" not in line}
        needed = sorted(references[one] for one in names if one in references and one != name)
        dependencies.append({"ref": reference, "dependsOn": needed})
    components = [
        {"type": "library", "bom-ref": references[name], "name": name, "version": versions[name]}
        | {"purl": references[name]}
        for name in packages
    ]
    top = {"type": "library", "bom-ref": references[PRODUCT], "name": PRODUCT, "version": version}
    digest = uuid.uuid5(uuid.NAMESPACE_OID, json.dumps([version, components], sort_keys=True))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{digest}",
        "version": 1,
        "metadata": {"component": {**top, "purl": references[PRODUCT]}},
        "components": components,
        "dependencies": dependencies,
    }


def main() -> int:
    """Write the document; return 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="file to write")
    args = parser.parse_args()
    document = bill_of_materials()
    args.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(f"{args.out}: {len(document['components'])} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
