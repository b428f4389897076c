"""`make sbom`: _build/sbom.json, a CycloneDX list of what the wheel needs and what the site copies.

The wheel's part is the closure of its requirements as .venv holds them, without extras; the site's is
book/licenses.yml. The same checkout gives the same file: no clock and no chance goes into it. It is validated
against CycloneDX's schema before it is written. Runs in _build/upkeep, and looks into .venv from there.
"""

import os
import sys
import uuid
from datetime import UTC, datetime
from importlib.metadata import Distribution
from pathlib import Path

import yaml
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from packaging.utils import canonicalize_name

from upkeep.needs import closure, installed, terms_of

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "_build" / "sbom.json"
OWN = "riemvae-core"


def python_component(name: str, version: str, license_id: str | None) -> Component:
    purl = PackageURL("pypi", name=name, version=version)
    return component(name, version, license_id, purl, ComponentType.LIBRARY)


def component(
    name: str, version: str | None, terms: str | None, purl: PackageURL | None, kind: ComponentType
) -> Component:
    licenses = [LicenseFactory().make_from_string(terms)] if terms else []
    ref = str(purl or f"site:{name}")
    return Component(type=kind, name=name, version=version, licenses=licenses, purl=purl, bom_ref=ref)


def site_component(entry: dict) -> Component:
    """An entry of book/licenses.yml."""
    kind, version = ComponentType.DATA if entry.get("data") else ComponentType.LIBRARY, entry.get("version")
    purl = None
    if "npm" in entry:
        scope, _, name = entry["npm"].rpartition("/")
        purl = PackageURL("npm", scope or None, name, version)
    elif "package" in entry:
        purl = PackageURL("pypi", name=entry["package"], version=version)
    made = component(entry["name"], version, entry["license"], purl, kind)
    if "copyright" in entry:
        made.copyright = entry["copyright"]
    return made


def make_bom(found: dict[str, Distribution], entries: list[dict]) -> Bom:
    """The whole list; ``found`` are the packages of .venv, ``entries`` those of book/licenses.yml."""
    version = found[OWN].version
    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"{OWN}=={version}"))
    bom.metadata.timestamp = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", 0)), UTC)
    tree = closure(OWN, found)
    parts = {name: python_component(name, found[name].version, terms_of(found[name])) for name in tree}
    parts[OWN] = python_component(OWN, version, "MIT")
    bom.metadata.component = parts[OWN]
    site = component("Balls, Codes and Geodesics", version, "CC-BY-4.0", None, ComponentType.DATA)
    copied = [site_component(entry) for entry in entries]
    for one in [*(parts[name] for name in tree if name != OWN), site, *copied]:
        bom.components.add(one)
    for name, names in tree.items():
        bom.register_dependency(parts[name], [parts[one] for one in names])
    bom.register_dependency(site, copied)
    return bom


def main() -> None:
    entries = yaml.safe_load((ROOT / "book" / "licenses.yml").read_text(encoding="utf8"))
    found = installed(ROOT / ".venv")
    for entry in entries:
        if "package" in entry and "npm" not in entry:
            entry["version"] = found[canonicalize_name(entry["package"])].version
    bom = make_bom(found, entries)
    text = JsonV1Dot6(bom).output_as_string(indent=2)
    if wrong := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        sys.exit(f"error: the list is no CycloneDX 1.6: {wrong}")
    OUT.write_text(text + "\n", encoding="utf8")
    print(f"{OUT.relative_to(ROOT)}: {len(bom.components)} components, valid CycloneDX 1.6")


if __name__ == "__main__":
    main()
