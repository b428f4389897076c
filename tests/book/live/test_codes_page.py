"""The live figure of codes: it shows what the core computes."""

import pytest
import torch
from codes_on_page import ONLY, check, cloud_of, codebook_of, where
from figures import opened, plane, state

from riemvae_core.codes import kmeans_step
from riemvae_core.figures.widgets.assets import CODEBOOKS, points_of, probes, trained
from riemvae_core.figures.widgets.voronoi_figure import (
    CENTER,
    HALF,
    SOFTEST,
    START,
    code_weights,
    trained_point,
)

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser, folder):
    with opened(browser, folder.as_uri(), name="codes") as page:
        yield page


def drag(page, start, end):
    page.mouse.move(*where(page, start))
    page.mouse.down()
    page.mouse.move(*where(page, end), steps=4)
    page.mouse.up()
    page.mouse.move(2, 2)


def test_it_starts_as_trained(page):
    now = check(page)
    assert {key: now[key] for key in START} == START
    assert now["hand"] == -1
    names = page.locator(".rv-picture span").all_text_contents()
    assert names == ["sneaker", "its point, decoded", "its code, decoded"]


def test_images_are_the_core_s(page):
    pixels = """(k) => {
      const {data} = document.querySelectorAll(".rv-image")[k].getContext("2d").getImageData(0, 0, 28, 28);
      return [...data].filter((_, i) => i % 4 === 3);
    }"""
    now = state(page, ONLY)
    read = torch.tensor([now["z"], now["codebook"][now["nearest"][now["selected"]]]])
    with torch.no_grad():
        expected = [probes("fashion").images[now["selected"]], *trained(CODEBOOKS[16]).decode(read)]
    for k, image in enumerate(expected):
        assert (torch.tensor(page.evaluate(pixels, k)) / 255 - image.flatten()).abs().max() < 0.01


def test_the_image_snaps_as_its_point_crosses_a_border(page):
    """A little before the border and after it: the point's image changes a little, the code's jumps."""
    now = check(page)
    e, z = codebook_of(now), torch.tensor(now["z"], dtype=torch.float64)
    first, second = e[torch.cdist(z[None], e)[0].argsort()[:2]]
    across = (second - first) / (second - first).norm()
    border = z + ((first + second) / 2 - z) @ across * across
    errors = []
    for side in (-1, 1):
        at = border + side * 0.3 * across
        drag(page, state(page, ONLY)["z"], at.tolist())
        now = check(page)
        assert now["z"] == pytest.approx(at.tolist(), abs=0.1)
        errors.append(now["errors"])
        own = e[now["nearest"][now["selected"]]]
        assert torch.equal(own, first if side < 0 else second)
    change = {part: abs(errors[0][part] - errors[1][part]) for part in errors[0]}
    assert change["code"] > 3 * change["point"]
    plane(page, ONLY).press("Home")
    assert check(page)["z"] == pytest.approx(trained_point(16, START["selected"]))


def test_dragging_a_code_moves_its_cell(page):
    before = check(page)
    e = codebook_of(before)
    k = before["nearest"][0]
    drag(page, e[k].tolist(), [-27.0, 20.0])
    now = check(page)
    assert now["hand"] == k
    assert now["codebook"][k] == pytest.approx([-27.0, 20.0], abs=0.1)
    assert [v for j, v in enumerate(now["codebook"]) if j != k] == [
        v for j, v in enumerate(before["codebook"]) if j != k
    ]
    assert now["used"] < 16
    page.get_by_role("button", name="Reset dead codes").click()
    revived = check(page)
    dead = [j for j in range(16) if j not in now["nearest"]]
    places = points_of(CODEBOOKS[16]).tolist()
    assert all(revived["codebook"][j] in places for j in dead)
    page.get_by_role("button", name="Reset", exact=True).click()
    assert check(page)["codebook"] == before["codebook"]


@pytest.mark.parametrize("softness", [0, 3])
def test_a_k_means_step_lowers_the_error(page, softness):
    page.get_by_label("softness σ").fill(str(softness))
    for _ in range(3):
        before = check(page)
        page.get_by_role("button", name="k-means step").click()
        now = check(page)
        assert now["error"] < before["error"]
        if softness == 0:
            step = kmeans_step(cloud_of(before), codebook_of(before))
            assert (codebook_of(now) - step).abs().max() < 1e-9


def test_softness_leads_from_cells_to_balls(page):
    """By the slider's keys: from the nearest code to nearly the mean of all codes."""
    slider, name = page.get_by_label("softness σ"), page.locator(".rv-errors tbody th").nth(2)
    slider.focus()
    assert name.text_content() == "mean distance²"
    page.keyboard.press("ArrowRight")
    assert check(page)["softness"] == pytest.approx(0.1)
    assert name.text_content() == "soft distance²"
    assert page.locator(".rv-picture span").last.text_content() == "mean code, decoded"
    page.keyboard.press("End")
    now = check(page)
    weights = code_weights(cloud_of(now), codebook_of(now), SOFTEST)
    expected = (weights @ codebook_of(now)).tolist()
    assert all(z == pytest.approx(e, abs=1e-3) for z, e in zip(now["read"], expected, strict=True))


def test_a_click_on_a_dot_takes_that_image(page):
    points, e = points_of(CODEBOOKS[16]), codebook_of(state(page, ONLY))
    alone = torch.cdist(points, torch.cat([points, e.float()])).topk(2, largest=False).values[:, 1].argmax()
    page.mouse.click(*where(page, points[alone].tolist()))
    now = check(page)
    assert now["selected"] == alone
    assert now["z"] == pytest.approx(points[alone].tolist())


def test_keys_move_and_choose(page):
    before, canvas = check(page), plane(page, ONLY)
    page.keyboard.press("Tab")
    assert canvas.evaluate("(el) => el === document.activeElement")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    now = check(page)
    assert now["z"] == pytest.approx([before["z"][0] + 0.3, before["z"][1] - 1.5])
    page.keyboard.press("Enter")
    k = check(page)["hand"]
    assert k == before["nearest"][before["selected"]]
    page.keyboard.press("ArrowUp")
    moved = check(page)["codebook"][k]
    assert moved == pytest.approx([before["codebook"][k][0], before["codebook"][k][1] + 0.3])
    page.keyboard.press("Home")
    assert check(page)["codebook"] == before["codebook"]
    page.keyboard.press("c")
    assert check(page)["hand"] == (k + 1) % 16
    page.keyboard.press("Enter")
    page.keyboard.press("n")
    assert check(page)["selected"] == before["selected"] + 1
    page.keyboard.press("p")
    assert check(page)["z"] == before["z"]
    page.wait_for_function("document.querySelector('.rv-voice').textContent.includes('codes in use')")
    order = [page.get_by_label("codes", exact=True), page.get_by_label("softness σ")]
    order += [page.get_by_role("button", name=name) for name in ("k-means step", "Reset dead codes")]
    for control in order:
        page.keyboard.press("Tab")
        assert control.evaluate("(el) => el === document.activeElement")


def test_borders_stand_where_two_codes_are_nearest(page):
    """In the numbers, and as green pixels of the canvas."""
    now = state(page, ONLY)
    edges = [
        ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2)
        for cell in now["cells"]
        for a, b in zip(cell, cell[1:] + cell[:1], strict=True)
    ]
    inner = torch.tensor(
        [z for z in edges if max(abs(v - c) for v, c in zip(z, CENTER, strict=True)) < HALF - 0.1]
    )
    gaps = torch.cdist(inner.double(), codebook_of(now)).topk(2, largest=False).values
    assert (gaps[:, 1] - gaps[:, 0]).abs().max() < 1e-5
    script = """(points) => {
      const canvas = document.querySelector("canvas.rv-plane"), box = canvas.getBoundingClientRect();
      const {width, height} = canvas, ratio = width / box.width;
      const {data} = canvas.getContext("2d").getImageData(0, 0, width, height);
      const green = (x, y) => { const k = 4 * (y * width + x); return data[k + 3] && data[k + 1] - data[k]; };
      return points.map(([x, y]) => {
        const at = [x - box.left, y - box.top].map((v) => Math.floor(v * ratio)), around = [-1, 0, 1];
        return Math.max(...around.flatMap((i) => around.map((j) => green(at[0] + i, at[1] + j))));
      });
    }"""
    ground = torch.tensor([[15.0, -25.0], [18.0, 18.0]], dtype=torch.float64)
    green = page.evaluate(script, [where(page, z) for z in torch.cat([inner.double(), ground]).tolist()])
    assert min(green[:-2]) > 40
    assert max(green[-2:]) < 5
