"""The cell that installs: what it asks pip for, what it leaves alone, what it says when pip fails."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement
from riemvae_book.installing import binder_files, install_cell, needed

ROOT = Path(__file__).resolve().parents[2]
SETUP = "import matplotlib.pyplot as plt\nimport riemvae_core as rc\nfrom torch import nn"


@pytest.fixture
def run_cell(tmp_path, monkeypatch, capsys):
    """Run the cell in a folder where some modules are missing, with a pip that notes what it is asked for."""
    monkeypatch.chdir(tmp_path)

    def run(missing: set[str], code: str = SETUP, fails: bool = False):
        there, asked = importlib.util.find_spec, []

        def pip(command, **_):
            asked.append(command)
            if not fails:
                missing.clear()
            return SimpleNamespace(returncode=int(fails), stderr="WARNING: Retrying\nERROR: none found")

        monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n in missing else there(n))
        monkeypatch.setattr(subprocess, "run", pip)
        exec(install_cell(ROOT, [code]).source, {})
        return asked, capsys.readouterr().out

    return run


def test_it_touches_nothing_where_all_is_there(run_cell):
    assert run_cell(set()) == ([], "")


def test_it_takes_the_wheel_beside_the_notebook(run_cell, tmp_path):
    wheel = tmp_path / "riemvae_core-0.1.0-py3-none-any.whl"
    wheel.touch()
    ((command,), said) = run_cell({"riemvae_core"})
    assert command == [sys.executable, "-m", "pip", "install", "--quiet", "--no-color", str(wheel)]
    assert said.startswith("Installed riemvae_core.")


def test_without_a_wheel_it_asks_by_name_and_lower_bounds(run_cell):
    ((command,), _) = run_cell({"riemvae_core", "anywidget"})
    assert command[6:] == ["riemvae-core>=0.1.0", "anywidget>=0.9.13"]


def test_a_wheel_that_is_not_needed_is_left_alone(run_cell, tmp_path):
    (tmp_path / "riemvae_core-0.1.0-py3-none-any.whl").touch()
    ((command,), _) = run_cell({"matplotlib"})
    assert command[6:] == ["matplotlib>=3.9"]


def test_a_failure_says_what_pip_could_not_do_and_why(run_cell):
    said = r"missing here: riemvae_core\. It needs a network, once: run .* pip said:\nERROR: none found$"
    with pytest.raises(ImportError, match=said):
        run_cell({"riemvae_core"}, fails=True)


def test_a_chapter_s_own_imports_decide_which_extras_it_needs():
    always = {"riemvae_core", "matplotlib", "ipywidgets", "anywidget", "kmedoids"}
    assert set(needed(ROOT, [SETUP])) == always
    assert set(needed(ROOT, [SETUP, "if True:\n    from pythae.models import VAE"])) == {*always, "pythae"}
    assert all(">=" in asked and "==" not in asked for asked in needed(ROOT, ["import diffusers"]).values())


def test_binder_installs_the_wheel_beside_the_notebooks_and_what_they_import():
    files = binder_files(ROOT, "riemvae_core-0.1.0-py3-none-any.whl", [SETUP, "import pythae"])
    first, *others = files["requirements.txt"].splitlines()
    assert first == "./riemvae_core-0.1.0-py3-none-any.whl"
    assert {Requirement(line).name for line in others} == {
        *("matplotlib", "ipywidgets", "anywidget", "kmedoids", "pythae")
    }
    assert files["runtime.txt"] == "python-3.11\n"
