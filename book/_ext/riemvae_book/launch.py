"""Buttons that open a chapter's student notebook in Colab and Binder: links, for one address in _config.yml.

The theme's own `launch_buttons` can't serve: they open a page's source, which is Markdown with its solutions,
from the book's repository, and copy the build's notebooks over those that the download button offers.
"""

import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import yaml
from sphinx.application import Sphinx
from sphinx.config import Config

from .notebooks import is_chapter
from .sources import page_source

ADDRESS = re.compile(
    r"https://github\.com/([\w.-]+)/([\w.-]+?)(?:\.git)?(?:/tree/([^/\s]+)((?:/[^/\s]+)*))?/?"
)
EXPECTED = "https://github.com/OWNER/REPOSITORY, or that and /tree/BRANCH/FOLDER"


class Place(NamedTuple):
    """Where notebooks are published: a repository on GitHub, a branch, a folder ("" or ending in a slash)."""

    repository: str
    branch: str
    folder: str


def read_place(address: str) -> Place | None:
    """The place that an address names, None for an empty one; ValueError for any other."""
    if not address:
        return None
    found = ADDRESS.fullmatch(address)
    if not found:
        raise ValueError(f"launch: notebooks in _config.yml must be empty or {EXPECTED}, got {address!r}")
    owner, name, branch, folder = found.groups(default="")
    return Place(f"{owner}/{name}", branch or "main", f"{folder[1:]}/" if folder else "")


def links(place: Place, page: str) -> dict[str, str]:
    """The addresses that open a chapter's notebook, by what opens it."""
    path = f"{place.folder}{Path(page).name}.ipynb"
    colab = f"{place.repository}/blob/{place.branch}/{path}"
    opened = quote(f"lab/tree/{quote(path)}", safe="")  # decoded once by Binder, once more by its JupyterLab
    binder = f"{place.repository}/{quote(place.branch, safe='')}?urlpath={opened}"
    return {
        "Colab": f"https://colab.research.google.com/github/{quote(colab)}",
        "Binder": f"https://mybinder.org/v2/gh/{binder}",
    }


def read_setting(app: Sphinx, config: Config) -> None:
    """Take the address over into Sphinx's settings, so that another one writes all pages again."""
    settings = yaml.safe_load((Path(app.srcdir) / "_config.yml").read_text(encoding="utf8"))
    config.riemvae_launch = (settings.get("launch") or {}).get("notebooks") or ""
    read_place(config.riemvae_launch)


def offer(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Put the buttons, with the theme's pictures, before the others of a chapter's page."""
    place = read_place(app.config.riemvae_launch)
    if place is None or doctree is None or not is_chapter(pagename, page_source(app, pagename)):
        return
    icons = {"Colab": "_static/images/logo_colab.png", "Binder": "_static/images/logo_binder.svg"}
    buttons = [
        {"type": "link", "text": name, "tooltip": f"Open in {name}", "icon": icons[name], "url": url}
        for name, url in links(place, pagename).items()
    ]
    group = {"type": "group", "tooltip": "Open the notebook elsewhere", "icon": "fas fa-rocket"}
    context["header_buttons"].insert(0, {**group, "buttons": buttons, "label": "launch-buttons"})


def setup(app: Sphinx) -> None:
    app.add_config_value("riemvae_launch", "", "html")
    app.connect("config-inited", read_setting, priority=900)
    app.connect("html-page-context", offer, priority=502)  # after the theme's own buttons
