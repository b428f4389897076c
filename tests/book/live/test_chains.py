"""The live figure of chapter 6 in a browser: its laws, moves and distances are the core's."""

import math

import numpy as np
import pytest
import torch
from fake_kernel import in_a_notebook
from figures import opened, pixels_of, plane, settle, state

from riemvae_core.figures.widgets import walking_chains
from riemvae_core.figures.widgets.chains_figure import CELLS, START, law_masses
from riemvae_core.figures.widgets.metric_figure import HALF, START_BALLS, field_balls, figure_metric, fitted
from riemvae_core.figures.widgets.stills import number

pytestmark = pytest.mark.browser
CHAINS = 1  # the second figure of its page
ORIGIN = (0.0, 0.0)


@pytest.fixture
def fields(browser, folder):
    with opened(browser, folder.as_uri(), name="fields") as page:
        yield page


def chains_of(page, which=CHAINS):
    return page.locator("figure").nth(which)


def press(page, name, times=1, which=CHAINS):
    for _ in range(times):
        chains_of(page, which).get_by_role("button", name=name, exact=True).click()
    settle(page)


def many_moves(page, times):
    """As ``press`` of "One move", without a wait between."""
    page.evaluate(
        """(times) => {
          const button = [...document.querySelectorAll("figure")[1].querySelectorAll("button")]
            .find((b) => b.textContent === "One move");
          for (let t = 0; t < times; t++) button.click();
        }""",
        times,
    )


def check_chains(page, which=CHAINS):
    """What the page says about its visits against the core's law of the cells."""
    now = state(page, which)
    counts = np.array(now["counts"])
    visits = counts.sum()
    assert visits == now["moves"] * now["n_chains"]
    shown = chains_of(page, which).locator("dd").all_text_contents()
    if visits == 0:
        assert (now["total_variation"], now["noise"]) == (None, None)
        assert shown == ["0", "–", "–", "–", "–"]
        return now
    exact = law_masses("exact").numpy()
    assert now["total_variation"] == pytest.approx(0.5 * np.abs(counts / visits - exact).sum(), abs=1e-6)
    own = law_masses(now["rules"]).numpy()
    noise = 0.5 * np.sqrt(2 * own * (1 - own) / (math.pi * visits)).sum()
    assert now["noise"] == pytest.approx(noise, abs=1e-4)
    released = "–"
    if now["rules"] == "released":
        assert now["to_released"] == pytest.approx(0.5 * np.abs(counts / visits - own).sum(), abs=1e-4)
        released = number(now["to_released"], 3)
    assert shown == [
        str(now["moves"]),
        f"{100 * now['acceptance']:.0f}%",
        number(now["total_variation"], 3),
        released,
        number(now["noise"], 3),
    ]
    return now


def test_the_laws_are_the_core_s(fields):
    for rules, tolerance in (("exact", 1e-9), ("released", 1e-7)):
        seen = fields.evaluate("(kind) => document.querySelectorAll('figure')[1].__rv.masses(kind)", rules)
        assert len(seen) == CELLS**2 + 1
        assert seen == pytest.approx(law_masses(rules).tolist(), abs=tolerance)


def test_chains_start_at_codes_and_nothing_moves_by_itself(fields):
    now = check_chains(fields)
    assert {k: now[k] for k in START} == START
    z = torch.tensor(now["z"]).reshape(-1, 2)
    assert len(z) == START["n_chains"]
    assert float((z[:, None] - field_balls().mu).norm(dim=-1).amin(1).max()) < 1e-6
    fields.wait_for_timeout(300)
    assert state(fields, CHAINS)["z"] == now["z"]


def test_moves_follow_the_settings_and_the_seed(fields):
    """Visits are counted where chains are; the same seed walks the same way again."""
    press(fields, "One move", 3)
    first = check_chains(fields)
    assert first["moves"] == 3
    assert 0.5 < first["acceptance"] < 1
    assert first["total_variation"] < 0.3
    assert len(first["path"]) == START["n_leapfrog"] + 1
    press(fields, "Reset")
    assert check_chains(fields)["moves"] == 0
    press(fields, "One move", 3)
    assert state(fields, CHAINS)["z"] == first["z"]


def test_chains_keep_the_uniform_law_of_the_core(fields):
    """Sixty moves of 500 chains: mean log volume within five errors of the law's own, by quadrature."""
    many_moves(fields, 60)
    now = check_chains(fields)
    assert now["total_variation"] < 0.1
    metric = figure_metric(**fitted(START_BALLS), n_centroids=START_BALLS)
    values = metric.log_volume(torch.tensor(now["z"], dtype=torch.float64).reshape(-1, 2))
    ticks = ((torch.arange(560, dtype=torch.float64) + 0.5) / 560 * 2 - 1) * 5.0
    everywhere = metric.log_volume(torch.cartesian_prod(ticks, ticks))
    expected = float((everywhere.softmax(0) * everywhere).sum())
    error = float(values.std()) / math.sqrt(len(values))
    assert abs(float(values.mean()) - expected) < 5 * error


def test_play_pause_and_forget(fields):
    press(fields, "Play")
    fields.wait_for_function("document.querySelectorAll('figure')[1].__rv.state.moves > 3")
    press(fields, "Pause")
    now = check_chains(fields)
    fields.wait_for_timeout(200)
    assert state(fields, CHAINS)["moves"] == now["moves"]
    press(fields, "Forget visits")
    after = check_chains(fields)
    assert (after["moves"], after["z"]) == (0, now["z"])


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_pictures_of_playing_chains_respect_reduced_motion(browser, folder, motion):
    """The numbers on the screen change at most every half second where motion is reduced."""
    watch = """() => new Promise((done) => {
      const figure = document.querySelectorAll("figure")[1], cell = figure.querySelector("dd");
      const began = performance.now(), seen = {childList: true, characterData: true, subtree: true};
      let pictures = 0;
      new MutationObserver(() => { pictures++; }).observe(cell, seen);
      [...figure.querySelectorAll("button")][0].click();
      const tick = () => {
        const {moves} = figure.__rv.state;
        if (moves < 12) return requestAnimationFrame(tick);
        [...figure.querySelectorAll("button")][0].click();
        done([pictures, moves, performance.now() - began]);
      };
      tick();
    })"""
    with opened(browser, folder.as_uri(), name="fields", reduced_motion=motion) as page:
        chains_of(page).scroll_into_view_if_needed()
        pictures, moves, spent = page.evaluate(watch)
        assert pictures <= spent / 500 + 1 if motion == "reduce" else pictures >= moves - 1


def test_as_released_is_another_law(fields):
    """The switch keeps the chains where they are; visits leave the uniform law for the released sampler's."""
    press(fields, "One move")
    before = state(fields, CHAINS)["z"]
    chains_of(fields).get_by_label("as released").check()
    now = check_chains(fields)
    assert (now["rules"], now["moves"], now["z"]) == ("released", 0, before)
    many_moves(fields, 40)
    now = check_chains(fields)
    assert now["total_variation"] > 0.2
    z = torch.tensor(now["z"], dtype=torch.float64).reshape(-1, 2)
    metric = figure_metric(**fitted(START_BALLS), n_centroids=START_BALLS)
    start = torch.tensor(before, dtype=torch.float64).reshape(-1, 2)
    assert metric.log_volume(z).mean() > metric.log_volume(start).mean() + 0.3  # it seeks the peaks
    chains_of(fields).get_by_label("as released").uncheck()
    assert check_chains(fields)["to_released"] is None


def test_the_hand_gathers_the_chains(fields):
    canvas = plane(fields, CHAINS)
    fields.mouse.move(*pixels_of(fields, canvas, (1.0, 0.5), ORIGIN, HALF))
    fields.mouse.down()
    fields.mouse.move(*pixels_of(fields, canvas, (0.5, 0.5), ORIGIN, HALF), steps=3)
    fields.mouse.up()
    now = check_chains(fields)
    assert now["start"] == pytest.approx([0.5, 0.5], abs=0.02)
    assert now["z"] == now["start"] * START["n_chains"]
    press(fields, "One move")
    far = check_chains(fields)
    assert far["total_variation"] > 0.5  # from one point, the law is still far
    canvas.focus()
    fields.keyboard.press("Shift+ArrowLeft")
    fields.keyboard.press("ArrowUp")
    assert check_chains(fields)["start"] == pytest.approx([now["start"][0] - 0.25, now["start"][1] + 0.05])
    fields.keyboard.press("Home")
    assert check_chains(fields)["start"] == []


def test_a_finger_gathers_the_chains(browser, folder):
    with opened(browser, folder.as_uri(), width=390, name="fields", has_touch=True, is_mobile=True) as page:
        page.touchscreen.tap(*pixels_of(page, plane(page, CHAINS), (-1.0, -1.0), ORIGIN, HALF))
        assert check_chains(page)["start"] == pytest.approx([-1.0, -1.0], abs=0.05)
        page.evaluate("document.querySelectorAll('figure')[1].querySelectorAll('button')[1].scrollIntoView()")
        chains_of(page).get_by_role("button", name="One move").tap()
        assert check_chains(page)["moves"] == 1


def test_the_sliders(fields):
    """Each by keys; nothing jumps; a new number of chains starts anew."""
    figure = chains_of(fields)
    height = figure.bounding_box()["height"]
    slider = {
        name: figure.get_by_role("slider", name=name, exact=True) for name in ("step", "leapfrogs", "chains")
    }
    press(fields, "One move")
    slider["step"].press("End")
    now = check_chains(fields)
    assert (now["step"], now["moves"]) == (pytest.approx(0.3, rel=0.01), 0)
    press(fields, "One move", 2)
    assert check_chains(fields)["acceptance"] < 0.3
    slider["step"].press("Home")
    press(fields, "One move", 2)
    assert check_chains(fields)["acceptance"] > 0.95
    slider["leapfrogs"].press("Home")
    press(fields, "One move")
    now = check_chains(fields)
    assert (now["n_leapfrog"], len(now["path"])) == (1, 2)
    slider["chains"].press("ArrowRight")
    now = check_chains(fields)
    assert (now["n_chains"], len(now["z"]), now["moves"]) == (1000, 2000, 0)
    assert figure.bounding_box()["height"] == height


def test_a_notebook_shares_the_chains_with_its_kernel(browser, folder, address, monkeypatch):
    monkeypatch.delenv("RIEMVAE_BOOK", raising=False)
    widget = walking_chains(see="Here.", try_this="There.")
    with in_a_notebook(browser, folder, address, "walking_chains", widget) as page:
        page.evaluate("() => { model.set('n_chains', 50); model.set('start', [0, 0.5]); }")
        press(page, "One move", 2, which=0)
        now = check_chains(page, which=0)
        assert (now["n_chains"], now["start"], now["moves"]) == (50, [0, 0.5], 2)
        page.wait_for_function("() => model.saved.at(-1)?.moves === 2 && model.saved.at(-1).z.length === 100")
        saved = page.evaluate("model.saved.at(-1)")
        widget.moves, widget.z = saved["moves"], saved["z"]
        widget.acceptance, widget.total_variation = float(saved["acceptance"]), saved["total_variation"]
        assert widget.z == now["z"]
        assert widget.total_variation == pytest.approx(now["total_variation"])
        page.evaluate("() => model.set('rules', 'released')")
        assert check_chains(page, which=0)["rules"] == "released"
        page.evaluate("stop()")
        assert page.evaluate("Object.values(listeners).every((l) => l.length === 0)")
