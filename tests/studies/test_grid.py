"""What a cell is: hashes, seeds, common starts and noise, first weights and losses that models share."""

import dataclasses
from collections import Counter

import pytest
import torch
from pythae.models import VAE, VAEConfig
from verdict import judge, laws, models, spaces
from verdict.grid import AXES, Cell, Fit, read_grid

import riemvae_core as rc
from conftest import STUDIES

FIT = Fit("digits", "kept", 100, "vae", 0.3, 0, latent_dim=3, network="conv", width=4, steps=2, batch_size=32)
CELL = Cell(FIT, "hypothesis", "gaussian", 0, 50, ("pixels",))
OTHERS = {
    "duplicates": "dropped", "size": 99, "model": "iwae", "price": 1.0, "seed": 1, "data": "fashion",
    "latent_dim": 4, "network": "mlp", "width": 5, "steps": 3, "batch_size": 31, "validation": 0.1,
}  # fmt: skip


def test_a_hash_changes_with_anything_that_a_result_depends_on():
    assert set(OTHERS) == {field.name for field in dataclasses.fields(Fit)}
    fits = [FIT, *(dataclasses.replace(FIT, **{name: other}) for name, other in OTHERS.items())]
    cells = [dataclasses.replace(CELL, fit=fit) for fit in fits]
    other = {"law": "uniform", "draw": 1, "images": 51, "features": ("pixels", "random")}
    cells += [dataclasses.replace(CELL, **{name: value}) for name, value in other.items()]
    assert len({fit.key for fit in fits}) == len(fits)
    assert len({cell.key for cell in cells}) == len(cells)
    assert dataclasses.replace(CELL, role="confirmation").key == CELL.key
    # kept files stay valid as long as this holds
    assert (FIT.key, CELL.key) == ("37a4a1e28e06", "030f0ea3023d")


@pytest.mark.parametrize("name", ["study", "smoke"])
def test_grids_are_whole_and_seeds_serve_one_role(name):
    path = STUDIES / "verdict" / f"{name}.toml"
    first, second = (read_grid(path, (role,), models.UNPRICED) for role in ("hypothesis", "confirmation"))
    both = read_grid(path, ("hypothesis", "confirmation"), models.UNPRICED)
    assert not {c.key for c in first.cells} & {c.key for c in second.cells}
    assert len(both.cells) == len(first.cells) + len(second.cells)
    assert not {c.fit.seed for c in first.cells} & {c.fit.seed for c in second.cells}
    assert {c.law for c in both.cells} <= set(laws.LAWS)
    assert {c.fit.model for c in both.cells} <= set(models.MODELS)
    assert {features for c in both.cells for features in c.features} <= set(spaces.FEATURES)
    assert {c.fit.data for c in both.cells} <= set(rc.data_names())
    assert {c.fit.price == 0.0 for c in both.cells if c.fit.model in models.UNPRICED} <= {True}
    keys = [c.fit.key for c in both.cells]
    changes = sum(key != before for key, before in zip(keys[1:], keys, strict=False))
    assert changes + 1 == len(both.fits())  # the cells of a model stand together
    if name == "study":
        counted = Counter((c.fit.key, c.law) for c in first.cells)
        assert set(counted.values()) == {1, 2, 5}  # draws a law; one of the uniform law of all images
        main = [c for c in first.cells if c.fit.data == "fashion-full" and 0 < c.fit.size <= 1000]
        plain = {counted[c.fit.key, c.law] for c in main if c.fit.model == "vae" and c.law in judge.LAWS}
        assert plain == {5}
        assert len({c.fit.seed for c in second.cells}) == 5
        assert set(laws.LAWS) == {c.law for c in first.cells}
        judged = {*judge.LAWS, judge.BOUND, judge.OWN}
        assert judged < set(laws.LAWS)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.replace("draws = 2", "draw = 2", 1), r"a block must have .*draws.*got draw, draws"),
        (lambda s: s.replace('data = ["digits"]', 'data = "digits"', 1), "data must be lists, got 'digits'"),
        (lambda s: s.replace("[1000]", "[1]"), r"seeds must serve one role, got \[1\]"),
        (lambda s: s.replace("confirmation", "final"), r"roles must be of .*got final"),
    ],
)
def test_a_wrong_grid_is_refused(change, words, tmp_path):
    (tmp_path / "grid.toml").write_text(change((STUDIES / "verdict" / "smoke.toml").read_text()))
    with pytest.raises(ValueError, match=words):
        read_grid(tmp_path / "grid.toml")
    assert len(AXES) == 6


@pytest.fixture
def codes():
    generator = rc.make_generator(3)
    mu, log_var = (torch.randn(40, 3, generator=generator) for _ in range(2))
    return laws.Codes(mu, log_var, (mu, log_var), (mu, log_var), None)


def test_laws_share_starts_and_noise_within_a_draw(codes):
    def drawn(law, draw=0):
        return laws.LAWS[law](codes, 500, laws.common_generator(0, draw)).z

    start = drawn("zero steps")
    rows = torch.cdist(start, codes.mu).argmin(1)
    assert torch.equal(codes.mu[rows], start)
    eps = (drawn("aggregate posterior") - start) / torch.exp(0.5 * codes.log_var[rows])
    sizes = {
        "round noise": codes.log_var.exp().mean().sqrt(),
        "noise of one shape": codes.log_var.exp().mean(0).sqrt(),
        "shuffled shapes": torch.exp(0.5 * codes.log_var[rows - 1]),
        "free walk": 0.5,
    }
    for law, size in sizes.items():
        assert torch.allclose(drawn(law), start + size * eps, atol=1e-4), law
    assert torch.equal(drawn("own prior"), rc.sample_prior(codes.mu, 500, laws.common_generator(0, 0)))
    assert not torch.equal(drawn("zero steps", draw=1), start)
    own = codes._replace(prior=rc.Balls(codes.mu[:1], codes.log_var[:1] - 60.0))
    assert torch.allclose(laws.LAWS["own prior"](own, 5, laws.common_generator(0, 0)).z, codes.mu[:1])
    seeds = {laws.common_generator(seed, draw).initial_seed() for seed in range(9) for draw in range(9)}
    assert len(seeds) == 81
    with pytest.raises(ValueError, match="draw must be from 0 to 999"):
        laws.common_generator(0, 1000)


@pytest.mark.parametrize("kind", ["isotropic", "ball"])
def test_a_fitted_law_has_its_width_from_the_held_out_codes(codes, kind):
    held_out = rc.standard_normal((30, 3), codes.mu, rc.make_generator(4))
    drawn, facts = laws.LAWS[f"fitted {kind}"](
        codes._replace(held_out=(held_out, None)), 7, laws.common_generator(0, 1)
    )
    law = rc.fit_law(codes.mu, codes.log_var, kind, held_out)
    assert torch.equal(drawn, law.sample(7, laws.common_generator(0, 1)))
    assert facts == {"held_out_log_prob": law.held_out_log_prob}
    assert facts["held_out_log_prob"] == pytest.approx(law.log_prob(held_out).mean().item(), rel=1e-4)


def test_the_paper_s_chains_start_where_all_laws_start_and_metrics_are_made_once(codes):
    start = laws.LAWS["zero steps"](codes, 9, laws.common_generator(0, 0)).z
    near, far = (
        laws.LAWS[law](codes, 9, laws.common_generator(0, 0)).z
        for law in ("as released, 10 moves", "as released")
    )
    assert 0.0 < (near - start).norm() < (far - start).norm()
    half, whole, twice = (laws._metric_of(codes, None, times).rho for times in (0.5, 1.0, 2.0))
    assert (half, twice) == pytest.approx((whole / 2, 2 * whole))
    assert laws._metric_of(codes, None) is laws._metric_of(codes, None)
    assert len(laws._metric_of(codes, 30).mu) == 30
    assert len(laws._metric_of(codes, 300).mu) == len(codes.mu)


def test_a_shuffled_ball_is_another_image_s_with_a_width_of_its_own(codes):
    held = (rc.standard_normal((30, 3), codes.mu, rc.make_generator(4)), None)
    drawn = laws.LAWS["fitted shuffled ball"](codes._replace(held_out=held), 7, laws.common_generator(0, 1))
    law = rc.fit_law(codes.mu, codes.log_var.roll(1, 0), "ball", held[0])
    assert torch.equal(drawn.z, law.sample(7, laws.common_generator(0, 1)))
    plain = laws.LAWS["fitted kernel"](codes._replace(held_out=held), 7, laws.common_generator(0, 1))
    law = rc.fit_law(codes.mu, None, "kernel", held[0])
    assert torch.equal(plain.z, law.sample(7, laws.common_generator(0, 1)))


class Scripted(torch.nn.Module):
    """A model whose held-out loss is the square of its one weight less 3."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def losses(self, x, eps):
        assert not self.training
        return models.Losses((self.weight - 3.0).square().expand(len(x)))


def test_the_best_weights_are_those_of_the_least_held_out_loss():
    model, best = Scripted(), models.Best(torch.zeros(7, 1, 2, 2), FIT, epochs=40)
    for done in range(1, 41):
        with torch.no_grad():
            model.weight.fill_(done / 10)
        best(done, model, {})
    assert best.state["weight"].item() == pytest.approx(3.0)  # seen after every second epoch
    assert (best.best_after, model.training) == (30, True)
    once = models.Best(torch.zeros(7, 1, 2, 2), FIT, epochs=1)
    once(1, model, {})
    assert once.state["weight"].item() == pytest.approx(4.0)


def test_a_trained_model_has_the_best_weights_also_when_it_is_read_again(tmp_path, monkeypatch):
    images = rc.load_images("digits", limit=120).images
    kept = []
    monkeypatch.setattr(models, "Best", lambda *a: kept.append(Kept(*a)) or kept[0])
    fit = dataclasses.replace(FIT, steps=60)
    encode = models.train(fit, images[:96], images[96:], tmp_path / "w.safetensors").encode
    model = models.make(fit, (1, 8, 8))
    model.load_state_dict(kept[0].state)
    again = models.train(fit, images[:96], images[96:], tmp_path / "w.safetensors").encode
    for mu in (encode(images)[0], again(images)[0]):
        assert torch.allclose(mu, model.encode(images)[0], atol=1e-5)


class Kept(models.Best):
    """Takes the first look for the best, whatever comes after."""

    def __call__(self, done, model, means):
        if not self.state:
            super().__call__(done, model, means)


def test_a_law_that_needs_balls_says_so(codes):
    with pytest.raises(ValueError, match="needs a model with balls"):
        laws.LAWS["aggregate posterior"](codes._replace(log_var=None), 5, laws.common_generator(0, 0))


def test_rows_are_those_of_the_seed_whatever_the_model():
    train, held_out = spaces.chosen_rows(FIT, 1437)
    assert (len(train), len(held_out)) == (80, 20)
    assert len(torch.cat([train, held_out]).unique()) == 100
    again = spaces.chosen_rows(dataclasses.replace(FIT, model="iwae", price=1.0), 1437)
    assert torch.equal(torch.cat(again), torch.cat([train, held_out]))
    assert not torch.equal(spaces.chosen_rows(dataclasses.replace(FIT, seed=1), 1437)[0], train)
    assert sum(map(len, spaces.chosen_rows(dataclasses.replace(FIT, size=0), 1437))) == 1437
    for change, words in (
        ({"size": 1438}, "size must be at most 1437"),
        ({"duplicates": "some"}, "kept or dropped"),
    ):
        with pytest.raises(ValueError, match=words):
            spaces.chosen_rows(dataclasses.replace(FIT, **change), 1437)
    with pytest.raises(ValueError, match="kept in digits: they were sought in fashion-full"):
        spaces.chosen_rows(dataclasses.replace(FIT, duplicates="dropped"), 1437)


def test_duplicates_are_dropped_from_the_training_set():
    fit = dataclasses.replace(FIT, data="fashion-full", duplicates="dropped", size=0)
    left = torch.cat(spaces.chosen_rows(fit, 60_000))
    assert 59_000 < len(left) < 60_000
    assert torch.isin(torch.tensor([753, 21295, 29413, 43549]), left).tolist() == [True, False, False, False]


@pytest.mark.parametrize("price", [0.1, 3.0])
def test_a_foreign_loss_at_a_price_is_that_of_our_vae(price, monkeypatch):
    kind = models.Kind(lambda vae: lambda encoder, decoder: VAE(
        VAEConfig(input_dim=(1, 8, 8), latent_dim=3), encoder=encoder, decoder=decoder))  # fmt: skip
    monkeypatch.setitem(models.MODELS, "pythae's", kind)
    fit = dataclasses.replace(FIT, price=price)
    ours, theirs = (models.make(dataclasses.replace(fit, model=m), (1, 8, 8)) for m in ("vae", "pythae's"))
    x = rc.load_images("digits", limit=7).images
    eps = rc.standard_normal((7, 3), x, rc.make_generator(1))
    state = torch.get_rng_state()
    total = theirs.losses(x, eps).total
    assert torch.equal(theirs.losses(x, eps).total, total)
    assert torch.equal(torch.get_rng_state(), state)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(eps[0, 0].view(torch.int32)) % 2**31)
        noise = torch.randn(7, 3)
    assert total.shape == (7,)
    assert torch.allclose(total.mean(), ours.losses(x, noise).total.mean(), rtol=1e-4)


@pytest.mark.parametrize("name", list(models.MODELS))
def test_models_start_from_the_same_weights(name):
    fit = dataclasses.replace(FIT, model=name)
    model, vae = models.make(fit, (1, 8, 8)), models.make(FIT, (1, 8, 8))
    own = model if name in ("vae", "beta-vae") else model.model.encoder.vae
    assert all(torch.equal(a, b) for a, b in zip(own.parameters(), vae.parameters(), strict=True))
    losses = model.losses(rc.load_images("digits", limit=5).images, torch.zeros(5, 3))
    assert losses.total.shape == (5,)
    assert torch.isfinite(losses.total).all()
    with pytest.raises(ValueError, match=r"model must be one of vae, .*got 'gan'"):
        models.make(dataclasses.replace(fit, model="gan"), (1, 8, 8))
