"""What `make dist` builds: a wheel of the package and nothing else, an sdist that gives the same wheel."""

import email
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from packaging.metadata import Metadata
from smoke import run

import riemvae_core

ROOT = Path(__file__).resolve().parents[1]
VERSION = riemvae_core.__version__


def build(source, out, *options):
    """Build as `make dist` does, with the pinned setuptools and no network."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, *options, source]
    surroundings = os.environ | {"SOURCE_DATE_EPOCH": "315532800"}
    done = subprocess.run(command, env=surroundings, cwd=out, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    build(ROOT, folder)
    return folder


@pytest.fixture(scope="module")
def wheel(dist):
    (path,) = dist.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def sdist(dist):
    (path,) = dist.glob("*.tar.gz")
    return path


def package_files():
    """The files of the package as they lie here: no folders, no compiled Python, nothing hidden."""
    paths = (path for path in (ROOT / "riemvae_core").rglob("*") if path.is_file())
    seen = (path for path in paths if "__pycache__" not in path.parts and not path.name.startswith("."))
    return {path.relative_to(ROOT).as_posix() for path in seen}


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    assert wheel.name == f"riemvae_core-{VERSION}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    info = f"riemvae_core-{VERSION}.dist-info"
    about = {"METADATA", "RECORD", "WHEEL", "top_level.txt", "licenses/LICENSE", "licenses/LICENSE-TEXT"}
    assert held == package_files() | {f"{info}/{name}" for name in about}
    wanted = {
        "py.typed", "assets/fashion.npz", "assets/LICENSE-fashion-mnist", "assets/studies/generation.json",
        "assets/benchmarks/samplers.json", "assets/zoo/fashion-vae-2d.safetensors",
        "figures/riemvae.mplstyle", "figures/widgets/figures.css", "figures/widgets/js/stage/stage.js",
    }  # fmt: skip
    assert {f"riemvae_core/{name}" for name in wanted} <= held
    assert wheel.stat().st_size < 32e6


def test_the_sdist_holds_what_the_wheel_and_its_smoke_tests_need(sdist):
    with tarfile.open(sdist) as archive:
        held = {member.name.partition("/")[2] for member in archive if member.isfile()}
    made = {name for name in held if name.startswith("riemvae_core.egg-info/")}
    root = {"LICENSE", "LICENSE-TEXT", "MANIFEST.in", "PKG-INFO", "README.md", "pyproject.toml", "setup.cfg"}
    smoke = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests" / "smoke").glob("*.py")}
    assert held - made == package_files() | root | smoke


@pytest.mark.slow
def test_the_sdist_gives_the_same_wheel_byte_for_byte(sdist, wheel, tmp_path):
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    build(tmp_path / f"riemvae_core-{VERSION}", tmp_path, "--wheel")
    assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()


def test_the_metadata_is_what_an_index_takes(wheel):
    with zipfile.ZipFile(wheel) as archive:
        raw = archive.read(f"riemvae_core-{VERSION}.dist-info/METADATA")
    metadata = Metadata.from_email(raw, validate=True)
    assert str(metadata.version) == VERSION
    assert metadata.license_expression == "MIT"
    assert email.message_from_bytes(raw)["Description-Content-Type"] == "text/markdown"
    assert metadata.description == (ROOT / "README.md").read_text(encoding="utf8")
    assert "](" not in metadata.description  # no link or picture that only a checkout can follow


def test_lowest_versions_are_read_from_the_wheel(wheel):
    core = run.packages(wheel, "oldest", None)
    assert {name.partition("==")[0] for name in core} >= {"torch", "numpy", "scipy", "safetensors"}
    assert all(name.count("==") == 1 for name in core)
    assert "torch==2.13.0" in run.packages(wheel, "oldest", "2.13.0")
    assert "numpy" in run.packages(wheel, "newest", None)
    more = run.packages(wheel, "oldest", None, ["medoids"])
    assert [name.partition("==")[0] for name in more if name not in core] == ["kmedoids"]
    later = run.packages(wheel, "oldest", None, ["data"], python="3.13")
    assert len(later) == len({name.partition("==")[0] for name in later})
    assert {"numpy==2.1", "pillow==10.4", "tqdm==4.66"} <= {*later}
    assert {"numpy==2.0", "pillow==10"} <= {*run.packages(wheel, "oldest", None, ["data"], python="3.12")}
    with pytest.raises(ValueError, match="requirement must have one lower bound, got torch"):
        run.lowest(run.Requirement("torch"))
