"""Chapter 9's live figure in a browser: its numbers are the study's; hand, keys and kernel are answered."""

import pytest
from fake_kernel import in_a_notebook
from figures import opened, settle, state

from riemvae_core.figures.widgets import verdict, verdict_data
from riemvae_core.figures.widgets.verdict_figure import _start
from riemvae_core.models import zoo

pytestmark = pytest.mark.browser
RUNS = zoo.load_study("verdict").runs
NAMES = {verdict_data.name_of(law): law for law in verdict_data.laws()}


@pytest.fixture
def page(browser, folder):
    with opened(browser, folder.as_uri(), name="verdict") as page:
        yield page


def check(page):
    """Screen and state against the study; back come the state and its cell's entry."""
    now = state(page, 0)
    run = next(run for run in RUNS if verdict_data.cell_of(run) == now["cell"])
    expected = verdict_data.scores(run, now["law"], now["features"])
    for score, three in expected.items():
        assert now["numbers"][score] == pytest.approx(three, rel=1e-6)
    assert now["standing"] == verdict_data.standing(run, now["law"])
    options = page.locator("[role=option]:not([hidden])")
    names = [NAMES[name] for name in options.locator(".rv-name").all_text_contents()]
    assert set(names) == {own["law"] for own in run["laws"]}
    values = [float(text) for text in options.locator(".rv-value").all_text_contents()]
    means = [verdict_data.scores(run, name, now["features"])[now["score"]][0] for name in names]
    assert values == pytest.approx(means, rel=0.06, abs=0.006)
    assert page.locator(".rv-why").text_content() == verdict_data.reason(run)
    words = [verdict_data.STANDINGS[verdict_data.standing(run, name)][0] for name in names]
    assert options.locator(".rv-tag").all_text_contents() == words
    chosen = page.locator("[role=option][aria-selected=true] .rv-name").all_text_contents()
    assert chosen == [verdict_data.name_of(now["law"])]
    hollow = page.locator("[role=option].rv-hollow:not([hidden]) .rv-name").all_text_contents()
    assert [NAMES[name] for name in hollow] == [
        name for name, word in zip(names, words, strict=True) if word in ("copies", "strays")
    ]
    return now, run


def row(page, law):
    return page.locator("[role=option]", has=page.get_by_text(verdict_data.name_of(law), exact=True)).first


def click(page, law):
    row(page, law).click()
    settle(page)


def test_it_starts_at_the_law_to_take_and_a_click_shows_what_a_law_draws(page):
    now, run = check(page)
    assert {key: now[key] for key in _start()} == _start()
    assert now["law"] == run["decision"]["simplest"]
    board = page.locator("canvas.rv-board")
    seen = [board.screenshot()]
    near = verdict_data.sheets()[verdict_data.sheet_of(run)]["near"]
    for law in ("zero steps", "held-out reconstructions"):
        click(page, law)
        now, run = check(page)
        first = list(near).index(law) * len(near[law])
        assert now["pairs"] == [[first + k, place] for k, place in enumerate(near[law])]
        tile = verdict_data.tiles(verdict_data.sheet_of(run), [first])[0]
        assert now["pixel"] == pytest.approx(tile[14, 14], abs=0.03)
        assert verdict_data.name_of(law) in board.get_attribute("aria-label")
        seen.append(board.screenshot())
    assert len(set(seen)) == 3


def test_menus_go_to_another_cell_score_and_net(page):
    before, run = check(page)
    cell = next(
        other
        for other in map(verdict_data.cell_of, RUNS)
        if {key for key in other if other[key] != before["cell"][key]} == {"size", "price"}
    )
    menus = {"images": f"{cell['size']:,}", "score": "novelty", "features": run["features"][1]}
    for label, words in (*menus.items(), ("price β", f"{cell['price']:g}")):
        page.get_by_label(label, exact=True).select_option(label=words)
        now, _ = check(page)
    assert (now["cell"], now["score"], now["features"]) == (cell, "novelty", menus["features"])
    assert page.locator(".rv-band").first.is_visible()
    page.wait_for_function("document.querySelector('.rv-voice').textContent.includes('novelty')")
    page.get_by_role("button", name="Reset").click()
    assert check(page)[0] == before
    assert not page.locator(".rv-band").first.is_visible()


def test_keys_walk_over_the_laws_of_the_cell(page):
    shown = page.locator("[role=option]:not([hidden]) .rv-name").all_text_contents()
    names = [NAMES[name] for name in shown]
    page.get_by_role("listbox").focus()
    for key, law in (("Home", names[0]), ("ArrowUp", names[0]), ("ArrowDown", names[1]), ("End", names[-1])):
        page.keyboard.press(key)
        assert check(page)[0]["law"] == law
    active = page.get_by_role("listbox").get_attribute("aria-activedescendant")
    assert page.locator(f"#{active} .rv-name").text_content() == verdict_data.name_of(names[-1])


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_overflows_and_nothing_jumps(browser, folder, width):
    touch = {"has_touch": True, "is_mobile": True} if width < 500 else {}
    with opened(browser, folder.as_uri(), width=width, name="verdict", **touch) as page:
        height = "document.querySelector('figure').getBoundingClientRect().height"
        before = page.evaluate(height)
        for law in ("as released", "fitted kernel of balls", "own prior"):
            own = row(page, law)
            own.tap() if touch else own.click()
            settle(page)
            assert state(page, 0)["law"] == law
            assert page.evaluate(height) == before
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_a_notebook_shares_the_cell_with_its_kernel(browser, folder, address, monkeypatch):
    monkeypatch.delenv("RIEMVAE_BOOK", raising=False)
    widget, other = verdict(see="Here.", try_this="There."), verdict_data.cell_of(RUNS[0])
    with in_a_notebook(browser, folder, address, "verdict", widget) as page:
        page.evaluate("(cell) => { model.set('law', 'zero steps'); model.set('cell', cell); }", other)
        assert {key: check(page)[0][key] for key in ("cell", "law")} == {"cell": other, "law": "zero steps"}
        assert page.evaluate("model.saved.length") == 0
        click(page, "own prior")
        page.wait_for_function("() => model.saved.at(-1)?.law === 'own prior'")
        page.evaluate("stop()")
        assert page.evaluate("Object.values(listeners).every((l) => l.length === 0)")
