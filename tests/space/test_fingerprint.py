"""The model that made a space is known again, in whatever form it comes, and no other takes its place."""

import hashlib

import properties
import pytest
import torch
from torch import nn

import riemvae_core as rc
from riemvae_core.space.adapters import adapt
from riemvae_core.space.fingerprint import Fingerprint, as_bytes, check_fingerprint, fingerprint


def ours(seed: int = 0, d: int = 2, kind: str = "vae") -> nn.Module:
    return rc.make_model(kind, rc.ModelConfig((1, 8, 8), latent_dim=d, width=8, depth=1), seed=seed)


def of(model, shape=()) -> Fingerprint:
    return fingerprint(adapt(model), shape)


class Normed(nn.Module):
    """With what a BatchNorm counts and averages, and an integer buffer."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(64, 4), nn.BatchNorm1d(4), nn.Unflatten(1, (2, 2))
        )
        self.decoder = nn.Linear(2, 64)
        self.register_buffer("order", torch.arange(2))

    def encode(self, x):
        return self.encoder(x).unbind(1)


@pytest.fixture(scope="module")
def x() -> torch.Tensor:
    return rc.load_images("digits").images[:20]


def test_a_fingerprint_is_the_sha256_of_names_dtypes_shapes_and_bytes():
    model = nn.ModuleDict({"encoder": nn.Linear(2, 2), "decoder": nn.Linear(1, 2, bias=False)})
    digest = hashlib.sha256()
    for name in ("decoder.weight", "encoder.bias", "encoder.weight"):
        value = model.state_dict()[name]
        digest.update(f"{name} torch.float32 {list(value.shape)};".encode() + value.numpy().tobytes())
    found = of(model, (2,))
    assert found == Fingerprint("ModuleDict", ("float32",), 8, digest.hexdigest(), None, (2,))
    for tensor in (torch.tensor(3), torch.zeros(0), torch.arange(6).reshape(2, 3).T, torch.ones(2).bool()):
        assert bytes(as_bytes(tensor)) == tensor.numpy().tobytes()


def test_the_same_model_has_the_same_fingerprint_in_every_form():
    model, twin = ours(), ours()
    expected = of(twin)
    assert of((model.encode, model.decode)) == expected
    assert of(torch.compile(model, backend="eager")) == expected
    assert of(model.eval().requires_grad_(False)) == expected
    assert of(model.double().float()) == expected
    model.to(memory_format=torch.channels_last)
    assert of(model) == expected


@pytest.mark.parametrize("change", ["seed", "bit", "size", "dtype", "name"])
def test_another_model_has_another(change):
    model, expected = ours(), of(ours())
    if change == "seed":
        model = ours(seed=1)
    elif change == "bit":
        last = list(model.parameters())[-1]
        last.data[0] = torch.nextafter(last.data[0], torch.tensor(9.0))
    elif change == "size":
        model = ours(d=3)
    elif change == "dtype":
        model = model.double()
    else:
        model.more = nn.Identity()
        model.more.register_buffer("x", torch.zeros(0))
    assert of(model).sha256 != expected.sha256


def test_statistics_count_and_the_number_of_batches_does_not():
    model = Normed()
    before = of(model)
    model.encoder[2].num_batches_tracked += 7
    assert of(model) == before
    model.order += 1
    assert of(model) != before
    model.order -= 1
    model.encoder(torch.rand(5, 1, 8, 8))  # in train mode
    assert of(model) != before


def test_what_has_no_bytes_to_compare_has_no_sha256():
    model = ours()
    lambdas = (lambda x: model.encode(x), lambda z: model.decode(z))
    assert of(lambdas) == Fingerprint("functions", (), 0, None, None, ())
    assert of((nn.Identity(), nn.Identity())).sha256 is None
    model.register_buffer("sparse", torch.eye(2).to_sparse())
    assert of(model).sha256 is None


# --- loading


def refused(path, model, *words):
    with pytest.raises(ValueError, match="model must") as caught:
        rc.load_space(path, model)
    properties.message_names(caught.value, *words)


def test_the_model_that_made_a_space_is_taken_and_no_other(x, tmp_path):
    model, path = ours(), tmp_path / "some.space"
    rc.latent_space(model, x).save(path)
    for form in (ours(), (model.encode, model.decode), torch.compile(ours(), backend="eager")):
        assert torch.equal(rc.load_space(path, form).mu, rc.load_space(path).mu)
    numbers = f"VAE of {of(model).numbers:,} numbers in float32"
    refused(path, ours(seed=1), "some.space", numbers, "other weights", of(model).sha256[:12])
    refused(path, ours(d=3), "some.space", numbers, "got another", f"VAE of {of(ours(d=3)).numbers:,}")
    refused(path, ours().half(), "another dtype", "in float16", "load its weights as float32")
    refused(path, ours().double(), "another dtype", "in float64")
    refused(path, ours(kind="ae"), "Autoencoder of")
    refused(
        path, (lambda x: model.encode(x), lambda z: z), "got functions", "handed over as it was", "compared"
    )
    refused(path, "vae", "nn.Module with encode", "got str")
    refused(path, (lambda x: x, 3), "pair (encode, decode)")


def test_a_space_remembers_the_model_as_it_was_when_it_encoded(x, tmp_path):
    model = Normed()
    space = rc.latent_space(model, x)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model.encoder(x)
    space.save(tmp_path / "space")
    refused(tmp_path / "space", model, "same kind with other weights", "latent_space")
    model.load_state_dict(before)
    assert repr(rc.load_space(tmp_path / "space", model)) == repr(space)


def test_of_functions_dimension_and_shape_are_checked(x, tmp_path):
    w, path = torch.rand(64, 3, generator=rc.make_generator(0)), tmp_path / "space"
    encode = lambda x: (x.flatten(1) @ w, -x.flatten(1) @ w)  # noqa: E731
    rc.latent_space((encode, lambda z: z @ w.T), x).save(path)
    assert rc.load_space(path, (encode, lambda z: z @ w.T + 1)).decode(torch.zeros(2, 3)).min() == 1
    refused(path, (encode, lambda z: z @ w[:, :2].T), "codes [3]", "RuntimeError", "made the space in")
    refused(path, (encode, lambda z: z @ w[:9].T), "to images [1, 8, 8]", "got images [9]")
    refused(path, (encode, lambda z: None), "codes [3]", "NoneType")


def test_a_model_without_variances_needs_its_radius_no_second_time(x, tmp_path):
    model = ours(kind="ae")
    rc.latent_space(model, x, radius=0.5).save(tmp_path / "space")
    loaded = rc.load_space(tmp_path / "space", model)
    properties.close(loaded.encode(x[:3]).log_var.exp(), torch.full((3, 2), 0.25), 1e-6, 1e-6)


def test_a_space_without_a_fingerprint_takes_any_and_one_with_it_takes_its_own():
    none, one = Fingerprint("functions", (), 0, None, None, ()), of(ours())
    check_fingerprint(none, one, "file")
    check_fingerprint(one, one, "file")
    with pytest.raises(ValueError, match="got functions that can't be compared"):
        check_fingerprint(one, none, "file")
