"""What the live figures pack: arrays, the zoo's decoders and codes, images."""

import struct

import numpy as np
import pytest
import torch

from riemvae_core.figures.widgets.assets import Packed, asset, codes, pack, probes, unpack
from riemvae_core.models import zoo

# ---- packing


def test_pack_and_unpack_are_inverse():
    rng = np.random.default_rng(0)
    arrays = {
        "a": rng.normal(size=(3, 5)).astype(np.float16),
        "b": rng.integers(0, 256, size=7).astype(np.uint8),
        "c": rng.normal(size=(2, 2, 2)).astype(np.float32),
    }
    back = unpack(pack(arrays))
    assert list(back) == list(arrays)
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype
        np.testing.assert_array_equal(back[name], array)


def test_packed_bytes_are_little_endian():
    packed = pack({"x": np.array([1.5], np.dtype(">f4").newbyteorder("="))})
    assert packed.data == struct.pack("<f", 1.5)


def test_pack_names_what_it_cannot_hold():
    with pytest.raises(ValueError, match=r"arrays\['x'\] must be float16, float32 or uint8, got float64"):
        pack({"x": np.zeros(2)})
    with pytest.raises(ValueError, match="data must hold the header's 4 bytes, got 3"):
        unpack(Packed([{"name": "x", "dtype": "f2", "shape": [2]}], b"123"))


def test_an_asset_holds_the_zoo_s_decoder_and_codes():
    model, arrays = zoo.load("fashion-vae-2d"), unpack(asset("fashion-vae-2d"))
    linear = [m for m in model.decoder.modules() if isinstance(m, torch.nn.Linear)]
    for i, layer in enumerate(linear):
        np.testing.assert_array_equal(arrays[f"weight.{i}"], layer.weight.detach().half().numpy())
        np.testing.assert_array_equal(arrays[f"bias.{i}"], layer.bias.detach().half().numpy())
    mu, log_var = codes(model, probes("fashion").images)
    np.testing.assert_array_equal(arrays["mu"], mu.numpy())
    np.testing.assert_array_equal(arrays["log_var"], log_var.numpy())
    with pytest.raises(ValueError, match=r"name must be one of .*, got 'nobody'"):
        asset("nobody")


def test_shown_images_lose_nothing():
    images = unpack(asset("fashion-probes"))["images"]
    expected = probes("fashion").images.flatten(1)
    assert torch.equal(torch.from_numpy(images.astype(np.float32) / np.float32(255)), expected)
