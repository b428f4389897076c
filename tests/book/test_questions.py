"""Questions: read from their source, answered by mouse and by keyboard, unfolded without JavaScript."""

import math
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from browser import serving
from pages import AXE, RUN_AXE, SETTLE
from riemvae_book.plain import Book, Plain
from riemvae_book.questions import read_question, without_questions
from scipy.stats import chi2

import riemvae_core as rc

ROOT = Path(__file__).resolve().parents[2]
QUESTION = """\
:::{question}
Which decoder does $L$ of {eq}`eq-loss` prefer
of these two?

- [ ] The smoother one,
  surely.

  A habit of networks, not a *term* of $L$.

  A second paragraph.
- [x] Neither.

  It sees the codes only, {eq}`eq-loss`.
- [ ] It depends.

  On nothing.
:::
"""
PAGE = f"# Page\n\n$$\nL = 1\n$$ (eq-loss)\n\nBefore.\n\n{QUESTION}\nBetween.\n\n{QUESTION}"
CONFIG = """\
extensions = ["sphinx.ext.mathjax", "myst_parser", "riemvae_book.questions"]
project, author, language, root_doc = "Questions", "nobody", "en", "index"
html_theme, html_static_path, html_copy_source = "sphinx_book_theme", ["static"], False
html_css_files, html_js_files = ["riemvae.css", "print.css"], ["a11y.js", "questions.js"]
mathjax_path, mathjax3_config = "nothing.js", {}
myst_enable_extensions = ["dollarmath", "colon_fence", "tasklist", "amsmath"]
"""


def body(source: str) -> list[str]:
    return source.strip("\n").split("\n")[1:-1]


def test_parts_of_a_question():
    asked, answers = read_question(body(QUESTION))
    assert asked.lines == ["Which decoder does $L$ of {eq}`eq-loss` prefer", "of these two?"]
    assert [answer.right for answer in answers] == [False, True, False]
    assert answers[0].text.lines == ["The smoother one,", "surely."]
    assert answers[0].why.lines == ["A habit of networks, not a *term* of $L$.", "", "A second paragraph."]
    assert body(QUESTION)[answers[1].why.at].strip() == answers[1].why.lines[0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("- [x]", "- [ ]", r"exactly one right answer \(- \[x\]\), got 0"),
        ("- [ ] It", "- [x] It", r"exactly one right answer \(- \[x\]\), got 2"),
        ("\n  On nothing.", "", "followed by its explanation, got none after 'It depends.'"),
        ("of these two?", "\nof these two?", "one paragraph, followed by an empty line and its answers"),
        ("- [", "* ", r"2 to 5 answers \(- \[ \] or - \[x\]\), got 0"),
    ],
)
def test_what_is_wrong_with_a_question_is_said(old, new, message):
    with pytest.raises(ValueError, match=message):
        read_question(body(QUESTION.replace(old, new)))


def test_a_text_without_its_questions():
    assert without_questions(f"before\n{QUESTION}after\n```\n{QUESTION}```") == (
        f"before\nafter\n```\n{QUESTION}```"
    )


def test_a_notebook_folds_the_explanations():
    text = Plain(Book(Path("x.md"), equations={"eq-loss": 3})).cell(QUESTION)
    shown, folded = text.split("<details><summary><b>Show the explanations</b></summary>\n\n")
    assert shown.startswith(
        "**Question.** Which decoder does $L$ of (3) prefer\nof these two?\n\n- **a**: The smoother"
    )
    assert "- **b**: Neither." in shown
    assert "Right." not in shown
    assert "**b**: Right. It sees the codes only, (3)." in folded
    assert folded.count("Not this one.") == 2
    assert folded.endswith("\n\n</details>")


def price(mu: float, sigma: float) -> float:
    return rc.kl_to_standard_normal(torch.tensor([mu]), torch.tensor([2 * math.log(sigma)])).item()


@pytest.mark.parametrize(
    ("chapter", "stands", "value"),
    [
        ("01_points_to_balls", "less than $10^{-108}$", math.floor(chi2(128).logcdf(1.0) / math.log(10)) + 1),
        ("02_kl_as_packing", r"\tfrac12\cdot2^2=2$", price(2.0, 1.0)),
        ("02_kl_as_packing", r"\tfrac12(0.01+\log100-1)\approx1.81$", price(0.0, 0.1)),
        ("02_kl_as_packing", r"\tfrac12(4-\log4-1)\approx0.81$", price(0.0, 2.0)),
        ("02_kl_as_packing", r"\tfrac12(0.6-\log1.6)\approx0.065$", 0.5 * (1.6 - 1 - math.log(1.6))),
        ("02_kl_as_packing", r"\log 12{,}000\approx9.4$", math.log(12_000)),
        ("02_kl_as_packing", "at least 4.6 ", 14 - math.log(12_000)),
        ("02_kl_as_packing", "784/16=49$", 784 / 16),
        ("04_vqvae_as_cluster_centers", r"$\log40\approx3.69$", math.log(40)),
        ("07_weights_and_tempering", r"$e^{-10/6}\approx0.19$", (1 - 10 / 60_000) ** 10_000),
        ("11_your_own_vae", "at most 6.21", math.log(500)),
        ("11_your_own_vae", r"$\log 60{,}000\approx11.0$", math.log(60_000)),
        ("11_your_own_vae", r"$e^{0.1/2}\approx1.05$", math.exp(0.05)),
        ("11_your_own_vae", "deviations, from 0.04", 2 * math.log(1.02)),
        ("11_your_own_vae", "from 0.04 to 0.2", 2 * math.log(1.11)),
    ],
)
def test_numbers_in_the_explanations(chapter, stands, value):
    assert stands in (ROOT / "chapters" / f"{chapter}.md").read_text(encoding="utf8")
    number = re.findall(r"-?\d+\.?\d*", stands)[-1]
    digits = len(number.partition(".")[2])
    assert f"{value:.{digits}f}" == number


def build(folder: Path, *pages: str) -> subprocess.CompletedProcess:
    """A small site with the book's style and script and pages: index, page-1 and so on."""
    (folder / "static").mkdir(parents=True)
    for name in ("riemvae.css", "print.css", "a11y.js", "questions.js"):
        shutil.copyfile(ROOT / "book" / "_static" / name, folder / "static" / name)
    (folder / "static" / "riemvae").mkdir()
    sheet = ROOT / "riemvae_core" / "figures" / "widgets" / "figures.css"
    shutil.copyfile(sheet, folder / "static" / "riemvae" / "figures.css")
    (folder / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT / 'book' / '_ext')!r})\n{CONFIG}"
    )
    for at, page in enumerate(pages):
        (folder / f"{f'page-{at}' if at else 'index'}.md").write_text(page)
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-n",
        "-W",
        "--keep-going",
        str(folder),
        str(folder / "html"),
    ]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def quiz(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("quiz")
    done = build(folder, PAGE)
    assert done.returncode == 0, done.stderr
    return folder / "html"


BAD = [
    ("- [x]", "- [ ]", r":13: .*exactly one right answer"),
    ("only, {eq}`eq-loss`", "only, {eq}`eq-none`", r":\d+: .*eq-none"),
    ("  On nothing.", "  - On nothing.", r":\d+: .*an explanation must begin with a sentence"),
    ("- [x] Neither.", "- [x] # Neither.", r":\d+: .*a question and its answers must be one paragraph each"),
]


@pytest.fixture(scope="module")
def bad(tmp_path_factory) -> subprocess.CompletedProcess:
    """The build of a site with a page for each bad question."""
    page = PAGE.partition("Between.")[0]
    pages = [f"---\norphan: true\n---\n\n{page.replace(old, new)}" for old, new, _ in BAD]
    return build(tmp_path_factory.mktemp("bad"), "# Home\n", *pages)


@pytest.mark.parametrize("at", range(len(BAD)))
def test_a_build_stops_at_a_bad_question(bad, at):
    assert bad.returncode != 0
    assert re.search(rf"page-{at + 1}\.md{BAD[at][2]}", bad.stderr), bad.stderr


@pytest.fixture
def page(browser, quiz):
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page, problems = context.new_page(), []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(f"{quiz.as_uri()}/index.html")
    yield page
    context.close()
    assert problems == []


def explanations(page) -> list[bool]:
    return page.eval_on_selector_all(
        ".rv-answer", "(all) => all.map((one) => one.querySelector('label ~ *').innerText.trim() !== '')"
    )


pytestmark = pytest.mark.browser


def test_nothing_is_explained_before_it_is_asked(page):
    assert explanations(page) == [False] * 6
    question = page.get_by_role("group", name="Question. Which decoder").first
    assert question.get_by_role("radio").count() == 3
    question.get_by_role("button", name="Check").click()
    assert "Choose an answer first." in question.get_by_role("status").inner_text()
    assert explanations(page) == [False] * 6


def test_answers_by_mouse(page):
    question = page.get_by_role("group", name="Question.").first
    question.get_by_text("The smoother one").click()
    assert explanations(page) == [False] * 6
    question.get_by_role("button", name="Check").click()
    assert explanations(page) == [True, False, False, False, False, False]
    assert "Not this one. A habit of networks" in question.inner_text()
    question.get_by_label("Neither.").check()
    question.get_by_role("button", name="Check").click()
    assert explanations(page)[:3] == [True, True, False]
    assert "Right. It sees the codes only" in question.inner_text()


def test_answers_by_keyboard(page):
    page.locator("#question-2 input").first.focus()
    page.keyboard.press("Enter")
    assert "Choose an answer first." in page.locator("#question-2").inner_text()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert explanations(page) == [False, False, False, False, True, False]
    page.keyboard.press("Tab")  # to the equation that the explanation links to
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Check"


def test_a_screen_reader_is_told_what_appears(page):
    """An explanation appears inside a live region that stood there, empty, before."""
    found = page.eval_on_selector_all(
        ".rv-answer", "(all) => all.map((one) => one.querySelector('[aria-live=polite]').children[0].hidden)"
    )
    assert found == [True] * 6


def test_a_new_visit_begins_anew(page):
    page.locator("#question-1").get_by_label("Neither.").check()
    page.locator("#question-1 button").click()
    page.reload()
    assert page.locator("input:checked").count() == 0
    assert explanations(page) == [False] * 6


def test_print_shows_what_the_screen_shows(page):
    page.locator("#question-1").get_by_label("Neither.").check()
    page.locator("#question-1 button").click()
    page.emulate_media(media="print")
    assert explanations(page) == [False, True, False, False, False, False]
    assert not page.locator("#question-1 button").is_visible()


def test_without_javascript_the_explanations_are_folded(browser, quiz):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{quiz.as_uri()}/index.html")
    why = page.locator("#question-1 .rv-answer").nth(1)
    assert not why.get_by_text("It sees the codes only").is_visible()
    why.get_by_text("Explanation").click()
    assert why.get_by_text("It sees the codes only").is_visible()
    assert not page.get_by_role("button", name="Check").is_visible()
    context.close()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_accessible_with_an_explanation_open(browser, quiz, theme, width):
    with serving(quiz) as address:
        context = browser.new_context(color_scheme=theme, viewport={"width": width, "height": 900})
        page = context.new_page()
        page.goto(f"{address}/index.html")
        page.evaluate(SETTLE)
        page.locator("#question-1").get_by_label("Neither.").check()
        page.locator("#question-1 button").click()
        page.evaluate(AXE)
        found = [problem for problem in page.evaluate(RUN_AXE) if ".rv-" in problem or "question" in problem]
        assert found == []
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        context.close()
