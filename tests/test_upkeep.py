"""What the scripts of upkeep/ decide, without a network: a report's verdict, a release's parts."""

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

import riemvae_core
from upkeep import audit, links, needs, newest, release

ROOT = Path(__file__).resolve().parents[1]


def test_an_audit_that_asked_nobody_is_none():
    skipped = {"name": "numpy", "skip_reason": "Dependency not found"}
    clean = {"name": "scipy", "version": "1.17.1", "vulns": []}
    flawed = {"name": "pillow", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}]}
    assert audit.judge({"dependencies": [skipped] * 9 + [clean]})[0] == 2
    assert audit.judge({"dependencies": []})[0] == 2
    assert audit.judge({"dependencies": [clean] * 40 + [skipped]})[0] == 0
    status, lines = audit.judge({"dependencies": [clean, flawed]})
    assert status == 1
    assert "pillow 1.0: PYSEC-1, mended in 1.1" in lines


def test_an_audit_asks_for_what_is_installed_and_not_for_the_book():
    asked = audit.installed()
    pins = re.findall(r"^[\w-]+==\S+", (ROOT / "requirements.txt").read_text(encoding="utf8"), re.M)
    normal = {line.lower().replace("_", "-") for line in asked}
    assert {line.lower().replace("_", "-") for line in pins} <= normal
    assert not any("+" in line or line.startswith("riemvae") for line in asked)


def result(uri: str, status: str, info: str = "") -> dict:
    return {"uri": uri, "status": status, "info": info, "filename": "book/index.md"}


def test_links_that_are_broken_count_and_those_that_refuse_a_program_do_not():
    good, gone = result("https://a.org", "working"), result("https://b.org/x", "broken", "404 Not Found")
    shy = result("https://c.org", "broken", "403 Client Error: Forbidden")
    assert links.judge([good, shy, result("#here", "local")])[0] == 0
    status, lines = links.judge([good, shy, gone])
    assert status == 1
    assert lines[-1] == "3 links to other hosts: 1 broken, 1 refused"


def test_without_a_network_links_to_other_hosts_are_said_to_be_unchecked():
    dead = [
        result(f"https://{host}.org", "broken", "Failed to resolve (NameResolutionError)") for host in "ab"
    ]
    assert links.judge(dead) == (0, ["no network here: 2 links to 2 other hosts were not checked"])
    assert links.judge([*dead, result("https://c.org", "working")])[0] == 1


def test_what_linkcheck_wrote_is_read_and_taken_out_of_the_site(tmp_path, monkeypatch, capsys):
    (tmp_path / "a.html").write_text('<a href="https://b.org/x">b</a>')

    def linkcheck(*_, **__):
        told = json.dumps(result("https://b.org/x", "broken", "404 Not Found"))
        (tmp_path / "output.json").write_text(f"{told}\n")
        return subprocess.CompletedProcess([], 1, "", "")

    monkeypatch.setattr(links, "SITE", tmp_path)
    monkeypatch.setattr(links.subprocess, "run", linkcheck)
    with pytest.raises(SystemExit) as ended:
        links.main()
    assert ended.value.code == 1
    assert "BROKEN: https://b.org/x in book/index.md" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["a.html"]


def test_links_inside_a_site_are_followed_to_their_anchors(tmp_path):
    (tmp_path / "a.html").write_text(
        '<a id="x" href="b.html#y">b</a> <a href="#x">a</a> <a href="https://a.org">'
    )
    (tmp_path / "b.html").write_text('<a href="gone.html">c</a> <a href="a.html#z">a</a>')
    assert links.broken_inside(tmp_path, links.read_pages(tmp_path)) == [
        "a.html -> b.html#y (no such anchor)",
        "b.html -> gone.html",
        "b.html -> a.html#z (no such anchor)",
    ]


def test_the_newest_versions_are_asked_for_but_where_the_book_cannot_follow():
    loose = newest.loosened((ROOT / "requirements.txt").read_text(encoding="utf8"))
    pinned = re.findall(r"^([\w-]+)==", loose, re.M)
    assert {*pinned} == {*newest.CAPPED}
    assert "numpy>=" in loose
    assert "\n-e .\n" in loose


def test_the_wheel_s_needs_are_followed_to_the_end_and_no_further():
    found = needs.installed(Path(sys.prefix))
    tree = needs.closure("riemvae-core", found)
    assert {"torch", "numpy", "sympy"} <= tree.keys()  # sympy by torch
    assert "mpmath" in tree["sympy"]
    assert not {"matplotlib", "kmedoids", "jupyter-book", "pytest"} & tree.keys()  # extras and tools
    assert needs.terms_of(found["numpy"]).startswith("BSD-3-Clause")


def test_the_version_comes_from_one_place():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf8"))
    assert release.version_of(ROOT) == project["version"] == riemvae_core.__version__ == citation["version"]


def test_versions_that_differ_are_told(tmp_path):
    (tmp_path / "riemvae_core").mkdir()
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.0"\n')
    (tmp_path / "riemvae_core" / "__init__.py").write_text('__version__ = "1.0"\n')
    (tmp_path / "CITATION.cff").write_text("version: 1.1.0\n")
    with pytest.raises(ValueError, match=r"the same everywhere, got .*'CITATION\.cff': '1\.1\.0'"):
        release.version_of(tmp_path)


def test_a_release_takes_its_entry_from_the_changelog():
    log = "# Changelog\n\n## Unreleased\n\nnew\n\n## 0.2.0 (2026-01-01)\n\n- two\n\n## 0.1.0\n\n- one\n"
    assert release.entry_of(log, "0.2.0", tagged=True) == "- two\n"
    assert release.entry_of(log, "0.1.0", tagged=True) == "- one\n"
    assert release.entry_of(log, "0.3.0", tagged=False) == "new\n"
    with pytest.raises(ValueError, match=r"must have an entry ## 0\.3\.0"):
        release.entry_of(log, "0.3.0", tagged=True)


def test_the_archive_says_what_zenodo_reads(tmp_path, monkeypatch):
    if not (ROOT / ".git").exists():
        pytest.skip("the checkout is no repository")
    monkeypatch.setattr(release, "OUT", tmp_path)
    with zipfile.ZipFile(release.archive("0.1.0")) as held:
        names = held.namelist()
        told = json.loads(held.read("balls-codes-and-geodesics-0.1.0/.zenodo.json"))
    assert "balls-codes-and-geodesics-0.1.0/CITATION.cff" in names
    assert told["creators"] == [{"name": "the riemvae project"}]
    assert {"title", "description", "license", "upload_type", "keywords", "version"} <= told.keys()


def test_checksums_are_those_that_the_tool_checks(tmp_path):
    (tmp_path / "a.whl").write_bytes(b"a")
    (tmp_path / "SHA256SUMS").write_text(release.checksums(tmp_path))
    checked = subprocess.run(
        ["sha256sum", "--check", "SHA256SUMS"], cwd=tmp_path, capture_output=True, text=True
    )
    assert checked.stdout == "a.whl: OK\n"


def test_a_release_says_what_is_left_to_do(tmp_path):
    """What isn't committed is not in the archive of the sources, so that no release may be made of it."""
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    assert release.uncommitted(tmp_path) == []
    (tmp_path / "a file.txt").write_text("new")
    assert release.uncommitted(tmp_path) == ['"a file.txt"']
    assert "1 changed files are in no commit" in release.what_next("1.2.3", ["a"])
    assert "git push origin v1.2.3" in release.what_next("1.2.3", [])
