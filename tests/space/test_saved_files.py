"""Files that are no saved space, only a part of one, or another's: each gets an error that names it."""

import hashlib
import json
import struct
from contextlib import suppress

import properties
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save

import riemvae_core as rc
from riemvae_core.data import ASSETS
from riemvae_core.space.files import FORMAT, KEY, read_space, write_space

W = torch.eye(2, 4)
SPACE = rc.latent_space((lambda x: (x @ W.T, x @ W.T - 2), lambda z: z @ W), torch.rand(4, 4)).on_axes([1])


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    """The bytes of a small file: a space on one of two axes."""
    path = tmp_path_factory.mktemp("files") / "space"
    write_space(SPACE, path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("places") / "some.space"


def same(one: dict, other: dict) -> bool:
    """Whether two spaces as read hold the same."""
    tensors = ("mu", "log_var", "axes", "rest")
    numbers = ("rho", "lam", "tau")
    return (
        all(one[n].numpy().tobytes() == other[n].numpy().tobytes() for n in tensors)
        and all(getattr(one["metric"], n) == getattr(other["metric"], n) for n in numbers)
        and torch.equal(one["metric"].mu, other["metric"].mu)
        and all(one[n] == other[n] for n in ("code_shape", "image_shape", "batch_size", "made_by"))
    )


# --- by accident


def test_a_path_without_a_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"path must be a file that space\.save wrote, got .*nowhere"):
        rc.load_space(tmp_path / "nowhere")
    with pytest.raises(IsADirectoryError, match="got the folder"):
        rc.load_space(tmp_path)


def test_a_part_of_a_file_is_named(whole, place):
    """Cut at every byte: none at all, within the header's length, the header and the data."""
    assert 8 < struct.unpack("<Q", whole[:8])[0] < len(whole)
    for n in range(len(whole)):
        place.write_bytes(whole[:n])
        with pytest.raises(
            ValueError, match=r"some\.space holds no latent space that can be read, or only a"
        ):
            read_space(place)
    place.write_bytes(whole + b"\0")
    with pytest.raises(ValueError, match=r"copy it again, or make the space anew"):
        rc.load_space(place)


@given(st.binary(max_size=300))
def test_any_bytes_are_no_space(place, content):
    place.write_bytes(content)
    with pytest.raises(ValueError, match=r"some\.space holds no latent space"):
        read_space(place)


@settings(max_examples=300)
@given(data=st.data())
def test_a_byte_that_changed_is_noticed_or_says_the_same(whole, place, data):
    """Spaces that pad the header may become other white space, and nothing else passes."""
    at, change = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(1, 255))
    place.write_bytes(whole)
    before = read_space(place)
    place.write_bytes(whole[:at] + bytes([whole[at] ^ change]) + whole[at + 1 :])
    found = before
    with suppress(ValueError):
        found = read_space(place)
    assert same(found, before)


def test_each_bit_of_the_numbers_counts(whole, place):
    data = 8 + struct.unpack("<Q", whole[:8])[0]
    for at in range(data, len(whole)):
        place.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(ValueError, match=r"some\.space is damaged.* copy it again, or make the space"):
            rc.load_space(place)


# --- of others


def test_weights_are_no_space(place):
    zoo = next(ASSETS.glob("zoo/*.safetensors"))
    with pytest.raises(ValueError, match=r"holds no latent space, but .*weight.*load_state_dict") as caught:
        rc.load_space(zoo)
    properties.message_names(caught.value, zoo.name, "load_space reads what space.save wrote", "zoo.load")
    place.write_bytes(save({}))
    with pytest.raises(ValueError, match="holds no latent space, but nothing"):
        rc.load_space(place)


def written(whole: bytes, change=lambda head: None, **tensors: torch.Tensor | None) -> bytes:
    """A file whose JSON and tensors are changed by someone who knows the format, checksum and all."""
    kept = {k: v for k, v in (load(whole) | tensors).items() if v is not None}
    length = struct.unpack("<Q", whole[:8])[0]
    head = json.loads(json.loads(whole[8 : 8 + length])["__metadata__"][KEY])
    del head["sha256"]
    change(head)
    text = json.dumps(head, sort_keys=True)
    for name in sorted(kept):
        text += f";{name} {kept[name].dtype} {list(kept[name].shape)};"
        text += kept[name].reshape(-1).view(torch.uint8).numpy().tobytes().decode("latin1")
    first = len(json.dumps(head, sort_keys=True))
    digest = hashlib.sha256(text[:first].encode() + text[first:].encode("latin1"))
    return save(kept, {KEY: json.dumps(head | {"sha256": digest.hexdigest()})})


def test_the_checksum_is_the_one_that_is_described(whole, place):
    place.write_bytes(written(whole))
    assert read_space(place)["batch_size"] == 256


def test_a_newer_format_asks_for_an_upgrade(whole, place):
    place.write_bytes(written(whole, lambda head: head.update(format=FORMAT + 1, written_by="9.9.9")))
    with pytest.raises(ValueError, match=r"some\.space was written by riemvae-core 9\.9\.9 with format 3"):
        rc.load_space(place)
    place.write_bytes(save({"other": torch.zeros(1)}, {KEY: json.dumps({"format": FORMAT + 1})}))
    with pytest.raises(ValueError, match=f"this riemvae-core {rc.__version__} reads up to 2: upgrade it"):
        rc.load_space(place)


def setting(name, value):
    return lambda head: head["settings"].update({name: value})


def record(name, value):
    return lambda head: head["settings"]["made_by"].update({name: value})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda head: head["settings"].pop("rho"), ("settings must be", "rho", "got")),
        (setting("more", 1), ("settings must be", "more")),
        (lambda head: head.update(settings=[1]), ("settings must be", "[1]")),
        (lambda head: head.pop("written_by"), ("damaged",)),
        (setting("rho", 0), ("rho must be a positive number", "0")),
        (setting("rho", "1"), ("rho must be a positive number", "'1'")),
        (setting("lam", -1), ("lam must be a number of at least 0", "-1")),
        (setting("tau", float("nan")), ("tau must be a number", "nan")),
        (setting("batch_size", 0), ("batch_size must be a whole number of at least 1", "0")),
        (setting("batch_size", True), ("batch_size", "True")),
        (setting("code_shape", [2.0]), ("code_shape must be a list of whole numbers", "[2.0]")),
        (setting("image_shape", "4"), ("image_shape must be a list", "'4'")),
        (setting("code_shape", [3]), ("rest must be [3]", "[2]")),
        (setting("made_by", None), ("made_by must be a fingerprint", "None")),
        (record("kind", 1), ("made_by must be a fingerprint",)),
        (record("radius", -1), ("made_by must be a fingerprint",)),
        (record("sha256", 7), ("made_by must be a fingerprint",)),
        (record("dtypes", [1]), ("made_by must be a fingerprint",)),
        (record("decoded_shape", 4), ("made_by must be a fingerprint",)),
        (record("more", 1), ("made_by must be a fingerprint",)),
    ],
)
def test_settings_of_another_kind_are_named(whole, place, change, words):
    place.write_bytes(written(whole, change))
    with pytest.raises(ValueError, match=r"some\.space") as caught:
        rc.load_space(place)
    properties.message_names(caught.value, *words)


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"mu": None}, ("tensors must be", "'mu'")),
        ({"more": torch.zeros(1)}, ("tensors must be", "'more'")),
        ({"axes": None}, ("tensors must be", "'rest'")),
        ({"metric.mu": torch.zeros(2, 1)}, ("tensors must be", "metric.log_var")),
        ({"mu": torch.full((4, 1), torch.inf)}, ("mu must hold finite numbers", "4 that")),
        ({"rest": torch.tensor([torch.nan, 0.0])}, ("rest must hold finite", "1 that")),
        ({"mu": torch.zeros(4, 1).half()}, ("mu and log_var must both be float32 or both", "float16")),
        ({"mu": torch.zeros(4, 1).to(torch.float8_e4m3fn)}, ("tensors must be numbers", "Float8")),
        ({"log_var": torch.zeros(4, 1).double()}, ("both be float32", "float64]")),
        ({"log_var": torch.zeros(3, 1)}, ("log_var must be [4, 1]", "[3, 1]")),
        ({"log_var": torch.full((4, 1), 2.7e38)}, ("log_var must lie from -690 to 690", "2.7e+38")),
        ({"mu": torch.zeros(())}, ("mu must be [1]", "[]")),
        ({"mu": torch.zeros(0, 1), "log_var": torch.zeros(0, 1)}, ("mu must be [0, 1]",)),
        (
            {"metric.mu": torch.zeros(2, 2), "metric.log_var": torch.zeros(2, 2)},
            ("metric.mu must be [2, 1]",),
        ),
        ({"axes": torch.tensor([2])}, ("axes must be different whole numbers below 2", "[2]")),
        (
            {"mu": torch.zeros(4, 2), "log_var": torch.zeros(4, 2), "axes": torch.tensor([1, 1])},
            ("different",),
        ),
        ({"axes": torch.tensor([0.0])}, ("axes and rest must be int64", "float32 and")),
        ({"rest": torch.zeros(2, dtype=torch.int64)}, ("axes and rest must be", "int64 and torch.int64")),
    ],
)
def test_tensors_that_make_no_space_are_named(whole, place, tensors, words):
    place.write_bytes(written(whole, **tensors))
    with pytest.raises(ValueError, match=r"some\.space: ") as caught:
        rc.load_space(place)
    properties.message_names(caught.value, *words)
