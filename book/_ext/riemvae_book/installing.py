"""The cell that lets a notebook start anywhere: it installs what is missing, and touches nothing else."""

import ast
import tomllib
from collections.abc import Iterable
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ALWAYS = ("figures", "medoids")  # extras that chapters use without an import that says so
FIRST_LINE = "# Installs the book's core and what else this notebook imports, only where it is missing:"
CELL = """\
{first_line}
# the core from a wheel that lies beside the notebook, else from the package index.
import importlib
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

needed = {needed}
missing = {{name: asked for name, asked in needed.items() if find_spec(name) is None}}
if missing:
    wheels = sorted(Path().glob("riemvae_core-*.whl"))
    if wheels and "riemvae_core" in missing:
        missing["riemvae_core"] = str(wheels[-1].resolve())
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-color", *missing.values()]
    done = subprocess.run(pip, capture_output=True, text=True)
    importlib.invalidate_caches()
    if done.returncode or any(find_spec(name) is None for name in missing):
        said = [line for line in done.stderr.splitlines() if not line.startswith("WARNING")]
        raise ImportError(
            f"pip could not install what is missing here: {{', '.join(missing)}}. It needs a network, once: "
            "run this cell again when there is one. pip said:\\n" + "\\n".join(said)[-2000:]
        )
    print(f"Installed {{', '.join(missing)}}. If a live figure does not appear, reload this page.")
"""


def requirements(root: Path) -> tuple[str, dict[str, list[str]]]:
    """The core with its lower bound, and what each of its extras asks for, from pyproject.toml."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf8"))["project"]
    return f"{project['name']}>={project['version']}", project["optional-dependencies"]


def imported(sources: Iterable[str]) -> set[str]:
    """The packages that code imports, by the first part of their names."""
    names: set[str] = set()
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                names.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                names.add((node.module or "").partition(".")[0])
    return names


def needed(root: Path, sources: Iterable[str]) -> dict[str, str]:
    """What a notebook with this code needs: the module to look for -> what pip is asked for.

    The core brings what it needs itself. Of its extras, every chapter may use those for figures and for
    centroids, and any other where its code imports them. Bounds for single Pythons are left to pip.
    """
    core, extras = requirements(root)
    own = imported(sources)
    asked = {"riemvae_core": core}
    for extra, packages in extras.items():
        for package in packages:
            requirement = Requirement(package)
            name = requirement.name.replace("-", "_")
            if requirement.marker is None and (extra in ALWAYS or name in own):
                asked[name] = package
    return asked


def install_cell(root: Path, sources: Iterable[str]) -> NotebookNode:
    """The cell for a notebook whose code cells hold `sources`."""
    lines = [f'    "{name}": "{asked}",' for name, asked in needed(root, sources).items()]
    return new_code_cell(
        CELL.format(first_line=FIRST_LINE, needed="\n".join(["{", *lines, "}"])).rstrip("\n")
    )


def binder_files(root: Path, wheel: str, sources: Iterable[str]) -> dict[str, str]:
    """What Binder reads beside published notebooks: the packages for all of them, and Python's version.

    ``pip install -r requirements.txt`` in that folder is also what a reader does before leaving the network.
    """
    packages = {**needed(root, sources), "riemvae_core": f"./{wheel}"}
    python = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf8"))["project"]["requires-python"]
    (lowest,) = (one.version for one in SpecifierSet(python) if one.operator == ">=")
    return {"requirements.txt": "\n".join(packages.values()) + "\n", "runtime.txt": f"python-{lowest}\n"}
