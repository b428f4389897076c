"""The paper for the journal: length, sections, references that are the book's, a checklist that holds."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
_, HEAD, BODY = (ROOT / "paper" / "paper.md").read_text(encoding="utf8").split("---\n", 2)


def entries(path: str) -> dict[str, str]:
    text = (ROOT / path).read_text(encoding="utf8")
    return {found[1]: found[0] for found in re.finditer(r"^@\w+\{(\w+),.*?^\}$", text, re.M | re.S)}


def test_the_paper_has_the_parts_and_the_length_that_the_journal_asks_for():
    head = yaml.safe_load(HEAD)
    assert head["authors"] == [{"name": "The riemvae project", "affiliation": 1}]
    assert {"title", "tags", "affiliations", "date", "bibliography"} <= head.keys()
    sections = re.findall(r"^# (.+)$", BODY, re.M)
    assert sections[:3] == ["Summary", "Statement of need", "Learning objectives and contents"]
    assert {"How it might be adopted", "Experience of use", "References"} <= {*sections}
    assert 800 < len(BODY.split()) < 1100


def test_its_references_are_those_of_the_book():
    cited, listed = {*re.findall(r"@(\w+)", BODY)}, entries("paper/paper.bib")
    book = entries("book/references.bib")
    assert cited == listed.keys()
    assert listed == {key: book[key] for key in cited}


def test_the_checklist_names_files_that_exist():
    text = (ROOT / "paper" / "checklist.md").read_text(encoding="utf8")
    named = {*re.findall(r"`([\w./-]+(?:\.\w+|/|LICENSE))`", text)} - {".zenodo.json"}
    assert len(named) > 15
    assert [name for name in named if not (ROOT / name).exists()] == []
