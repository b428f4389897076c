"""Install the wheel into an empty environment and run its smoke tests there, from outside the checkout.

    python tests/smoke/run.py oldest|newest [WHEEL] [--python PROGRAM] [--torch VERSION] [--keep]

``oldest`` takes the lowest version that the wheel's metadata allows for each package it names, ``newest`` the
newest that pip finds. The tests run twice: with the core alone, then with the extras medoids, data and
figures. ``--python`` (or PYTHON in the environment) names another Python, such as python3.13. ``--torch`` (or
TORCH) pins torch alone: on Linux, plain pip fetches a CUDA build of several GB. ``--keep`` takes the
environment as the last run left it. Needs the package `packaging`.
"""

import argparse
import email
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "_build"
EXTRAS = ("medoids", "data", "figures")
SERIES = f"{sys.version_info.major}.{sys.version_info.minor}"


def requirements(wheel: Path, extras: Iterable[str] = (), python: str = SERIES) -> list[Requirement]:
    """What a wheel's metadata asks for, with these extras, on a Python such as 3.13."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
    asked = map(Requirement, metadata.get_all("Requires-Dist", []))
    places = [{"extra": extra, "python_version": python} for extra in ("", *extras)]
    return [r for r in asked if not r.marker or any(map(r.marker.evaluate, places))]


def lowest(requirement: Requirement) -> Version:
    """The bound of ``name>=bound``; ValueError for a requirement without one lower bound."""
    bounds = [s.version for s in requirement.specifier if s.operator == ">="]
    if len(bounds) != 1:
        raise ValueError(f"requirement must have one lower bound, got {requirement}")
    return Version(bounds[0])


def packages(
    wheel: Path, which: str, torch: str | None, extras: Iterable[str] = (), python: str = SERIES
) -> list[str]:
    """What pip is asked to install beside the wheel; of two bounds for this Python the higher one counts."""
    asked = requirements(wheel, extras, python)
    names = {r.name: r.name for r in asked}
    if which == "oldest":
        bounds = {name: max(lowest(r) for r in asked if r.name == name) for name in names}
        names = {name: f"{name}=={bound}" for name, bound in bounds.items()}
    return [*(names | ({"torch": f"torch=={torch}"} if torch else {})).values()]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("which", choices=("oldest", "newest"))
    parser.add_argument("wheel", type=Path, nargs="?", help="by default the one in _build/dist")
    parser.add_argument("--python", default=os.environ.get("PYTHON") or sys.executable, metavar="PROGRAM")
    parser.add_argument("--torch", default=os.environ.get("TORCH"), metavar="VERSION")
    parser.add_argument("--keep", action="store_true")
    asked = parser.parse_args()
    (wheel,) = [asked.wheel] if asked.wheel else sorted((BUILD / "dist").glob("*.whl"))
    which_python = subprocess.run([asked.python, "--version"], check=True, capture_output=True, text=True)
    series = ".".join(which_python.stdout.split()[1].split(".")[:2])
    folder = BUILD / f"venv-{asked.which}-{series}"
    if not (asked.keep and folder.is_dir()):
        subprocess.run([asked.python, "-m", "venv", "--clear", folder], check=True)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    surroundings = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}

    def call(*arguments: object, cwd: str | None = None) -> None:
        subprocess.run([python, *map(str, arguments)], check=True, env=surroundings, cwd=cwd)

    pip = ("-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input")
    eager = ("--upgrade", "--upgrade-strategy", "eager") if asked.which == "newest" else ()
    with tempfile.TemporaryDirectory() as outside:
        shutil.copy(HERE / "test_wheel.py", outside)
        call(*pip, "install", "--force-reinstall", "--no-deps", wheel)
        for extras in ((), EXTRAS):
            names = packages(wheel, asked.which, asked.torch, extras, series)
            print(f"Python {series}: installing {wheel.name} with {', '.join(names)}", flush=True)
            call(*pip, "install", *eager, *names, "pytest")
            call("-m", "pip", "check")
            call("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_wheel.py", cwd=outside)
    call("-m", "pip", "--disable-pip-version-check", "list")


if __name__ == "__main__":
    main()
