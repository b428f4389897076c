"""The workflow files: pinned actions, least rights, and nothing run but targets of the Makefile."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = {*re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf8"), re.M)}
SAFE = {"contents": "read"}
RIGHTS = {  # who may more than read, and why it must
    ("pages", "publish"): {"pages": "write", "id-token": "write"},
    ("release", "package"): {"id-token": "write"},
    ("release", "page"): {"contents": "write", "id-token": "write", "attestations": "write"},
}


def load(path: Path) -> dict:
    return yaml.load(path.read_text(encoding="utf8"), yaml.BaseLoader)  # so that `on` stays a word


def jobs():
    return [pytest.param(path, name, job, id=f"{path.stem}-{name}")
            for path in FILES for name, job in load(path)["jobs"].items()]  # fmt: skip


def runs(job: dict) -> set[str]:
    """What a job's steps run, with each value of its matrix."""
    lines = {step["run"] for step in job["steps"] if "run" in step}
    for key, values in job.get("strategy", {}).get("matrix", {}).items():
        mark = f"${{{{ matrix.{key} }}}}"
        lines = {line.replace(mark, value) for line in lines for value in values}
    return lines


def test_there_is_one_for_each_occasion():
    assert [path.stem for path in FILES] == ["book", "pages", "release", "tests", "weekly"]


@pytest.mark.parametrize(("path", "name", "job"), jobs())
def test_a_job_runs_targets_of_the_makefile_alone(path, name, job):
    for line in runs(job):
        assert re.fullmatch(r"make( [a-z-]+)+", line), line
        assert {*line.split()[1:]} <= TARGETS, line


@pytest.mark.parametrize(("path", "name", "job"), jobs())
def test_a_job_has_a_limit_and_the_rights_it_needs(path, name, job):
    assert load(path)["permissions"] == SAFE
    assert job.get("permissions", SAFE) == RIGHTS.get((path.stem, name), SAFE)
    assert 0 < int(job["timeout-minutes"]) <= 120
    assert "concurrency" in load(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit_with_their_version_beside(path):
    uses = re.findall(r"uses: (.+)$", path.read_text(encoding="utf8"), re.M)
    assert uses
    assert [line for line in uses if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []
    assert [step for job in load(path)["jobs"].values() for step in job["steps"]
            if step.get("uses", "").startswith("actions/checkout")
            and step["with"] != {"persist-credentials": "false"}] == []  # fmt: skip


def test_an_action_has_one_pin_everywhere():
    pins = {
        line for path in FILES for line in re.findall(r"uses: (.+)$", path.read_text(encoding="utf8"), re.M)
    }
    assert len(pins) == len({line.partition("@")[0] for line in pins})


def test_every_python_and_every_set_of_versions_is_tried():
    (core,) = (job for path in FILES if path.stem == "tests" for name, job in load(path)["jobs"].items()
               if name == "core")  # fmt: skip
    assert core["strategy"]["matrix"] == {
        "python": ["3.11", "3.12", "3.13"],
        "target": ["test-oldest", "test-core", "test-newest"],
    }


def test_only_a_tag_publishes_and_no_password_is_kept():
    for path in FILES:
        text = path.read_text(encoding="utf8")
        assert "secrets." not in text
        assert ("gh-action-pypi-publish" in text) == (path.stem == "release")
    assert load(ROOT / ".github" / "workflows" / "release.yml")["on"] == {"push": {"tags": ["v*"]}}
