"""The Python side of chapter 9's figure: what it says of a study, the shipped one and one that is made up."""

import json

import numpy as np
import pytest
import torch

from riemvae_core.data import ASSETS
from riemvae_core.figures.widgets import assets, verdict, verdict_data
from riemvae_core.figures.widgets.host import StaticFigure
from riemvae_core.figures.widgets.verdict_figure import KINDS, Verdict, _start
from riemvae_core.models import zoo

RUNS = zoo.load_study("verdict").runs
KEYS = list(verdict_data.sheets())


def law(name, distance, novelty=0.5, others=None):
    scores = {score: [v, v - 0.1, v + 0.1] for score, v in (("distance", distance), ("novelty", novelty))}
    return {"law": name, **scores, "coverage": [0.8, 0.7, 0.9], "others": others or {}}


CELL = {"data": "drawn", "duplicates": "kept", "size": 0, "model": "wae", "price": 0.0}
MADE_UP = [
    {
        **CELL,
        "features": ["pixels"],
        "decision": None,
        "failed": {"two-stage": "ValueError: no"},
        "laws": [law("plain", 3.0, 0.1), law("walk", 9.0, 0.9)],
    },
    {
        **CELL,
        "size": 7,
        "features": ["pixels", "random"],
        "decision": {"best": "plain", "simplest": "plain", "alike": ["plain"], "words": {"walk": "loses"}},
        "laws": [law("plain", 3.0), law("walk", 9.0), law("still", 2.0), law("bound", 1.0)],
    },
]
ABOUT = {"plain": "ignoring", "walk": "geometric", "still": "null", "bound": "reference"}


@pytest.fixture
def made_up(monkeypatch):
    """Another study in the place of the shipped one, without pictures; what is packed is kept for neither."""
    assets.asset.cache_clear()
    about = {
        name: {"kind": kind, "name": f"{name} law", "what": f"what {name} is"} for name, kind in ABOUT.items()
    }
    monkeypatch.setattr(verdict_data, "runs", lambda: MADE_UP)
    monkeypatch.setattr(verdict_data, "settings", lambda: {"laws": about, "novelty": [0.35, 0.65]})
    monkeypatch.setattr(verdict_data, "sheets", dict)
    for run in MADE_UP[1:]:
        for own in run["laws"]:
            own["others"] = {"random": {"distance": [0.25, 0.0, 0.5]}}
    yield
    assets.asset.cache_clear()


def test_every_finished_cell_and_law_is_there_with_its_numbers():
    found = verdict_data.numbers()["scores"]
    assert len(found) == len(RUNS)
    for i, run in enumerate(RUNS):
        there = np.isfinite(found[i, :, 0, 0, 0])
        assert [name for name, ok in zip(verdict_data.laws(), there, strict=True) if ok] == [
            name for name in verdict_data.laws() if name in {own["law"] for own in run["laws"]}
        ]
        for own in run["laws"]:
            j = verdict_data.laws().index(own["law"])
            assert found[i, j, 0, 2] == pytest.approx(own["novelty"], rel=1e-6)
            assert found[i, j, 1, 0] == pytest.approx(own["others"][run["features"][1]]["distance"], rel=1e-6)


@pytest.mark.parametrize("run", RUNS, ids=lambda run: f"{run['data']}-{run['size']}-{run['price']}")
def test_how_laws_stand_is_what_the_rules_decided(run):
    by = {own["law"]: verdict_data.standing(run, own["law"]) for own in run["laws"]}
    low, high = verdict_data.settings()["novelty"]
    for own in run["laws"]:
        assert (by[own["law"]] == "copies") == (own["novelty"][0] < low)
        assert (by[own["law"]] == "strays") == (own["novelty"][0] > high)
    mean = {own["law"]: own["distance"][0] for own in run["laws"]}
    fresh = [name for name, word in by.items() if word in ("take", "nearest", "alike", "features", "beaten")]
    choice = run["decision"]
    if choice is None:
        assert fresh == []
        return
    assert [name for name, word in by.items() if word == "take"] == [choice["simplest"]]
    assert {name for name in fresh if by[name] != "beaten"} == set(choice["alike"])
    assert min(fresh, key=mean.get) == choice["best"]
    said = verdict_data.reason(run)
    assert said.startswith(f"Take {verdict_data.name_of(choice['simplest'])}: ")
    words = [choice["words"].get(name) for name in choice["alike"]]
    if choice["simplest"] != choice["best"]:
        words = [choice["words"][choice["simplest"]]]
    assert ("no difference" in said) == ("no difference" in words)
    assert ("depends on the features" in said) == ("depends on the features" in words)
    assert (f"of {len(choice['alike'])} " in said) == (len(choice["alike"]) > 1)


def test_another_study_is_taken_as_it_comes(made_up, in_a_notebook):
    found = verdict_data.numbers()
    assert found["scores"].shape == (2, 4, 2, 3, 3)
    assert np.isnan(found["scores"][0, 2:]).all()
    assert np.isnan(found["scores"][0, :, 1]).all()
    words = [[verdict_data.standing(run, own["law"]) for own in run["laws"]] for run in MADE_UP]
    assert words == [["copies", "strays"], ["take", "beaten", "null", "reference"]]
    assert [list(verdict_data.STANDINGS)[k] for k in found["standings"][1]] == words[1]
    assert "none is to be taken. Failed, and left out: two-stage." in verdict_data.reason(MADE_UP[0])
    assert "beats every other one" in verdict_data.reason(MADE_UP[1])
    assert _start() == {"cell": CELL | {"size": 7}, "score": "distance", "features": "pixels", "law": "plain"}
    figure = verdict()
    figure.features, figure.law = "random", "walk"
    assert figure.shown == {"distance": [0.25, 0.0, 0.5], "standing": "beaten"}
    figure.cell = {"size": 0}
    assert (figure.features, figure.law, figure.shown["standing"]) == ("pixels", "walk", "strays")
    page_says = {"law": "still", "features": "random", "cell": CELL | {"size": 7}}
    figure.set_state(page_says)
    assert {key: getattr(figure, key) for key in page_says} == page_says
    assert figure.shown["standing"] == "null"


def test_a_study_without_pictures_has_a_still(made_up, in_a_book):
    html = verdict(see="Here.", try_this="There.")._repr_html_()
    assert "drawn, 7 images, wae, price 0" in html
    assert "<image" not in html


# ---- the shipped pictures


def test_pictures_are_small_and_belong_to_finished_cells():
    files = list((ASSETS / "draws").glob("*.webp"))
    assert {file.stem for file in files} == set(KEYS)
    assert sum(file.stat().st_size for file in files) <= 500_000  # a page loads one of them at a time
    cells = [verdict_data.cell_of(run) for run in RUNS]
    for key in KEYS:
        assert verdict_data.cell_of(verdict_data.sheets()[key]) in cells
        near = verdict_data.sheets()[key]["near"]
        assert set(near) <= set(verdict_data.laws())
        assert min(map(min, near.values())) == sum(map(len, near.values()))


@pytest.mark.parametrize("key", KEYS)
def test_copies_lie_over_the_images_they_copy(key):
    """Zero steps decode training codes: nearer to the image below than to that of another draw."""
    near = verdict_data.sheets()[key]["near"]
    row, first = near["zero steps"], len(near["zero steps"]) * list(near).index("zero steps")
    drawn = torch.from_numpy(verdict_data.tiles(key, list(range(first, first + len(row)))))
    below = torch.from_numpy(verdict_data.tiles(key, row))
    gaps = torch.cdist(drawn.flatten(1), below.flatten(1))
    assert (gaps.diagonal() <= gaps.amin(1) + 1e-9).double().mean() > 0.8
    assert gaps.diagonal().mean() < 0.7 * gaps.mean()


# ---- a kernel, a book


def test_a_kernel_sets_a_cell_and_reads_a_law(in_a_notebook):
    figure, seen = verdict(see="Here.", try_this="There."), []
    assert isinstance(figure, Verdict)
    figure.observe(lambda change: seen.append(change["new"]), "shown")
    run = RUNS[0]
    figure.cell = verdict_data.cell_of(run)
    figure.law = "zero steps"
    own = next(own for own in run["laws"] if own["law"] == "zero steps")
    assert figure.shown == seen[-1]
    assert figure.shown["distance"] == own["distance"]
    figure.features = run["features"][1]
    assert figure.shown["distance"] == own["others"][run["features"][1]]["distance"]
    state = figure.get_state()
    assert set(state["_assets"]) == set(verdict_data.asset_names())
    assert json.dumps(state["_props"])
    assert state["_esm"].endswith("export default { render };\n")


def test_wrong_values_are_named(in_a_notebook):
    figure = verdict()
    for trait, value in (("score", "beauty"), ("features", "eyes"), ("law", "magic")):
        with pytest.raises(ValueError, match=rf"{trait} must be one of .*, got {value}"):
            setattr(figure, trait, value)
    with pytest.raises(ValueError, match=r"cell must be one of .*, got .*'size': 17"):
        figure.cell = {"size": 17}


def test_in_a_book_it_is_a_picture_with_its_numbers(in_a_book):
    figure, start = verdict(see="Here.", try_this="There."), _start()
    assert isinstance(figure, StaticFigure)
    html = figure._repr_html_()
    run = next(run for run in RUNS if verdict_data.cell_of(run) == start["cell"])
    for own in run["laws"]:
        assert f"{verdict_data.name_of(own['law'])} {own['distance'][0]:.1f}" in html
    assert html.count("<image") == 12
    assert all(f">{words}<" in html for words in list(KINDS.values())[:4])
