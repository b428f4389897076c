"""Laws compared for a model: rows, intervals, what is recommended and when nothing is, errors, a picture."""

import math
from dataclasses import replace

import matplotlib as mpl
import properties
import pytest
import torch
from scipy.stats import t as student

import riemvae_core as rc
from riemvae_core.laws.law import Parts
from riemvae_core.models import zoo
from riemvae_core.space import LawRow, LawTable, compare_laws, comparison, law_table, verdict
from riemvae_core.space.adapters import adapt

KINDS = ("prior", "gaussian", "isotropic", "kernel", "two-stage")


@pytest.fixture(scope="module")
def digits():
    train, test = (rc.load_images("digits", split).images for split in ("train", "test"))
    return rc.latent_space(zoo.load("digits-vae-2d"), train[:600]), test


@pytest.fixture(scope="module")
def table(digits):
    space, test = digits
    return space.compare_laws(test, "pixels", kinds=KINDS, repeats=4, folds=3)


def test_a_row_for_each_law_for_copies_and_for_what_is_possible(table):
    assert isinstance(table, LawTable)
    assert [row.law for row in table.rows] == [law_table.HELD_OUT, law_table.COPIES, *KINDS]
    assert all(isinstance(row, LawRow) for row in table.rows)
    held, copies = table.row(law_table.HELD_OUT), table.row(law_table.COPIES)
    assert held.novelty.mean == pytest.approx(0.5, abs=0.06)
    assert copies.novelty.mean < 0.05
    assert held.coverage.mean == pytest.approx(1 - 2**-5, abs=0.05)
    assert table.row("kernel").memorization > table.row("gaussian").memorization
    assert table.row("two-stage").memorization is None
    assert table.row("two-stage").held_out_log_prob is None
    assert table.row("prior").memorization == pytest.approx(0.0, abs=1e-6)
    assert table.row("isotropic").held_out_log_prob == table.laws["isotropic"].held_out_log_prob
    for row in table.rows:
        assert row.seconds >= 0.0
        for interval in (row.distance, row.coverage, row.novelty):
            assert 0.0 <= interval.low <= interval.mean <= interval.high
        assert max(row.coverage.high, row.novelty.high) <= 1.0


def test_what_is_recommended_stands_in_the_table_and_is_said(table):
    assert table.best in table.alike
    assert set(table.alike) <= set(KINDS)
    assert table.best in table.reason
    text = str(table)
    assert all(kind in text for kind in (*KINDS, "novelty", "features: pixels"))
    assert repr(table) == text
    with pytest.raises(ValueError, match=r"law must be one of held-out images, .* got 'flow'"):
        table.row("flow")


def made(distances, novelties):
    """A table of laws with given scores, five repetitions each."""
    wave = torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0], dtype=torch.float64, device="cpu")
    names = [law_table.HELD_OUT, law_table.COPIES, *distances]
    means = {law_table.HELD_OUT: 1.0, law_table.COPIES: 0.5} | distances
    level = {law_table.HELD_OUT: 0.5, law_table.COPIES: 0.0} | novelties
    scores = {
        name: torch.stack(
            [means[name] + 0.3 * wave + 0.01 * i * wave.roll(i), 0 * wave + 0.9, 0 * wave + level[name]], 1
        )
        for i, name in enumerate(names)
    }
    laws = {kind: rc.Law(kind, {}, math.nan, (), 2, Parts(None, None)) for kind in distances}
    return verdict.table_of(scores, dict.fromkeys(names, 1.0), {}, laws, "pixels")


def test_a_common_reference_cancels_and_a_clear_winner_wins():
    found = made({"a": 5.0, "b": 5.4}, {"a": 0.4, "b": 0.5})  # intervals overlap, differences don't
    assert found.row("a").distance.high > found.row("b").distance.low
    assert (found.best, found.alike) == ("a", ("a",))
    assert "the least distance" in found.reason
    assert "less than b" in found.reason


def test_laws_that_these_images_cannot_tell_apart_are_named():
    found = made({"a": 5.0, "b": 5.01, "c": 9.0}, {"a": 0.35, "b": 0.52, "c": 0.5})
    assert found.alike == ("a", "b")
    assert found.best == "b"
    assert "no difference that these images could show between a and b" in found.reason


def test_a_law_that_copies_is_not_recommended():
    found = made({"a": 1.0, "b": 5.0}, {"a": 0.02, "b": 0.5})
    assert found.best == "b"
    assert "the only law here that doesn't copy" in found.reason
    found = made({"a": 1.0, "b": 5.0}, {"a": 0.02, "b": 0.03})
    assert found.best == "a"
    assert "all of these laws copy" in found.reason


def test_a_collapsed_model_has_no_law_to_take():
    images = properties.random_tensors(2, (200, 6))[0].float().sigmoid()

    def encode(x):
        return 0.01 * x[:, :2], torch.zeros(len(x), 2)

    space = rc.latent_space((encode, lambda z: 0.5 + 0.01 * z.repeat(1, 3)), images[:100])
    found = space.compare_laws(images[100:], "pixels", kinds=("prior", "isotropic"), repeats=2)
    assert rc.latent_health(space.mu, space.log_var).dead.all()
    assert found.reason.startswith("Take none of these: every axis is dead")
    assert found.best is None
    assert sorted(found.laws) == ["isotropic", "prior"]


def test_a_decoder_that_gives_one_image_has_no_law_to_take(digits):
    """Nor does a picture of its table fail, where all distances are 0."""
    space, test = digits
    flat = replace(space, adapter=adapt((zoo.load("digits-vae-2d").encode, lambda z: 0 * z @ z[:2].T + 0.5)))
    assert not flat.health().dead.any()
    found = flat.compare_laws(test, "pixels", kinds=("prior", "gaussian"), repeats=2, folds=2)
    assert found.best is None
    assert found.reason.startswith("Take none of these: the decoder gives one image for all codes")
    mpl.use("Agg")
    axes = found.plot()
    assert len(axes.texts) == 4
    mpl.pyplot.close(axes.figure)
    with pytest.raises(ValueError, match="held_out_images must differ, got 50 that all decode to one image"):
        space.compare_laws(test[:1].expand(50, -1, -1, -1), "pixels", kinds=("prior",))


# --- images that are not unseen


def test_images_of_the_space_itself_are_no_held_out_images(digits):
    space, test = digits
    own, other = rc.load_images("digits").images[:600], replace(space, batch_size=7)  # other roundings
    for made in (space, other):
        with pytest.raises(ValueError, match="held_out_images must not be the space's own, got 600 of 600"):
            made.compare_laws(own, "pixels")
        with pytest.raises(ValueError, match=r"got 200 of 400 whose codes are in it \(first: row 200\)"):
            made.compare_laws(torch.cat([test[:200], own[:200]]), "pixels")
    with pytest.raises(ValueError, match=r"must hold at least 40 beside the space's own, got 1 of 40"):
        space.compare_laws(torch.cat([test[:39], own[:1]]), "pixels")


def test_a_few_images_of_the_space_itself_are_left_out(digits):
    space, test = digits
    few = torch.cat([test[:100], rc.load_images("digits").images[[3, 5]], test[100:]])
    found, expected = (
        compare_laws(replace(space, batch_size=9), x, "pixels", "gaussian", repeats=2, folds=2)
        for x in (few, test)
    )
    assert found.reason.endswith(
        "Left out are 2 held-out images whose codes are in the space (first: row 100)."
    )
    for row, other in zip(found.rows, expected.rows, strict=True):
        assert row.distance == pytest.approx(other.distance, rel=1e-3)  # to rounding of another batch size
        assert row.novelty == pytest.approx(other.novelty, abs=0.01)
    assert "Left out" not in expected.reason


# --- laws that can't be made


def unmade(error, *at):
    """``fit_law`` that fails for these kinds, and for the others is itself."""

    def fit(mu, log_var, kind, **settings):
        if kind in at:
            raise error
        return rc.fit_law(mu, log_var, kind, **settings)

    return fit


def test_a_law_that_cannot_be_made_is_left_out_and_named(digits, monkeypatch):
    space, test = digits
    for error in (ValueError("mu must span"), torch.linalg.LinAlgError("mu must span")):
        monkeypatch.setattr(comparison, "fit_law", unmade(error, "mixture", "axes"))
        found = compare_laws(space, test, "pixels", ("mixture", "gaussian", "axes"), repeats=2, folds=2)
        assert found.best == "gaussian"
        assert list(found.laws) == ["gaussian"]
        assert found.reason.endswith("mixture is left out: mu must span. axes is left out: mu must span.")
    with pytest.raises(RuntimeError, match="mu must span"):
        compare_laws(space, test, "pixels", ("mixture", "axes"))
    monkeypatch.setattr(comparison, "fit_law", unmade(MemoryError("not here"), "mixture"))
    with pytest.raises(MemoryError):
        compare_laws(space, test, "pixels", ("gaussian", "mixture"), folds=2)


def test_a_law_whose_draws_cannot_be_decoded_is_left_out():
    """Of codes within 1 the prior leaves the disc in which this decoder gives numbers."""
    x = properties.random_tensors(1, (200, 6))[0].float().sigmoid()

    def decode(z):
        return torch.where(z.norm(dim=1, keepdim=True) < 2.0, z.repeat(1, 3), math.inf)

    space = rc.latent_space((lambda x: (x[:, :2], 0 * x[:, :2] - 6), decode), x[:100])
    found = compare_laws(space, x[100:], "pixels", ("prior", "isotropic"), repeats=2)
    assert list(found.laws) == ["isotropic"]
    assert "prior is left out: decode must return finite numbers" in found.reason


# --- too little, and settings


def test_half_samples_tell_the_whole_samples_error():
    """The deviation of a mean over random halves is the standard error of the mean of all."""
    values = properties.random_tensors(1, (4000,))[0]
    generator = rc.make_generator(0)
    halves = torch.stack(
        [values[torch.randperm(4000, generator=generator)[:2000]].mean() for _ in range(800)]
    )
    interval = verdict.half_sample_interval(halves)
    width = float(student.ppf(0.975, 799)) * values.std().item() / 4000**0.5
    assert interval.high - interval.mean == pytest.approx(width, rel=0.1)
    assert interval.mean - interval.low == pytest.approx(interval.high - interval.mean)


def test_the_models_own_decoder_is_pulled_back(digits):
    test = digits[1]
    some = rc.latent_space(zoo.load("digits-vae-2d"), rc.load_images("digits").images[:80])
    found = some.compare_laws(test[:80], "pixels", kinds=("pullback",), repeats=2, folds=2)
    assert {widths["pull"] for widths, _ in found.laws["pullback"].tried} == {0.0, 0.1, 1.0, 10.0}
    assert found.row("pullback").memorization is not None


@pytest.mark.usefixtures("no_hook")
def test_what_cannot_be_compared_is_refused(digits):
    space, test = digits
    with pytest.raises(ValueError, match="held_out_images must hold at least 40 images, got 12"):
        compare_laws(space, test[:12], "pixels")
    with pytest.raises(ValueError, match=r"kinds must be some of prior, .* got kde"):
        compare_laws(space, test, "pixels", ("prior", "kde"))
    with pytest.raises(ValueError, match="got none"):
        compare_laws(space, test, "pixels", ())
    for wrong, told in ((None, "None"), (5, "5"), ([["kernel"]], r"\['kernel'\]"), ([None], "None")):
        with pytest.raises(ValueError, match=rf"kinds must be some of prior, .* got {told}$"):
            compare_laws(space, test, "pixels", wrong)
    with pytest.raises(ValueError, match="repeats must be a whole number of at least 2, got 1"):
        compare_laws(space, test, "pixels", repeats=1)
    with pytest.raises(ValueError, match=r"folds must be at most the number of codes \(600\), got 601"):
        compare_laws(space, test, "pixels", folds=601)


@pytest.mark.usefixtures("no_hook")
def test_what_is_no_generator_is_named(digits):
    with pytest.raises(ValueError, match=r"generator must be a torch.Generator, .* got int"):
        compare_laws(*digits, "pixels", generator=3)


def test_the_plot_has_a_point_a_row(table):
    mpl.use("Agg")
    axes = table.plot()
    assert {text.get_text() for text in axes.texts} == {row.law for row in table.rows}
    assert axes.get_xlabel() == "distance to held-out images"
    again = table.plot(axes)
    assert again is axes
    mpl.pyplot.close(axes.figure)
