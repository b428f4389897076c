"""One zip for a reader without a network: the site, the student notebooks, the wheel, and where to begin."""

import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

ROOT = Path(__file__).resolve().parents[2]
TOP = "balls-codes-and-geodesics"
DATE = (1980, 1, 1, 0, 0, 0)  # fixed, as in the wheel: the same files give the same bytes
START = Path(__file__).with_name("start_here.html")


def contents(site: Path, notebooks: Path, wheel: Path) -> Iterator[tuple[str, bytes]]:
    """What lies in the zip: names and bytes. Hidden files of the build stay behind."""
    yield "start here.html", START.read_text(encoding="utf8").replace("{wheel}", wheel.name).encode()
    for name in ("LICENSE", "LICENSE-TEXT", "CITATION.cff"):
        yield name, (ROOT / name).read_bytes()
    for path in [*notebooks.glob("*.ipynb"), notebooks / "requirements.txt", wheel]:
        yield f"notebooks/{path.name}", path.read_bytes()
    for path in site.rglob("*"):
        name = path.relative_to(site)
        if path.is_file() and not any(part.startswith(".") for part in name.parts):
            yield f"site/{name.as_posix()}", path.read_bytes()


def pack(site: Path, notebooks: Path, wheel: Path, out: Path) -> Path:
    """Write the zip; the same files give the same bytes."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with ZipFile(out, "w") as archive:
        for name, data in sorted(contents(site, notebooks, wheel)):
            entry = ZipInfo(f"{TOP}/{name}", DATE)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            entry.compress_type = ZIP_STORED if name.endswith(".whl") else ZIP_DEFLATED
            archive.writestr(entry, data)
    return out


def main() -> int:
    build = ROOT / "_build"
    (wheel,) = (build / "dist").glob("*.whl")
    name = f"{TOP}-{version('riemvae-core')}.zip"
    path = pack(build / "html", build / "notebooks" / "student", wheel, build / "offline" / name)
    with ZipFile(path) as archive:
        entries = archive.infolist()
    unpacked = sum(entry.file_size for entry in entries) / 1e6
    size = path.stat().st_size / 1e6
    print(f"{path.relative_to(ROOT)}: {size:.1f} MB, {len(entries)} files, {unpacked:.0f} MB unpacked")
    return 0


if __name__ == "__main__":
    sys.exit(main())
