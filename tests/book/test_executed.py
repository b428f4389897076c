"""Outputs of the book as pictures that a front end shows without trusting the notebook."""

import base64
import re
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from riemvae_book.elements import outermost, whole
from riemvae_book.executed import still_style, stills, with_outputs

ROOT = Path(__file__).resolve().parents[2]
INNER = '<svg x="1"><rect fill="var(--rv-grid)"/></svg>'
STILL = f'<svg class="rv-still" viewBox="0 0 200 256" role="img" aria-label="it&#x27;s a ball">{INNER}</svg>'
FIGURE = f'<figure data-rv-props="{{}}">{STILL}{STILL}<figcaption><b>See.</b> A ball.</figcaption></figure>'


def decoded(html: str) -> list[str]:
    return [base64.b64decode(found).decode() for found in re.findall(r"base64,([^\"]+)", html)]


def test_only_the_outermost_drawings_are_taken():
    assert list(outermost(FIGURE, "svg")) == [STILL, STILL]
    with pytest.raises(ValueError, match="must close the <svg> at 3"):
        whole("<p><svg><svg></svg>", "svg", 3)


def test_a_live_figure_becomes_its_still_pictures_and_its_caption():
    shown = stills(FIGURE, still_style(ROOT))
    assert shown.count('alt="it&#x27;s a ball" width="200"') == 2
    assert shown.endswith("<p><b>See.</b> A ball.</p>")
    for svg in decoded(shown):
        assert svg.startswith('<svg xmlns="http://www.w3.org/2000/svg" class="rv-still"')
        assert svg.count("<style>") == 1
        assert "--rv-grid: #E4E7EB" in svg
        assert ".rv-still .rv-balls" in svg


def test_what_has_no_drawing_stays():
    assert stills("<p>A note.</p>", "") == "<p>A note.</p>"


def test_cells_get_what_the_book_has_for_them():
    plot = new_output("display_data", {"image/svg+xml": "<?xml?>\n<svg/>", "text/plain": "x"})
    meta = {"mystnb": {"image": {"alt": 'A "line"'}}}
    ran = [new_code_cell("plot()", outputs=[plot], metadata=meta), new_code_cell("print(1)")]
    ran[1].outputs = [new_output("stream", text="1\n")]
    cells = [new_code_cell("plot()"), new_code_cell("print(1)")]
    with_outputs(ROOT, cells, new_notebook(cells=ran))
    assert [cell.execution_count for cell in cells] == [1, 2]
    html = cells[0].outputs[0].data["text/html"]
    assert decoded(html) == ["<svg/>"]
    assert 'alt="A &quot;line&quot;"' in html
    assert cells[1].outputs[0].text == "1\n"


def test_a_chapter_that_was_changed_since_is_refused():
    with pytest.raises(ValueError, match="run make book first"):
        with_outputs(ROOT, [new_code_cell("new()")], new_notebook(cells=[new_code_cell("old()")]))
