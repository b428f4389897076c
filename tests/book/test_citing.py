"""The version stands under each page, and its entry for a bibliography on one."""

import re

from riemvae_book.citing import bibtex, read_citation

SAID = {"authors": [{"name": "A group"}, {"name": "B"}], "title": "T", "version": "1.2.3"}


def test_an_entry_names_the_version_and_what_else_is_known():
    entry = bibtex(SAID, "2026")
    for field in ("author = {{A group and B}},", "year = {2026},", "note = {Version 1.2.3},"):
        assert field in entry
    assert "doi" not in entry
    released = bibtex({**SAID, "doi": "10.5/x", "date-released": "2027-02-03"}, "2026")
    assert "doi = {10.5/x}," in released
    assert "year = {2027}," in released
    assert entry.count("{") == entry.count("}")


def test_every_page_says_its_version_and_one_how_to_cite_it(site, root):
    version = read_citation(root)["version"]
    for page in ("book/index", "chapters/02_kl_as_packing"):
        assert f"<p>Version {version}</p>" in (site / f"{page}.html").read_text(encoding="utf8")
    text = re.sub(r"<.*?>", "", (site / "book/how_to_read.html").read_text(encoding="utf8"))
    assert f"note = {{Version {version}}}" in text
