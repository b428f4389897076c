"""`make release`: everything of a release in _build/release, from one version.

The version is that of pyproject.toml; riemvae_core, CITATION.cff and a tag, if there is one, must agree.
There: wheel and sdist; the offline zip and the PDFs, where the Makefile has targets for them; CHANGES.md, the
changelog's entry; the SBOM; an archive of the sources with what Zenodo reads (CITATION.cff and a .zenodo.json
made from it), ready for a DOI; SHA256SUMS.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "_build"
OUT = BUILD / "release"
MORE = ("offline", "pdf")  # targets of the Makefile, by which these files are made: zip, PDF, EPUB


def version_of(root: Path) -> str:
    """The version that pyproject.toml, the package and CITATION.cff all say; ValueError where they differ."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf8"))["project"]["version"]
    package = (root / "riemvae_core" / "__init__.py").read_text(encoding="utf8")
    said = {
        "pyproject.toml": project,
        "riemvae_core": re.search(r'^__version__ = "(.+)"$', package, re.M)[1],
        "CITATION.cff": str(yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf8"))["version"]),
    }
    if len({*said.values()}) != 1:
        raise ValueError(f"version must be the same everywhere, got {said}")
    return project


def entry_of(changelog: str, version: str, tagged: bool) -> str:
    """The changelog's entry of a version; before its tag, that of what is unreleased."""
    entries = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", changelog, re.M | re.S))
    for heading, text in entries.items():
        if heading.split()[0] == version:
            return f"{text.strip()}\n"
    if tagged or "Unreleased" not in entries:
        raise ValueError(f"CHANGELOG.md must have an entry ## {version}, got {[*entries]}")
    return f"{entries['Unreleased'].strip()}\n"


def zenodo(citation: dict) -> dict:
    """CITATION.cff in the words that Zenodo reads from .zenodo.json."""
    return {
        "title": citation["title"],
        "description": citation["abstract"],
        "version": str(citation["version"]),
        "upload_type": "software",
        "access_right": "open",
        "license": {"id": citation["license"]},
        "creators": [{"name": author["name"]} for author in citation["authors"]],
        "keywords": citation["keywords"],
    }


def archive(version: str, commit: str = "HEAD") -> Path:
    """The sources of a commit as one zip with a .zenodo.json in it."""
    name = f"balls-codes-and-geodesics-{version}"
    told = OUT / ".zenodo.json"
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf8"))
    told.write_text(json.dumps(zenodo(citation), indent=2) + "\n", encoding="utf8")
    path = OUT / f"{name}-source.zip"
    command = ["git", "archive", f"--prefix={name}/", f"--add-file={told}", "--output", path, commit]
    subprocess.run(command, cwd=ROOT, check=True)
    told.unlink()
    return path


def checksums(folder: Path) -> str:
    """One line for each file, as `sha256sum --check` reads it."""
    names = sorted(path.name for path in folder.iterdir() if path.name != "SHA256SUMS")
    sums = (hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names)
    return "".join(f"{digest}  {name}\n" for digest, name in zip(sums, names, strict=True))


def make_more() -> list[Path]:
    """Make what further targets the Makefile has, and say what files they left."""
    targets = {*re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf8"), re.M)}
    found = []
    for target in MORE:
        if target not in targets:
            print(f"no `make {target}` in the Makefile: the release goes without")
            continue
        subprocess.run(["make", "--no-print-directory", target], cwd=ROOT, check=True)
        made = [*BUILD.glob("*"), *(BUILD / target).glob("*")]
        found += [path for path in made if path.suffix in (".zip", ".pdf", ".epub") and path not in found]
    return found


def uncommitted(root: Path) -> list[str]:
    """Files of the working tree that differ from the commit, or that it doesn't know."""
    told = subprocess.run(
        ["git", "status", "--porcelain"], cwd=root, check=True, capture_output=True, text=True
    )
    return [line[3:] for line in told.stdout.splitlines()]


def what_next(version: str, changes: list[str]) -> str:
    """What is left to do by hand, when everything of a release lies there."""
    if changes:
        return (
            "NOT a release: the archive of the sources is that of the last commit, the wheel is not.\n"
            f"{len(changes)} changed files are in no commit ({', '.join(changes[:3])}).\n"
            "Commit them and run it again."
        )
    return (
        f"Nothing is published yet. To do so: git tag v{version} && git push origin v{version}\n"
        "The workflow `release` then tests, builds this again, publishes wheel and sdist, opens the page.\n"
        "The archive of the sources is what a deposit with a DOI takes.\n"
        "Afterwards put a new ## Unreleased on top of CHANGELOG.md."
    )


def main() -> None:
    tag = sys.argv[1] if len(sys.argv) > 1 else None
    try:
        version = version_of(ROOT)
        if tag not in (None, f"v{version}"):
            raise ValueError(f"the tag must be v{version}, the version of pyproject.toml, got {tag}")
        if tag and (changed := uncommitted(ROOT)):
            raise ValueError(f"a tag needs all files in a commit, got {len(changed)} changed: {changed[:3]}")
        changes = entry_of((ROOT / "CHANGELOG.md").read_text(encoding="utf8"), version, tag is not None)
    except ValueError as wrong:
        sys.exit(f"error: {wrong}")
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    for path in [*(BUILD / "dist").iterdir(), BUILD / "sbom.json", *make_more()]:
        shutil.copyfile(path, OUT / path.name)
    (OUT / "CHANGES.md").write_text(changes, encoding="utf8")
    archive(version)
    (OUT / "SHA256SUMS").write_text(checksums(OUT), encoding="utf8")
    for path in sorted(OUT.iterdir()):
        print(f"{path.stat().st_size / 1e6:8.2f} MB  {path.relative_to(ROOT)}")
    print(what_next(version, uncommitted(ROOT)))


if __name__ == "__main__":
    main()
