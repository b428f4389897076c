"""A chapter's number is that of its file's name; all that is counted in it is numbered `chapter.count`.

Pages A to D, beside the chapters, have letters as appendices have, and count likewise: Theorem C.1, (C.4).
"""

import re
from collections import Counter

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx_external_toc.collectors import TocTreeCollectorWithStyles

CHAPTER_FILE = re.compile(r"chapters/(\d+)_[^/]+")
BESIDE = {  # in the order of _toc.yml
    "book/reading_the_papers": "A",
    "book/other_models": "B",
    "book/hessians": "C",
    "book/measuring_images": "D",
}


def chapter_number(page: str) -> int | None:
    """The number of a chapter (`chapters/06_name` is chapter 6); None for any other page."""
    found = CHAPTER_FILE.fullmatch(page)
    return int(found[1]) if found else None


def page_number(page: str) -> int | str | None:
    """A chapter's number or the letter of a page A to D; None for any other page."""
    return BESIDE.get(page, chapter_number(page))


def numbered_title(page: str, title: str) -> str:
    number = page_number(page)
    return title if number is None else f"{number}. {title}"


class Numbers:
    """Counts boxes, figures and formulas as Sphinx does: within a numbered page, or on through the others."""

    def __init__(self) -> None:
        self.counts: Counter = Counter()

    def next(self, kind: str, page: str) -> str:
        number = page_number(page)
        self.counts[kind, number] += 1
        count = self.counts[kind, number]
        return str(count) if number is None else f"{number}.{count}"


def assign_section_numbers(collector: TocTreeCollectorWithStyles, env: BuildEnvironment) -> list[str]:
    """Number chapters and pages A to D, not their sections; return the pages whose numbers changed.

    Stands in for the collector's own way, which counts the pages of a contents and starts at 1.
    """
    before, env.toc_secnumbers = env.toc_secnumbers, {}
    for page, contents in env.tocs.items():
        number = page_number(page)
        if number is None:
            continue
        # the title in full stays without a number: the search compares it with what is asked
        env.titles[page] = env.titles[page].deepcopy()
        env.titles[page]["secnumber"] = [number]
        sections = env.toc_secnumbers[page] = {}
        for link in contents.findall(nodes.reference):
            is_page = not link["anchorname"]
            sections[link["anchorname"]] = (number,) if is_page else ()
            link["secnumber"] = [number] if is_page else None
    return [page for page, sections in env.toc_secnumbers.items() if sections != before.get(page)]


def setup(app: Sphinx) -> None:
    TocTreeCollectorWithStyles.assign_section_numbers = assign_section_numbers
