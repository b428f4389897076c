"""An exported notebook in a real JupyterLab: what folds, what is set, a live figure and its kernel."""

from pathlib import Path

import pytest
from by_hand import HANDS, drive
from riemvae_book.plain import Book, Plain

pytestmark = pytest.mark.browser
TEXT = r"""
:::{prf:proof} A sum
Line by line,

$$
\sum_k \mu_k^2
  = 1 .
$$

- and so

  $$
  \mu_1 = 1
  $$
:::

:::{question}
Which is it, $a_1$ or $b_2$?

- [ ] The first.

  Its $\sigma_3^2$ is too small.
- [x] The second.

  $$
  c_4 = d_5
  $$

  says so.
:::
"""


def test_questions_fold_and_formulas_are_set(browser, lab):
    text = Plain(Book(Path("x.md"))).cell(TEXT)
    lab.write("reading", ("markdown", text), ("code", "1 + 1"))
    page = lab.open(browser, "reading")
    cell = page.locator(".jp-MarkdownCell").first
    cell.locator("mjx-container").first.wait_for(state="attached")
    folded, summary = cell.locator("details"), cell.locator("details > summary")
    assert summary.inner_text() == "Show the explanations"
    assert summary.evaluate("(el) => getComputedStyle(el).listStyleType") == "disclosure-closed"
    assert not folded.get_by_text("is too small").is_visible()
    summary.click()
    assert folded.get_by_text("is too small").is_visible()
    assert folded.locator("mjx-container").count() == 2
    assert cell.locator("blockquote mjx-container").count() == 2
    assert cell.locator("li mjx-container").count() == 1
    words = "els => els.map((el) => el.textContent.replace(/\\s/g, ''))"
    formulas = cell.locator("blockquote mjx-assistive-mml").evaluate_all(words)
    assert formulas == ["∑kμk2=1.", "μ1=1"]
    assert "$" not in cell.inner_text()
    summary.click()
    assert not folded.get_by_text("is too small").is_visible()
    page.close()


def test_a_live_figure_answers_hand_and_kernel(browser, lab):
    drive(browser, lab, "bound", HANDS["bound"])


def test_a_wait_lasts_as_long_as_its_page_says(browser):
    """A busy machine draws for longer than the half minute that a wait lasts otherwise."""
    page = browser.new_page()
    page.set_default_timeout(50)
    with pytest.raises(TimeoutError, match="did not come true within 50 ms"):
        page.wait_for_function("false")
    with pytest.raises(TimeoutError, match="did not come true within 20 ms"):
        page.wait_for_function("false", timeout=20)
    page.close()
