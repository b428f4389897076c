"""Curves in a space: shortest between decoded images with the model at rest, strips, half precision."""

import math

import numpy as np
import properties
import pytest
import torch
from foreign_models import MovingVAE, make
from strangers import LabelVAE, seeded
from torch.distributions import Normal

import riemvae_core as rc
from riemvae_core.space.curves import both_ends, shortest_between, strip
from riemvae_core.space.encoding import encode_more

FEW = {"n_points": 17, "waves": 4}
Y = rc.load_images("digits").labels[:40]


@pytest.fixture(scope="module")
def moving(x) -> tuple[MovingVAE, rc.LatentSpace]:
    """A model in train mode, with dropout and batch norm."""
    model = make("moving").double()
    return model, rc.latent_space(model, x)


# --- the shortest between decoded images


def test_it_is_that_of_the_model_in_eval_mode_and_leaves_train_mode_alone(moving, x):
    model, space = moving
    before = {k: v.clone() for k, v in model.state_dict().items()}
    found = space.shortest_decoded(x[:2], x[2:4], **FEW)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(part.training for part in model.modules())
    assert all(p.grad is None for p in model.parameters())
    expected = rc.shortest_decoded(make("moving").double().eval().decode, space.mu[:2], space.mu[2:4], **FEW)
    properties.close(found.length, expected.length)
    properties.close(found.curve, expected.curve, rtol=1e-5, atol=1e-6)
    assert found.converged.all()


def test_ends_are_images_or_codes_in_any_batch(moving, x):
    space = moving[1]
    both = space.shortest_decoded(x[:2].reshape(2, 1, 1, 8, 8), space.mu[2:4, None], **FEW)
    assert both.curve.shape == (2, 1, 17, 3)
    assert both.length.shape == both.converged.shape == (2, 1)
    one = space.shortest_decoded(x[1].numpy(), x[3], **FEW)
    properties.close(one.length, both.length[1, 0], rtol=1e-3)
    assert space.shortest_decoded(space.mu[:0], space.mu[:0], **FEW).curve.shape == (0, 17, 3)
    with pytest.raises(ValueError, match=r"a and b must be of one shape, got codes \[2, 3\] and \[1, 2, 3\]"):
        space.shortest_decoded(x[:2], space.mu[None, 2:4])
    with pytest.raises(ValueError, match="images and codes must not both be True"):
        space.shortest_decoded(x[0], x[1], images=True, codes=True)
    with pytest.raises(ValueError, match="waves must be a whole number of at least 1, got 0"):
        space.shortest_decoded(x[0], x[1], waves=0)


def test_no_batch_of_codes_is_larger_than_said(x):
    model, seen = make("mlp"), []
    space = rc.latent_space(model, x, batch_size=16)
    model.fc3.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    space.shortest_decoded(x[0], x[1], max_steps=2, n_points=17)
    assert set(seen) == {16, 1}  # 17 points, and 65 to see whether these are enough


def test_on_some_axes_the_others_are_held(moving, x):
    some = moving[1].on_axes([2, 0])
    found = some.shortest_decoded(x[0], x[1], **FEW)
    assert found.curve.shape == (17, 2)
    steps = rc.decoded_steps(some.decode, found.curve)
    properties.close(steps.sum(), found.length)


def test_of_a_normal_the_deviation_counts_too():
    """From a mean 0 and deviation 1 to 3 and 5: the hypotenuse of 3 and 4."""

    def decode(z):
        return Normal(3.0 * z, 1.0 + 4.0 * z)

    space = rc.latent_space((lambda x: (x, x - 3), decode), torch.rand(20, 1).double())
    a, b = torch.tensor([[0.0], [1.0]]).double()
    found = space.shortest_decoded(a, b, codes=True, **FEW)
    assert found.length.item() == pytest.approx(5.0)
    properties.close(space.geodesic(a, b, 8, metric=space.pullback(), codes=True).length, found.length)


def test_each_pair_may_have_its_label():
    x = rc.load_images("digits").images[:40].double()
    model = seeded(LabelVAE)
    space = rc.latent_space(model, x, Y)
    a, b = space.mu[:2], space.mu[2:4]
    found = space.shortest_decoded(a, b, condition=torch.tensor([1, 6]), **FEW)
    for k, label in enumerate((1, 6)):
        alone = rc.shortest_decoded(
            lambda z, y=label: model.decode(z, torch.full((len(z),), y)), a[k : k + 1], b[k : k + 1], **FEW
        )
        properties.close(found.length[k : k + 1], alone.length, rtol=1e-3)
    with pytest.raises(ValueError, match="condition must be given, one row for all or one"):
        space.shortest_decoded(a, b)
    with pytest.raises(
        ValueError, match=r"condition must be one row \[\] for all, or one a pair, \[2\], got"
    ):
        space.shortest_decoded(a, b, condition=torch.tensor([1, 6, 3]))


def test_ends_and_curves_are_those_of_the_functions_behind_the_methods(moving, x):
    space = moving[1]
    a, b = both_ends(space, x[:2], space.mu[2:4], None, False, False)
    assert torch.equal(a, encode_more(space, x[:2], None).mu)
    assert torch.equal(b, space.mu[2:4])
    found = shortest_between(space, a, b, 9, None, waves=2)
    assert torch.equal(found.curve, space.shortest_decoded(x[:2], b, 9, waves=2).curve)
    properties.close(strip(space, found.curve, 9, None)[:, 0], space.decode(a))


# --- strips


@pytest.mark.usefixtures("no_hook")
def test_curves_come_as_arrays_and_lists(space):
    curve = space.mu[:3]
    for form in (curve.numpy(), curve.tolist(), list(curve)):
        assert torch.equal(space.interpolate(form, 5), space.interpolate(curve, 5))
    assert space.interpolate(curve, np.int64(4)).shape == (4, 1, 8, 8)
    half = torch.linspace(0, 1, 400)[:, None].expand(400, 3).to(torch.bfloat16)  # whose numbers end at 256
    exact = space.decode(torch.linspace(0, 1, 9)[:, None].expand(9, 3))
    properties.close(space.interpolate(half, 9), exact, rtol=1e-2, atol=1e-2)


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("curve", "n", "told"),
    [
        (torch.zeros(3), 4, r"curve must be \[\*batch, t, 3\] with t at least 2, got \[3\]"),
        (torch.zeros(1, 3), 4, r"curve must be .* got \[1, 3\]"),
        (torch.zeros(4, 2), 4, r"curve must be .* got \[4, 2\]"),
        (0.0, 4, r"curve must be .* got \[\]"),
        (torch.zeros(4, 3).long(), 4, r"curve must be a tensor of floating numbers, got torch.int64"),
        ("a to b", 4, "curve must hold numbers, got str"),
        (torch.tensor([[0.0] * 3, [math.nan] * 3]), 4, "curve must be finite, got nan in row 1"),
        (torch.zeros(4, 3), 2.5, "n must be a whole number of at least 2, got 2.5"),
        (torch.zeros(4, 3), 1, "n must be a whole number of at least 2, got 1"),
        (torch.zeros(4, 3), "3", "n must be a whole number of at least 2, got '3'"),
    ],
)
def test_what_is_no_curve_is_named(space, curve, n, told):
    with pytest.raises(ValueError, match=told):
        space.interpolate(curve, n)


# --- half precision


@pytest.mark.filterwarnings("ignore::riemvae_core.PathWarning")  # decoded steps are coarse here
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_model_in_half_precision_has_paths(dtype, x):
    """Their metric and lengths are in the codes' precision, as near to the exact ones as the images are."""
    exact, space = (rc.latent_space(make("mlp").to(t), x.to(t)) for t in (torch.float64, dtype))
    z, line = space.mu[:4], space.mu[:2]
    for found, wanted in (
        (space.pullback()(z), exact.pullback()(z.double())),
        (space.pullback().log_volume(z), exact.pullback().log_volume(z.double())),
        (rc.curve_length(space.pullback(), line), rc.curve_length(exact.pullback(), line.double())),
        (rc.decoded_steps(space.decode, line), rc.decoded_steps(exact.decode, line.double())),
    ):
        assert found.dtype == torch.float32
        properties.close(found.double(), wanted, rtol=0.05, atol=0.05)
    assert space.geodesic(*line, 4, metric=space.pullback(), max_steps=2).length.dtype == torch.float32
    assert space.shortest_decoded(*line, 9, max_steps=5).length.dtype == torch.float32
    assert exact.pullback()(z).dtype == torch.float32  # of single points in a double model
