"""What a package of an environment needs, and what that needs in turn."""

from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def installed(environment: Path) -> dict[str, Distribution]:
    """The packages of an environment by name."""
    (folder,) = environment.glob("lib/python3*/site-packages")
    return {canonicalize_name(d.metadata["Name"]): d for d in distributions(path=[str(folder)])}


def needed(name: str, found: dict[str, Distribution]) -> set[str]:
    """The names that a package's requirements ask for, without extras."""
    asked = map(Requirement, found[name].requires or [])
    named = {canonicalize_name(r.name) for r in asked if not r.marker or r.marker.evaluate({"extra": ""})}
    return named & found.keys()


def closure(name: str, found: dict[str, Distribution]) -> dict[str, set[str]]:
    """What a package needs and what that needs in turn, each with its own needs."""
    known: dict[str, set[str]] = {}
    waiting = [name]
    while waiting:
        if (one := waiting.pop()) not in known:
            known[one] = needed(one, found)
            waiting += known[one]
    return known


def terms_of(one: Distribution) -> str | None:
    """A package's license: the expression of its metadata, else one short line of them."""
    told = one.metadata.get("License-Expression") or one.metadata.get("License") or ""
    return told if told and len(told) < 60 and "\n" not in told else None
