"""What an earlier build left and no page needs any more goes: pages that were taken back, moved scripts."""

from pathlib import Path

from sphinx.application import Sphinx

from .policy import FOLDER, REFERENCE, pages

#: where a page has its file, its sources, and what other pages show of it
PLACES = ("", "_sources", "_static/previews")


def without_pages(outdir: Path, known: set[str]) -> list[Path]:
    """Files of pages, in the folders that pages have, which belong to none of the ``known``."""
    folders = {name.split("/")[0] for name in known if "/" in name}
    roots = [outdir / place for place in PLACES]
    files = [(root, path) for root in roots for folder in folders for path in (root / folder).rglob("*.*")]
    return [path for root, path in files if path.relative_to(root).as_posix().split(".")[0] not in known]


def without_readers(outdir: Path) -> list[Path]:
    """Moved scripts that no page loads."""
    used = {name for page in pages(outdir) for name in REFERENCE.findall(page.read_text(encoding="utf8"))}
    return [path for path in (outdir / FOLDER).glob("*.js") if path.name not in used]


def take_back(app: Sphinx, error: Exception | None) -> None:
    if error is not None or app.builder.format != "html":
        return
    outdir = Path(app.outdir)
    known = {*app.env.all_docs, *getattr(app.config, "redirects", ())}
    for path in without_pages(outdir, known):
        path.unlink()
    for path in without_readers(outdir):
        path.unlink()


def setup(app: Sphinx) -> None:
    app.connect("build-finished", take_back, priority=960)  # after the policy has moved the scripts
