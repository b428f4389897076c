"""What the hand does to each live figure in JupyterLab, and what its kernel must then know."""

from typing import NamedTuple

import pytest
from running import until

SETUP = "from riemvae_core import widgets\nfigure = {made}\nfigure"
STATE = "(key) => document.querySelector('.jp-OutputArea-output figure').__rv.state[key]"
SAME = """(a, b) => {
  const [one, two] = [[a].flat(), [b].flat()];
  return one.length === two.length && one.every((v, k) => Math.abs(v - two[k]) < 1e-6);
}"""


class Hand(NamedTuple):
    """How a figure is made, which of its traits the hand moves, and where it takes hold.

    `held`: a trait with the place of what is taken, in the plane of `center` and `half`; without one the hand
    takes hold in the middle of the plane.
    """

    made: str
    trait: str
    held: str = ""
    center: str = "(0.0, 0.0)"
    half: str = "1.0"


FRAME = "figure._props['frame']['{}']"
HANDS = {
    "bound": Hand("widgets.bound()", "mu"),
    "points_and_balls": Hand("widgets.points_and_balls()", "position"),
    "packing": Hand("widgets.packing()", "mu", held="mu", half="4.0"),
    "broken_contract": Hand("widgets.broken_contract()", "offset"),
    "voronoi": Hand(
        "widgets.voronoi()", "z", held="z", center="figure._props['center']", half="figure._props['half']"
    ),
    "metric_field": Hand("widgets.metric_field()", "z"),
    "walking_chains": Hand("widgets.walking_chains()", "start"),
    "particles": Hand("widgets.particles()", "probe"),
    "three_paths": Hand(
        "widgets.three_paths()", "a", held="a", center=FRAME.format("center"), half=FRAME.format("half")
    ),
    "own_latents": Hand("widgets.own_latents()", "z"),
}
LEFT, TOP, RIGHT = 30, 8, 8  # margins of a plane in pixels, as in stage.js


def near(value):
    return pytest.approx(value, abs=1e-6)


def show(browser, lab, name, made, alive=""):
    """The figure in a notebook of its own, alive, and the line to its kernel."""
    lab.write(name, ("code", SETUP.format(made=made)))
    page = lab.open(browser, name)
    kernel = lab.run_all(page)
    if alive:
        page.locator(alive).first.wait_for()
    else:
        page.wait_for_function("document.querySelector('.jp-OutputArea-output figure')?.__rv")
    return page, kernel


def take_hold(page, kernel, hand):
    """Where the hand takes hold of the plane, in pixels of the window."""
    canvas = page.locator(".jp-OutputArea-output canvas.rv-plane").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    if not hand.held:
        return box["x"] + box["width"] / 2, box["y"] + box["width"] / 2
    (x, y), center, half = (
        kernel.ask(what) for what in (f"list(figure.{hand.held})", hand.center, hand.half)
    )
    scale = (box["width"] - LEFT - RIGHT) / (2 * half)
    return box["x"] + LEFT + (x - center[0] + half) * scale, box["y"] + TOP + (half - y + center[1]) * scale


def other(page, key, value):
    """Wait until the page's state is another than `value`; what it is then."""
    page.wait_for_function(f"([key, value]) => !({SAME})(({STATE})(key), value)", arg=[key, value])
    return page.evaluate(STATE, key)


def drive(browser, lab, name, hand):
    """Drag: page and kernel have the same new value. Set it in the kernel: the page has it."""
    page, kernel = show(browser, lab, name, hand.made)
    before = kernel.ask(f"figure.{hand.trait}")
    x, y = take_hold(page, kernel, hand)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 40, y - 30, steps=5)
    page.mouse.up()
    moved = other(page, hand.trait, before)
    until(lambda: kernel.ask(f"figure.{hand.trait}") == near(moved), f"the kernel never had {moved}")
    shifted = [v + 0.1 for v in moved] if isinstance(moved, list) else moved + 0.1
    kernel.run(f"figure.{hand.trait} = {shifted}")
    page.wait_for_function(f"([key, value]) => ({SAME})(({STATE})(key), value)", arg=[hand.trait, shifted])
    kernel.leave(page)
