"""What the documents of the front door say holds."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf8")


def test_the_readme_s_programs_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where the last line saves
    program = "\n".join(re.findall(r"```python\n(.*?)```", README, re.S))
    names: dict = {}
    exec(compile(program, "README.md", "exec"), names)
    assert names["price"].shape == (500,)
    assert names["price"].min() > 0
    assert names["draws"].converged
    assert names["images"].shape == (64, 1, 28, 28)
    assert repr(names["rc"].load_space("fashion.safetensors", names["vae"])) == repr(names["space"])


def test_every_target_that_is_named_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf8"), re.M))
    named = {
        name
        for document in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "book/how_to_read.md")
        for name in re.findall(r"(?<=`)make ([a-z-]+)", (ROOT / document).read_text(encoding="utf8"))
    }
    assert named
    assert named <= targets


def test_every_folder_and_file_that_contributing_names_exists():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf8")
    names = re.findall(r"^\| `([\w/]+/)`", text, re.M)
    assert len(names) >= 5
    assert [name for name in names if not (ROOT / name).is_dir()] == []


def test_title_and_author_are_the_same_everywhere():
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf8"))
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf8"))
    assert config["title"] == config["sphinx"]["config"]["project"] == "Balls, Codes and Geodesics"
    assert citation["title"].startswith(config["title"])
    assert config["author"] == citation["authors"][0]["name"] == "the riemvae project"
    assert "the riemvae project" in (ROOT / "LICENSE").read_text(encoding="utf8")


def test_requirements_are_pinned():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf8").splitlines()
    wanted = [line for line in lines if line and not line.startswith("#")]
    assert [line for line in wanted if not re.fullmatch(r"[\w-]+==[\w.]+|-e \.", line)] == []
