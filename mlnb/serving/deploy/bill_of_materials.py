"""An image's bill of materials in CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json), the same for the same image."""

import uuid
from urllib.parse import quote

from mlnb import __version__
from mlnb.codec import Json, JsonObject
from mlnb.serving.deploy.container_images import Image
from mlnb.serving.deploy.image_contents import ImageContents, ImagePackage

FORMAT = "http://cyclonedx.org/schema/bom-1.6.schema.json"


def bill_of_materials(image: Image, contents: ImageContents) -> JsonObject:
    """Return the CycloneDX document: the image, its interpreter, every package, and the dependencies between them."""
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


def _component(package: ImagePackage, system: str) -> JsonObject:
    purl = _purl(package, system)
    component: dict[str, Json] = {
        "type": "library",
        "bom-ref": purl,
        "name": package.name,
        "version": package.version,
        "purl": purl,
    }
    if package.license:
        component["licenses"] = [{"license": {"name": package.license}}]
    return component


def _purl(package: ImagePackage, system: str) -> str:
    """Return the package URL (https://github.com/package-url/purl-spec)."""
    version = quote(package.version, safe=".-~")
    if package.kind == "deb":
        return f"pkg:deb/debian/{quote(package.name, safe='.-')}@{version}?distro={system}"
    return f"pkg:pypi/{package.name}@{version}"
