"""Whatever the site copies from others has an entry in book/licenses.yml, and its license travels along."""

from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from riemvae_book.licenses import license_text, read_licenses, text_name, unlisted

ROOT = Path(__file__).resolve().parents[2]
ENTRIES = read_licenses(ROOT)
OWN = {path.relative_to(ROOT / "book" / "_static").as_posix() for path in (ROOT / "book/_static").rglob("*")}


def test_every_file_that_the_site_copies_has_an_entry(site):
    assert unlisted(site / "_static", OWN, ENTRIES) == []


def test_a_file_without_an_entry_is_found(tmp_path):
    for name in ("basic.css", "mine.js", "riemvae/bound.js", "vendor/mathjax/a.js", "vendor/new/font.woff2"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert unlisted(tmp_path, {"mine.js"}, ENTRIES) == ["vendor/new/font.woff2"]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["name"])
def test_an_entry_says_what_is_there(site, entry):
    static = site / "_static"
    names = [path.relative_to(static).as_posix() for path in static.rglob("*") if path.is_file()]
    found = {pattern: [n for n in names if fnmatchcase(n, pattern)] for pattern in entry["files"]}
    assert all(found.values()), f"no file of the site matches a pattern of {found}"
    if "npm" in entry and "version" in entry:  # a package bundles this version: its files say so
        scripts = (n for held in found.values() for n in held if n.endswith((".js", ".css")))
        texts = (static.joinpath(name).read_text(encoding="utf8") for name in scripts)
        assert any(entry["version"] in text for text in texts)
    if text := license_text(entry, ROOT):
        assert (static / "licenses" / text_name(entry)).read_text(encoding="utf8") == text
        assert "opyright" in text
    else:
        assert entry["license"] == "CC-BY-4.0"


def test_the_page_shows_each_entry_and_its_text(site):
    page = (site / "book" / "licenses.html").read_text(encoding="utf8")
    assert [entry["name"] for entry in ENTRIES if entry["name"] not in page] == []
    texts = [text_name(entry) for entry in ENTRIES if license_text(entry, ROOT)]
    assert [name for name in texts if f'href="../_static/licenses/{name}"' not in page] == []
