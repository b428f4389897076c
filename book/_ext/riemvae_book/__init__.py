"""The book's own Sphinx extension: no other host, an honest cache, figures in the page, no solutions."""

from sphinx.application import Sphinx

from . import (
    bibliography,
    execution,
    facts,
    figures,
    ids,
    launch,
    licenses,
    numbers,
    questions,
    reference,
    shown,
    site,
    solutions,
    solved,
    sources,
    symbols,
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
        ids,
        numbers,
        facts,
        shown,
        sources,
        launch,
        bibliography,
        symbols,
        reference,
        uses,
        licenses,
    ):
        module.setup(app)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
