"""Laws over codes: they sum to one where all grids can be listed, look back only, and draw what they say."""

import itertools
import math

import properties
import pytest
import torch

from riemvae_core.codes.prior import (
    CodePrior,
    CodePriorConfig,
    CodePriorLosses,
    HistogramPrior,
    codes_as_images,
    draw_codes,
    histogram_prior,
    make_code_prior,
)
from riemvae_core.models import evaluate, fit
from riemvae_core.numerics import make_generator

CHI_SQUARE = {7: 24.3, 8: 26.1, 80: 124.8}  # 99.9% points


def every_grid(k, *grid):
    """All codes that a grid can hold, one row a grid."""
    listed = torch.tensor(list(itertools.product(range(k), repeat=math.prod(grid))))
    return listed.reshape(-1, *grid)


def prior(k=3, grid=(2, 2), width=8, seed=0, scale=3.0):
    """A net whose law is far from uniform."""
    net = make_code_prior(CodePriorConfig(k, grid, width), seed)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(scale)
    return net.double()


# --- histograms


def test_a_histogram_is_the_shares():
    codes = torch.tensor([0, 2, 2, 1, 2, 2])
    law = histogram_prior(codes, 4)
    assert isinstance(law, HistogramPrior)
    assert law.log_share.exp().tolist() == pytest.approx([1 / 6, 1 / 6, 4 / 6, 0])
    properties.close(law.log_prob(codes), law.log_share[codes])
    smooth = histogram_prior(codes, 4, smoothing=1.0)
    assert smooth.log_share.exp().tolist() == pytest.approx([0.2, 0.2, 0.5, 0.1])


def test_no_law_of_the_same_places_likes_the_codes_more():
    codes = torch.randint(4, (50, 2, 3), generator=make_generator(0))
    best = histogram_prior(codes, 4).log_prob(codes).sum()
    for seed in range(20):
        tilted = 0.3 * properties.random_tensors(1, (2, 3, 4), seed, torch.float32)[0]
        other = HistogramPrior((histogram_prior(codes, 4).log_share + tilted).log_softmax(-1))
        assert other.log_prob(codes).sum() < best


def test_places_of_a_histogram_are_independent():
    codes = torch.randint(3, (40, 2, 2), generator=make_generator(1))
    law = histogram_prior(codes, 3)
    grids = every_grid(3, 2, 2)
    properties.close(law.log_prob(grids).exp().sum(), torch.tensor(1.0), 1e-5, 1e-5)
    by_hand = torch.stack([law.log_share[i, j, grids[:, i, j]] for i in range(2) for j in range(2)]).sum(0)
    properties.close(law.log_prob(grids), by_hand, 1e-5, 1e-5)
    drawn = law.sample(20_000, make_generator(2))
    assert drawn.shape == (20_000, 2, 2)
    properties.close(histogram_prior(drawn, 3).log_share.exp(), law.log_share.exp(), 0.0, 0.02)


# --- draws


def test_draws_follow_the_logits():
    logits = torch.tensor([0.3, -1.0, 2.0, -math.inf, 1.0]).double()
    drawn = draw_codes(logits.expand(50_000, 5), make_generator(0)).bincount(minlength=5)
    expected = 50_000 * logits.softmax(-1)
    assert drawn[3] == 0
    kept = torch.arange(5) != 3
    assert ((drawn - expected)[kept].square() / expected[kept]).sum() < 16.3
    again = [draw_codes(logits.expand(9, 5), make_generator(3)) for _ in range(2)]
    assert torch.equal(*again)
    assert draw_codes(torch.tensor([-math.inf, 0.0, -math.inf]), make_generator(0)) == 1


# --- the autoregressive law


@pytest.mark.parametrize("grid", [(), (1, 1), (2, 2), (1, 3), (3, 1)])
def test_probabilities_of_all_grids_sum_to_one(grid):
    net, grids = prior(grid=grid), every_grid(3, *grid)
    log_prob = net.log_prob(grids)
    properties.close(log_prob.exp().sum(), torch.tensor(1.0).double(), 1e-12, 1e-12)
    assert log_prob.exp().std() > 1e-3


def test_a_code_tells_of_later_places_only():
    """Which code moves which logits: all later ones, and none before or at its own place."""
    net = prior(k=4, grid=(2, 3))
    codes = torch.randint(4, (1, 2, 3), generator=make_generator(0))
    base = net.logits(codes)
    assert base.shape == (1, 6, 4)
    influence = torch.zeros(6, 6, dtype=torch.bool)
    for source in range(6):
        for other in range(4):
            changed = codes.flatten(1).clone()
            changed[0, source] = other
            moved = (net.logits(changed.reshape(1, 2, 3)) - base).abs().amax(-1)[0]
            influence[:, source] |= moved > 0
    assert torch.equal(influence, torch.ones(6, 6).tril(-1).bool())


def test_by_autograd_too_no_logit_depends_on_its_own_code_or_a_later_one():
    net = prior(k=4, grid=(2, 3))
    codes = torch.randint(4, (1, 2, 3), generator=make_generator(0))
    inputs = []
    for table in (net.before, net.above):

        def as_leaf(_module, _arguments, out):
            inputs.append(out.detach().requires_grad_())
            return inputs[-1]

        table.register_forward_hook(as_leaf)
    logits = net.logits(codes)
    for place in range(6):
        before, above = torch.autograd.grad(logits[0, place].sum(), inputs, retain_graph=True)
        # input t holds the codes before and above place t: none of them later than t - 1
        assert not before[0, place + 1 :].any()
        assert not above[0, place + 1 :].any()
        assert before[0, : place + 1].abs().sum(-1).all()


def test_inputs_are_the_code_before_and_the_code_above():
    net = prior(k=9, grid=(2, 3))
    codes = torch.arange(6).reshape(1, 2, 3)
    assert net._shifted(codes.flatten(1), 1).tolist() == [[9, 0, 1, 2, 3, 4]]
    assert net._shifted(codes.flatten(1), 3).tolist() == [[9, 9, 9, 0, 1, 2]]


@pytest.mark.parametrize(("k", "grid"), [(8, ()), (3, (1, 2)), (3, (2, 2))])
def test_samples_have_the_law_that_log_prob_tells(k, grid):
    net, n = prior(k=k, grid=grid, scale=1.5), 20_000
    drawn = net.sample(n, make_generator(0))
    assert drawn.shape == (n, *grid)
    grids = every_grid(k, *grid)
    expected = n * net.log_prob(grids).detach().exp()
    rows = {tuple(row): i for i, row in enumerate(grids.reshape(len(grids), -1).tolist())}
    index = torch.tensor([rows[tuple(row)] for row in drawn.reshape(n, -1).tolist()])
    counts = index.bincount(minlength=len(grids))
    assert expected.min() > 5
    statistic = ((counts - expected).square() / expected).sum()
    assert statistic < CHI_SQUARE[len(grids) - 1]
    assert torch.equal(net.sample(5, make_generator(4)), net.sample(5, make_generator(4)))


def test_training_on_single_codes_ends_at_the_histogram():
    codes = torch.tensor([0] * 50 + [1] * 30 + [2] * 20)
    net = make_code_prior(CodePriorConfig(3, (), 8), seed=0)
    history = fit(net, codes_as_images(codes), epochs=200, batch_size=100, lr=0.02, progress=False)
    best = -histogram_prior(codes, 3).log_prob(codes).mean()
    assert list(history.losses) == ["total"]
    assert best - 1e-5 <= history.losses["total"][-1] < best + 1e-3
    properties.close(net.log_prob(torch.arange(3)).exp(), torch.tensor([0.5, 0.3, 0.2]), 0.0, 0.01)
    assert evaluate(net, codes_as_images(codes))["total"] == pytest.approx(float(best), abs=1e-3)


def test_order_is_learned_where_histograms_see_none():
    """Each grid is one code throughout: places look uniform, yet one code tells all others."""
    codes = torch.arange(200).remainder(4)[:, None, None].expand(200, 2, 2).contiguous()
    net = make_code_prior(CodePriorConfig(4, (2, 2), 16), seed=0)
    fit(net, codes_as_images(codes), epochs=40, batch_size=50, lr=0.02, progress=False)
    assert -histogram_prior(codes, 4).log_prob(codes).mean().item() == pytest.approx(
        4 * math.log(4), rel=1e-5
    )
    assert -net.log_prob(codes).mean().item() == pytest.approx(math.log(4), abs=0.1)
    drawn = net.sample(200, make_generator(0)).flatten(1)
    assert (drawn == drawn[:, :1]).all(1).float().mean() > 0.9


def test_losses_are_the_log_probabilities():
    net = prior().float()
    codes = torch.randint(3, (7, 2, 2), generator=make_generator(0))
    losses = net.losses(codes_as_images(codes))
    assert isinstance(losses, CodePriorLosses)
    assert isinstance(net, CodePrior)
    assert torch.equal(losses.total, -net.log_prob(codes))
    assert codes_as_images(codes).shape == (7, 1, 2, 2)
    assert codes_as_images(codes[:, 0, 0]).shape == (7, 1, 1, 1)


def test_weights_come_from_the_seed_and_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    a, b, c = (prior(seed=seed).state_dict() for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert not any(torch.equal(a[k], c[k]) for k in a)


@pytest.mark.usefixtures("meta_by_default")
def test_nothing_is_made_on_a_default_device():
    net = prior()
    codes = torch.zeros(5, 2, 2, dtype=torch.int64, device="cpu")
    drawn = histogram_prior(codes, 3, 1.0).sample(4)
    assert {t.device.type for t in (net.log_prob(codes), net.sample(3), drawn)} == {"cpu"}


CODES = torch.zeros(5, 2, 2, dtype=torch.int64)


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: CodePriorConfig(0), ("n_codes", "positive", "got 0")),
        (lambda: CodePriorConfig(3, (2,)), ("grid", "() or (h, w)", "(2,)")),
        (lambda: prior().log_prob(CODES[:, 0]), ("codes", "[n, 2, 2]", "[5, 2]")),
        (lambda: prior().logits(CODES + 3), ("codes", "0 to 2", "3")),
        (lambda: histogram_prior(CODES[:0], 3), ("codes", "at least 1", "[0, 2, 2]")),
        (lambda: histogram_prior(CODES + 3, 3), ("codes", "0 to 2", "3")),
        (lambda: histogram_prior(CODES, 3).log_prob(CODES[:, 0]), ("codes", "[n, 2, 2]", "[5, 2]")),
        (lambda: codes_as_images(CODES[:, 0]), ("codes", "[n] or [n, h, w]", "[5, 2]")),
    ],
)
def test_bad_arguments_are_named(call, words):
    with pytest.raises(ValueError, match="must") as caught:
        call()
    properties.message_names(caught.value, *words)
