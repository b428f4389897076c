"""Ends of paths are images or codes: never guessed where shapes fit both; and files keep conditions."""

import json
import struct

import numpy as np
import properties
import pytest
import torch
from safetensors.torch import load
from strangers import LabelVAE, VolumeVAEMended, seeded

import riemvae_core as rc
from riemvae_core.space import latent
from riemvae_core.space.encoding import end_codes, flat_codes
from riemvae_core.space.files import KEY
from riemvae_core.space.making import decode_some

DIGITS = rc.load_images("digits")
X, Y = DIGITS.images[:40].double(), DIGITS.labels[:40]
W = 2 * torch.eye(3).double()


def second_stage(**settings):
    """d inputs, d latents: a code is an image times 2."""
    x = X.flatten(1)[:, 20:23]
    return rc.latent_space((lambda x: (x @ W, x - 3), lambda z: z @ W.inverse()), x, **settings), x


@pytest.fixture
def ends_alone(monkeypatch):
    """Paths that are their two ends: what they were taken for, without the search for what lies between."""
    nought = torch.zeros(())

    def path(_metric, a, b, *_, **__):
        return rc.Geodesic(torch.stack([a, b], -2), nought, nought, nought > -1, nought.long())

    for name in ("geodesic", "low_cost_path"):
        monkeypatch.setattr(latent, name, path)


@pytest.mark.usefixtures("ends_alone")
def test_where_shapes_coincide_the_caller_says():
    space, x = second_stage()
    for path in (space.geodesic, space.low_cost_path):
        with pytest.raises(ValueError, match="a must say what it is where its shape fits both") as caught:
            path(x[0], x[1])
        properties.message_names(caught.value, "images [*batch, 3]", "codes [*batch, 3]", "codes=True", "[3]")
        properties.close(path(x[0], x[1], 4, images=True).curve, x[:2] @ W)
        properties.close(path(x[0], x[1], 4, codes=True).curve, x[:2])
    with pytest.raises(ValueError, match="images and codes must not both be True"):
        space.geodesic(x[0], x[1], images=True, codes=True)


def test_other_coincidences_are_refused_too():
    """A last axis of d in an image, and an image of a code's own axes."""
    for image_shape, code_shape, shape in (
        ((1, 8, 8), (8,), (1, 8, 8)),
        ((1, 8, 8), (1, 8, 8), (1, 8, 8)),
        ((4,), (4,), (5, 4)),
    ):
        d = int(np.prod(code_shape))
        with pytest.raises(ValueError, match="b must say what it is"):
            end_codes("b", torch.zeros(shape), d, image_shape, code_shape, None)
    assert end_codes("a", torch.zeros(2, 8), 8, (1, 8, 8), (8,), None)[1:] == ("codes", (2,))
    assert end_codes("a", torch.zeros(5, 1, 8, 8), 8, (1, 8, 8), (8,), "images")[1:] == ("images", (5,))


@pytest.mark.usefixtures("ends_alone")
def test_codes_come_in_their_own_shape_too():
    x = X[:, :, None, :, :].expand(-1, -1, 8, -1, -1).contiguous()
    space = rc.latent_space(seeded(VolumeVAEMended), x)
    own = space.mu[:4].reshape(4, 2, 2, 2, 2)
    properties.close(space.decode(own), space.decode(space.mu[:4]))
    for a, b in ((own[0], own[1]), (own[0].numpy(), x[1].numpy()), (x[0], space.mu[1])):
        properties.close(space.low_cost_path(a, b).curve, space.mu[:2])
    properties.close(
        flat_codes(own.reshape(2, 2, 2, 2, 2, 2), 16, (2, 2, 2, 2)), space.mu[:4].reshape(2, 2, 16)
    )
    with pytest.raises(ValueError, match=r"z must be \[\*batch, 2\], got \(4, 2, 2, 2, 3\)"):
        space.on_axes([0, 1]).decode(torch.zeros(4, 2, 2, 2, 3).double())  # a part has no such shape


def test_ends_that_are_neither_or_not_finite_are_named():
    space, x = second_stage()
    with pytest.raises(ValueError, match=r"a must be codes \[\*batch, 3\], got a tensor \[2\]"):
        space.geodesic(x[0, :2], x[1], codes=True)
    with pytest.raises(ValueError, match="b must be finite, got NaN or infinity in a code"):
        space.geodesic(x[0], x[1] / 0, codes=True)


def test_what_a_model_returns_of_some_rows_is_named():
    """The number counts through all batches, and says whether the row itself was at fault."""
    x = X.flatten(1).clone()
    x[29, 5] = torch.nan
    w = torch.ones(64, 2).double()
    with pytest.raises(
        ValueError, match=r"got 2 in mu that are not, .* item 29 .*, which itself is not finite"
    ):
        rc.latent_space((lambda x: (x @ w, -(x**0) @ w), lambda z: z), x, batch_size=8)
    huge = X.flatten(1).float()
    huge[3] = 1e30  # finite, and no square of it is
    with pytest.raises(ValueError, match=r"got 2 in mu\^2 that are not, .* item 3 \(counted from 0\), whose"):
        rc.latent_space((lambda x: (x[:, :2], -(x[:, :2] ** 0)), lambda z: z), huge, batch_size=2)
    with pytest.raises(ValueError, match=r"got 40 in exp\|log_var\| that are not, .* item 0 "):
        rc.latent_space((lambda x: (x, x * 0 - 99), lambda z: z), X.flatten(1)[:, :1].float())
    bad = lambda x: (x @ w, (x.sum(1, keepdim=True) - X[17].sum()).abs().log() @ w[:1])  # noqa: E731
    with pytest.raises(ValueError, match=r"got 2 in log_var that are not, .* item 17 \(counted from 0\), wh"):
        rc.latent_space((bad, lambda z: z), X.flatten(1), batch_size=8)
    pair = (lambda x: (x[:, 20:22], x[:, :2] - 1), lambda z: (z[:, :1] - 1).log())
    with pytest.raises(ValueError, match=r"decode must return finite numbers.* for code 0 "):
        rc.latent_space(pair, X.flatten(1) * 0)
    space = rc.latent_space((pair[0], lambda z: z.sqrt()), X.flatten(1), batch_size=8)
    z = torch.ones(30, 2).double()
    z[21], z[4] = -1, torch.inf
    with pytest.raises(
        ValueError, match=r"got 2 in images that are not, .* for code 4 .*, which itself is not"
    ):
        space.decode(z)
    with pytest.raises(ValueError, match=r"decode must return finite numbers.* for code 1 "):
        space.pullback()(torch.tensor([[1.0, 1.0], [-1.0, 1.0]]).double())


# --- files


MODEL = seeded(LabelVAE)
CONDITIONS = {"rows": Y, "one": 3, "tuple": (Y,), "names": {"y": Y}}


@pytest.mark.parametrize("form", CONDITIONS)
def test_a_saved_space_keeps_its_condition(form, tmp_path):
    space = rc.latent_space(MODEL, {"x": X}, CONDITIONS[form], "x")
    space.save(tmp_path / "space")
    for loaded in (rc.load_space(tmp_path / "space"), rc.load_space(tmp_path / "space", MODEL)):
        assert type(loaded.condition) is type(space.condition)
        assert loaded.key == "x"
        a, b = (s.condition for s in (space, loaded))
        a, b = (c["y"] if form == "names" else c[0] if form == "tuple" else c for c in (a, b))
        assert torch.equal(a, b)
    assert decode_some(space) == (1, 8, 8)
    row = {"y": Y[:3]} if form == "names" else (Y[:3],) if form == "tuple" else Y[:3]
    properties.close(loaded.decode(space.mu[:3], row), space.decode(space.mu[:3], row))


def test_a_space_without_one_is_written_as_before(tmp_path):
    """The first format, without a word of conditions, so that older readers read it."""
    second_stage()[0].save(tmp_path / "plain")
    rc.latent_space(MODEL, X, Y).save(tmp_path / "told")
    formats = []
    for name in ("plain", "told"):
        whole = (tmp_path / name).read_bytes()
        head = json.loads(json.loads(whole[8 : 8 + struct.unpack("<Q", whole[:8])[0]])["__metadata__"][KEY])
        formats.append(head["format"])
        assert ("condition" in head["settings"]) == (name == "told") == ("condition.0" in load(whole))
    assert formats == [1, 2]


def test_a_model_that_takes_no_condition_is_refused(tmp_path):
    unseen = (lambda x, y: MODEL.encode(x, y), lambda z, y: MODEL.decode(z, y))
    rc.latent_space(unseen, X, Y).save(tmp_path / "space")
    plain = (lambda x: x, lambda z: z)
    with pytest.raises(ValueError, match="condition must be None where neither encode nor decode takes"):
        rc.load_space(tmp_path / "space", plain)
