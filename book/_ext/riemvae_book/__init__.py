"""The book's own Sphinx extension: no other host, an honest cache, figures in the page, no solutions."""

from sphinx.application import Sphinx

from . import (
    bibliography,
    citing,
    execution,
    facts,
    figures,
    finder,
    fonts,
    front,
    ids,
    launch,
    licenses,
    loading,
    messages,
    numbers,
    policy,
    previews,
    questions,
    reference,
    shown,
    site,
    solutions,
    solved,
    sources,
    symbols,
    taken_back,
    teaching,
    tied,
    uses,
)


def setup(app: Sphinx) -> dict:
    for module in (
        site,
        execution,
        solutions,
        solved,
        questions,
        figures,
        fonts,
        messages,
        finder,
        front,
        ids,
        numbers,
        previews,
        facts,
        shown,
        sources,
        launch,
        bibliography,
        citing,
        symbols,
        reference,
        uses,
        licenses,
        teaching,
        tied,
        policy,
        loading,
        taken_back,
    ):
        module.setup(app)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
