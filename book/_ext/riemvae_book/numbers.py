"""A chapter's number is that of its file's name; all that is counted in it is numbered `chapter.count`."""

import re
from collections import Counter

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx_external_toc.collectors import TocTreeCollectorWithStyles

CHAPTER_FILE = re.compile(r"chapters/(\d+)_[^/]+")


def chapter_number(page: str) -> int | None:
    """The number of a chapter (`chapters/06_name` is chapter 6); None for any other page."""
    found = CHAPTER_FILE.fullmatch(page)
    return int(found[1]) if found else None


def numbered_title(page: str, title: str) -> str:
    number = chapter_number(page)
    return title if number is None else f"{number}. {title}"


class Numbers:
    """Counts boxes, figures and formulas as Sphinx does: within a chapter, or on through the other pages."""

    def __init__(self) -> None:
        self.counts: Counter = Counter()

    def next(self, kind: str, page: str) -> str:
        chapter = chapter_number(page)
        self.counts[kind, chapter] += 1
        count = self.counts[kind, chapter]
        return str(count) if chapter is None else f"{chapter}.{count}"


def assign_section_numbers(collector: TocTreeCollectorWithStyles, env: BuildEnvironment) -> list[str]:
    """Number the chapters, not their sections; return the pages whose numbers have changed.

    Stands in for the collector's own way, which counts the pages of a contents and starts at 1.
    """
    before, env.toc_secnumbers = env.toc_secnumbers, {}
    for page, contents in env.tocs.items():
        number = chapter_number(page)
        if number is None:
            continue
        # the title in full stays without a number: the search compares it with what is asked
        env.titles[page] = env.titles[page].deepcopy()
        env.titles[page]["secnumber"] = [number]
        sections = env.toc_secnumbers[page] = {}
        for link in contents.findall(nodes.reference):
            is_chapter = not link["anchorname"]
            sections[link["anchorname"]] = (number,) if is_chapter else ()
            link["secnumber"] = [number] if is_chapter else None
    return [page for page, sections in env.toc_secnumbers.items() if sections != before.get(page)]


def setup(app: Sphinx) -> None:
    TocTreeCollectorWithStyles.assign_section_numbers = assign_section_numbers
