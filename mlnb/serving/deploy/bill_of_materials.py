"""An image's bill of materials in CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json), the same for the same image."""

import uuid
from typing import Any
from urllib.parse import quote

from mlnb import __version__
from mlnb.serving.deploy.container_images import Image
from mlnb.serving.deploy.image_contents import Contents, Package

FORMAT = "http://cyclonedx.org/schema/bom-1.6.schema.json"


def bill_of_materials(image: Image, contents: Contents) -> dict[str, Any]:
    """Return the CycloneDX document: the image, its interpreter, every package, and who requires whom."""
    top = f"image:{image.tag}"
    system = contents.system.replace(" ", "-")
    references = {(package.kind, package.name): _purl(package, system) for package in contents.packages}
    python = {
        "type": "platform",
        "bom-ref": f"pkg:generic/python@{contents.python}",
        "name": "python",
        "version": contents.python,
        "purl": f"pkg:generic/python@{contents.python}",
    }
    depends = [
        {
            "ref": references[package.kind, package.name],
            "dependsOn": sorted(
                {references[package.kind, name] for name in package.needs if (package.kind, name) in references}
            ),
        }
        for package in contents.packages
    ]
    name, _, version = image.tag.rpartition(":")
    return {
        "$schema": FORMAT,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, image.id)}",
        "version": 1,
        "metadata": {
            "tools": {"components": [{"type": "application", "name": "mlnb", "version": __version__}]},
            "component": {
                "type": "container",
                "bom-ref": top,
                "name": name,
                "version": version,
                "properties": [
                    {"name": "mlnb:image", "value": image.id},
                    {"name": "mlnb:base", "value": image.base},
                    {"name": "mlnb:model", "value": image.model},
                ],
            },
        },
        "components": [python, *(_component(package, system) for package in contents.packages)],
        "dependencies": [{"ref": top, "dependsOn": sorted([python["bom-ref"], *references.values()])}, *depends],
    }


def _component(package: Package, system: str) -> dict[str, Any]:
    purl = _purl(package, system)
    described: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl,
        "name": package.name,
        "version": package.version,
        "purl": purl,
    }
    if package.licence:
        described["licenses"] = [{"license": {"name": package.licence}}]
    return described


def _purl(package: Package, system: str) -> str:
    """Return the package URL (https://github.com/package-url/purl-spec)."""
    version = quote(package.version, safe=".-~")
    if package.kind == "deb":
        return f"pkg:deb/debian/{quote(package.name, safe='.-')}@{version}?distro={system}"
    return f"pkg:pypi/{package.name}@{version}"
