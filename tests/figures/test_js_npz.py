"""Files of latents that a reader gives the page, against numpy: what is read, what is said of others."""

import base64
import io
import json
import struct
import zipfile
import zlib

import numpy as np
import pytest

pytestmark = pytest.mark.browser


# ---- files that a reader gives


def npz(save=np.savez, **arrays) -> bytes:
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


@pytest.fixture
def read(ask):
    """``read(bytes, name)``: the latents, or the words of the error."""

    def run(content: bytes, name: str = "x.npz", limit: int = 1000):
        return ask(
            {"npz": "readLatents"},
            """const bytes = Uint8Array.from(atob(a.content), (c) => c.charCodeAt(0));
            try {
              const found = await readLatents(new File([bytes], a.name), a.limit);
              return {...found, mu: [...found.mu], logVar: [...found.logVar]};
            } catch (error) { return error.message; }""",
            {"content": base64.b64encode(content).decode(), "name": name, "limit": limit},
        )

    return run


MU = np.random.default_rng(0).normal(size=(7, 3))
LOG_VAR = MU - 2.5


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f4", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npz_files_are_read_as_numpy_wrote_them(read, save, dtype, order):
    mu, log_var = (np.asarray(v, dtype, order=order) for v in (MU, LOG_VAR))
    found = read(npz(save, labels=np.arange(7), log_var=log_var, mu=mu))
    assert (found["n"], found["d"]) == (7, 3)
    assert found["dtype"] == ("f8" if dtype.endswith("8") else "f4")
    assert found["mu"] == mu.astype("f8").flatten().tolist()
    assert found["logVar"] == log_var.astype("f8").flatten().tolist()


def test_zips_with_wide_sizes_and_sizes_told_afterwards_are_read(read):
    """As numpy writes into a file that can't be sought: data descriptors, and zip64 fields in each member."""

    class OneWay(io.BytesIO):
        def seekable(self):
            return False

        def seek(self, *_):
            raise io.UnsupportedOperation

        def tell(self):
            raise io.UnsupportedOperation

    file = OneWay()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, values in (("mu", MU), ("log_var", LOG_VAR)):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, values)
    content = file.getvalue()
    assert content[6] & 8  # sizes come after the data
    assert read(content)["mu"] == MU.flatten().tolist()
    tail = content.rindex(b"PK\x05\x06")
    entries, size, start = struct.unpack("<HII", content[tail + 10 : tail + 20])
    record = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, entries, entries, size, start)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, tail, 1)
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    assert read(content[:tail] + record + locator + end)["logVar"] == LOG_VAR.flatten().tolist()


def test_members_with_wide_directory_entries_are_read(read):
    """Sizes and place of a member as all ones, the numbers among the extra fields."""
    content = npz(mu=MU, log_var=LOG_VAR)
    tail = content.rindex(b"PK\x05\x06")
    entries, _, start = struct.unpack("<HII", content[tail + 10 : tail + 20])
    directory, at = b"", start
    for _ in range(entries):
        head = bytearray(content[at : at + 46])
        packed, full, named, extra, comment = struct.unpack("<IIHHH", head[20:34])
        (place,) = struct.unpack("<I", head[42:46])
        wide = struct.pack("<HHQQQ", 1, 24, full, packed, place)
        head[20:28], head[30:32], head[42:46] = b"\xff" * 8, struct.pack("<H", len(wide)), b"\xff" * 4
        directory += bytes(head) + content[at + 46 : at + 46 + named] + wide
        at += 46 + named + extra + comment
    end = content[tail : tail + 12] + struct.pack("<II", len(directory), start) + b"\0\0"
    assert read(content[:start] + directory + end)["mu"] == MU.flatten().tolist()


def test_json_is_read(read):
    text = json.dumps({"mu": MU.tolist(), "log_var": LOG_VAR.tolist()})
    for content, name in ((text, "x.json"), (f"\n {text}", "latents.txt")):
        found = read(content.encode(), name)
        assert (found["n"], found["d"], found["dtype"]) == (7, 3, "f8")
        assert (found["mu"], found["logVar"]) == (MU.flatten().tolist(), LOG_VAR.flatten().tolist())


GOOD = npz(mu=MU, log_var=LOG_VAR)
PACKED = npz(np.savez_compressed, mu=np.zeros((300, 3)), log_var=np.zeros((300, 3)))


def changed(content: bytes, at: int, value: int) -> bytes:
    return content[:at] + bytes([value]) + content[at + 1 :]


def broken(**changes) -> bytes:
    return npz(**({"mu": MU, "log_var": LOG_VAR} | changes))


def spoiled(value: float) -> np.ndarray:
    return np.where(np.arange(21).reshape(7, 3) == 4, value, MU)


def lying(shape: bytes) -> bytes:
    """A header with another shape of the same length, and a checksum that fits it."""
    file, member = io.BytesIO(), io.BytesIO()
    np.save(member, MU)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("mu.npy", member.getvalue().replace(b"(7, 3)", shape))
        archive.writestr("log_var.npy", member.getvalue())
    return file.getvalue()


def understated() -> bytes:
    """A member that is told to be an array of 300 x 3, and unpacks to 64 MB more."""
    file, member = io.BytesIO(), io.BytesIO()
    np.save(member, np.zeros((300, 3)))
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mu.npy", member.getvalue() + bytes(2**26))
        archive.writestr("log_var.npy", member.getvalue())
    content = bytearray(file.getvalue())
    at = content.index(b"PK\x01\x02") + 24
    content[at : at + 4] = struct.pack("<I", len(member.getvalue()))
    return bytes(content)


WRONG = {
    "a bomb": (understated(), "mu.npy has other bytes than the directory says."),
    "half a side": (lying(b"(.5,3)"), "the header of mu has the sides 0.5, 3."),
    "no number for a side": (lying(b"(7, x)"), "the header of mu has the sides 7, NaN."),
    "empty": (b"", "x.npz is empty."),
    "no zip": (b"hello, world " * 10, "x.npz is no .npz: either no zip archive or one that is cut short."),
    "cut at its end": (GOOD[:-30], "x.npz is no .npz"),
    "cut in front": (GOOD[200:], "The file is damaged or cut short: "),
    "one byte changed": (
        changed(GOOD, 250, 7),
        "The file is damaged or cut short: the checksum of mu doesn’t match.",
    ),
    "one packed byte changed": (changed(PACKED, 60, 255), "The file is damaged or cut short: "),
    "its directory broken": (
        GOOD.replace(b"PK\x01\x02", b"PK\x01\x03"),
        "cut short: its directory is broken.",
    ),
    "a member elsewhere": (GOOD.replace(b"PK\x03\x04", b"PK\x03\x05"), "isn’t where the directory says."),
    "a header that promises less": (
        lying(b"(6, 3)"),
        "cut short: mu has not the 6 × 3 numbers that its header says.",
    ),
    "no array in it": (lying(b"(7, 3)").replace(b"\x93NUMPY", b"\x93NUMPX"), "The file is damaged"),
    "an array alone": (b"\x93NUMPY\x01\x00", 'x.npz is one array alone: `np.savez("latents.npz", mu=mu'),
    "no log_var": (
        npz(mu=MU, logvar=LOG_VAR),
        "There is no log_var in it, only mu, logvar: it should be `np.savez(",
    ),
    "no mu": (
        npz(**{f"a{i}": MU for i in range(8)}),
        "There is no mu in it, only a0, a1, a2, a3, a4, a5 ...: ",
    ),
    "one axis": (broken(mu=MU[:, 0]), r"mu must be [n, d], got [7]: `mu.reshape(len(mu), -1)` makes it so."),
    "three axes": (
        broken(log_var=MU[:, :, None]),
        "log_var must be [n, d], got [7, 3, 1]: `log_var.reshape(",
    ),
    "one ball": (broken(mu=MU[:1]), "mu must be [n, d] with n at least 2 and d at least 1, got [1, 3]."),
    "no ball": (broken(mu=MU[:0]), "got [0, 3]."),
    "other shapes": (broken(log_var=MU[:, :2]), "log_var must have mu’s shape [7, 3], got [7, 2]."),
    "NaN": (broken(mu=spoiled(np.nan)), "mu must be finite, got 1 of 21 numbers NaN or infinite."),
    "inf": (broken(log_var=spoiled(-np.inf)), "log_var must be finite, got 1 of 21 numbers NaN or infinite."),
    "half inf": (
        broken(mu=spoiled(np.inf).astype("f2")),
        "mu must be finite, got 1 of 21 numbers NaN or infinite.",
    ),
    "half NaN": (
        broken(mu=spoiled(np.nan).astype("f2")),
        "mu must be finite, got 1 of 21 numbers NaN or infinite.",
    ),
    "integers": (
        broken(mu=np.zeros((7, 3), "i8")),
        "mu must hold floats of 16, 32 or 64 bits, got integers (<i8): `np.asarray",
    ),
    "booleans": (broken(mu=MU > 0), "got true and false (|b1): `np.asarray(mu, dtype=np.float32)` helps."),
    "objects": (
        broken(log_var=LOG_VAR.astype(object)),
        "log_var must hold floats of 16, 32 or 64 bits, got Python objects (|O)",
    ),
    "records": (
        broken(mu=np.zeros((7, 3), [("a", "f4")])),
        "mu must hold floats of 16, 32 or 64 bits, got records (|V)",
    ),
    "too large": (
        broken(mu=np.zeros((400, 3)), log_var=np.zeros((400, 3))),
        "mu holds 400 × 3 numbers, and this page takes 1,000. Thin it: "
        "`i = np.random.default_rng(0).permutation(len(mu))[:333]; "
        'np.savez("thin.npz", mu=mu[i], log_var=log_var[i])`',
    ),
    "too many axes": (broken(mu=np.zeros((2, 700))), "this page takes 1,000. It can’t show so many axes."),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_an_npz_is_said(read, name):
    content, message = WRONG[name]
    assert message in read(content)


WRONG_JSON = {
    "no JSON": ('{"mu": [[1, 2], [3', "x.json can’t be read as JSON (NaN and Infinity are no JSON): "),
    "NaN": ('{"mu": [[NaN, 2], [3, 4]], "log_var": [[1, 2], [3, 4]]}', "NaN and Infinity are no JSON"),
    "a list": ("[[1, 2], [3, 4]]", 'There is no mu in it, only 0, 1: it should be `{"mu": [[...], ...]'),
    "null": ("null", "There is no mu in it: it should be"),
    "no log_var": ('{"mu": [[1, 2], [3, 4]]}', "There is no log_var in it, only mu: it should be"),
    "ragged": ('{"mu": [[1, 2], [3]]}', "mu’s rows must be of one length: row 0 has 2 numbers, row 1 has 1."),
    "no rows": ('{"mu": [1, 2]}', "mu must be a list of rows of numbers, got 1 for row 0."),
    "words": ('{"mu": [[1, 2], [3, "x"]]}', 'mu must hold numbers, got "x" in row 1.'),
    "no balls": (
        '{"mu": [], "log_var": []}',
        "mu must be [n, d] with n at least 2 and d at least 1, got [0, 0].",
    ),
    "too large": (
        json.dumps(dict.fromkeys(["mu", "log_var"], [[0] * 3] * 400)),
        "this page takes 1,000. Thin it",
    ),
    "much too large": (" " * 50_000, "x.json has 50,000 bytes, too many for text: save it as .npz."),
}


@pytest.mark.parametrize("name", WRONG_JSON)
def test_what_is_wrong_with_a_json_is_said(read, name):
    content, message = WRONG_JSON[name]
    assert message in read(content.encode(), "x.json")


def test_a_member_that_is_encrypted_or_packed_otherwise_is_named(read):
    for flags, method, message in (
        (1, 0, "mu.npy is encrypted."),
        (0, 12, "mu.npy is packed by method 12; np.savez"),
    ):
        content, at = bytearray(GOOD), GOOD.index(b"PK\x01\x02")
        content[at + 8], content[at + 10] = content[at + 8] | flags, method
        assert message in read(bytes(content))


def test_a_checksum_is_zlib_s(ask):
    content = bytes(range(256)) * 3
    assert ask({"npz": "crc32"}, "return crc32(Uint8Array.from(a));", list(content)) == zlib.crc32(content)
