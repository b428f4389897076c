"""A site that asks nothing of another host: formulas and figures come from its own files."""

import importlib.metadata
import re
import shutil
import sys
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config

from .execution import core_key, files_key
from .labels import toc_pages

MATHJAX_PACKAGE = "django-static-mathjax"
MATHJAX_FILES = ("tex-chtml.js", "input/tex/extensions", "output/chtml/fonts/woff-v2")


def drop_thebe(app: Sphinx, config: Config) -> None:
    """Unhook sphinx-thebe: jupyter-book always loads it, and it writes a CDN's address into every page."""
    for listeners in app.events.listeners.values():
        listeners[:] = [one for one in listeners if getattr(one.handler, "__module__", "") != "sphinx_thebe"]
    app.registry.css_files[:] = [entry for entry in app.registry.css_files if "thebe" not in entry[0]]


def mathjax_source() -> tuple[Path, Path]:
    """Where the installed MathJax lies (its es5 folder) and where its license does."""
    files = importlib.metadata.files(MATHJAX_PACKAGE) or []
    script = next(f for f in files if f.parts[-2:] == ("es5", "tex-chtml.js"))
    license_file = next(f for f in files if f.name == "LICENSE")
    return Path(script.locate()).parent, Path(license_file.locate())


def copy_mathjax(outdir: Path) -> None:
    """Copy the files the pages need into the site, the license beside them."""
    target = outdir / "_static" / "vendor" / "mathjax"
    es5, license_file = mathjax_source()
    target.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(license_file, target / "LICENSE")
    for name in MATHJAX_FILES:
        if (es5 / name).is_dir():
            shutil.copytree(es5 / name, target / name, dirs_exist_ok=True)
        else:
            shutil.copyfile(es5 / name, target / name)


def write_figure_assets(root: Path, outdir: Path) -> None:
    """Let the core write what its live figures load; once for each state of the core."""
    target = outdir / "_static" / "riemvae"
    stamp, key = target / ".key", core_key(root)
    if stamp.exists() and stamp.read_text() == key:
        return
    sys.path.insert(0, str(root))
    from riemvae_core.figures.widgets import write_static

    target.mkdir(parents=True, exist_ok=True)
    write_static(target)
    stamp.write_text(key)


def key_files(app: Sphinx, config: Config) -> None:
    """Let a change of a style sheet or script write all pages again, one of the extension read them again."""
    root = Path(app.srcdir)
    config.riemvae_static_key = files_key(root, (root / "book" / "_static").rglob("*"))
    config.riemvae_extension_key = files_key(root, (root / "book" / "_ext").rglob("*.py"))


def count_pages(app: Sphinx, config: Config) -> None:
    """What the statement on accessibility says of the tests, as `{{ pages_looked_at }}` and the like."""
    files = importlib.metadata.files("axe-playwright-python") or []
    axe = next((f for f in files if f.name == "axe.min.js"), None)
    version = re.search(r"axe v([\d.]+)", axe.locate().read_text(encoding="utf8")[:200]) if axe else None
    looked_at = len(toc_pages(Path(app.srcdir))) + 2  # the search and the index
    found = {"pages_looked_at": looked_at, "axe_version": version[1] if version else ""}
    config.myst_substitutions = {**config.myst_substitutions, **found}


def write_assets(app: Sphinx) -> None:
    if app.builder.format != "html":
        return
    copy_mathjax(Path(app.outdir))
    write_figure_assets(Path(app.srcdir), Path(app.outdir))


def setup(app: Sphinx) -> None:
    app.connect("config-inited", drop_thebe, priority=900)
    app.add_config_value("riemvae_static_key", "", "html")
    app.add_config_value("riemvae_extension_key", "", "env")
    app.connect("config-inited", key_files, priority=900)
    app.connect("config-inited", count_pages, priority=100)  # before MyST reads its own
    app.connect("builder-inited", write_assets)
