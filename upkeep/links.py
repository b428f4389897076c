"""`make links`: every link of the built site; those to other hosts where a network is.

Links inside the site are followed in its files, without a network. Those to other hosts are asked for by
Sphinx's linkcheck; a host that refuses a program (403, 429) is told and is no fault of the book.
"""

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[1]
SITE, CHECKED = ROOT / "_build" / "html", ROOT / "_build" / "linkcheck"
NO_NETWORK = re.compile(r"resolve|NameResolution|getaddrinfo|Network is unreachable|Name or service", re.I)
REFUSED = re.compile(r"\b(401|403|405|418|429|999)\b|Forbidden|Too Many Requests|timed? ?out", re.I)


class Reader(HTMLParser):
    """Collects a page's ids, what it links to and loads, and its visible text."""

    def __init__(self):
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if values.get("id"):
            self.ids.add(values["id"])
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        if tag in ("link", "script", "img", "iframe", "video", "source"):
            self.loads += [values[key] for key in ("src", "href") if values.get(key)]

    def handle_data(self, data):
        self.text.append(data)


def read(path: Path) -> Reader:
    reader = Reader()
    reader.feed(path.read_text(encoding="utf8"))
    return reader


def read_pages(site: Path) -> dict[Path, Reader]:
    """A site's pages; what lies in _static are templates of the theme."""
    return {path: read(path) for path in sorted(site.rglob("*.html")) if "_static" not in path.parts}


def broken_inside(site: Path, pages: dict[Path, Reader]) -> list[str]:
    """Links to files that are not there, and to anchors that their page lacks."""
    broken = []
    for path, reader in pages.items():
        for link in reader.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor, told = unquote(parts.fragment), f"{path.relative_to(site)} -> {link}"
            if not target.exists():
                broken.append(told)
            elif anchor and target.suffix == ".html" and anchor not in pages[target].ids:
                broken.append(f"{told} (no such anchor)")
    return broken


def judge(results: Iterable[dict]) -> tuple[int, list[str]]:
    """The exit status and the lines to print for linkcheck's results, one for each link to another host."""
    asked = {one["uri"]: one for one in results if one["status"] not in ("unchecked", "local", "ignored")}
    failed = {uri: one for uri, one in asked.items() if one["status"] in ("broken", "timeout")}
    if asked and all(NO_NETWORK.search(one["info"]) for one in asked.values()):
        hosts = Counter(urlsplit(uri).netloc for uri in asked)
        return 0, [f"no network here: {len(asked)} links to {len(hosts)} other hosts were not checked"]
    refused = {uri for uri, one in failed.items() if REFUSED.search(f"{one['status']} {one['info']}")}
    lines = [f"refused to a program: {uri}" for uri in sorted(refused)]
    broken = sorted(failed.keys() - refused)
    lines += [f"BROKEN: {uri} in {failed[uri]['filename']}: {failed[uri]['info'][:120]}" for uri in broken]
    lines.append(f"{len(asked)} links to other hosts: {len(broken)} broken, {len(refused)} refused")
    return int(bool(broken)), lines


def main() -> None:
    pages = read_pages(SITE)
    inside = broken_inside(SITE, pages)
    for link in inside:
        print(f"BROKEN: {link}")
    count = sum(not urlsplit(link).scheme for page in pages.values() for link in page.links)
    print(f"{count} links inside the site: {len(inside)} broken", flush=True)
    tool = Path(sys.executable).with_name("jupyter-book")
    build = [sys.executable, tool, "build", ".", "--builder", "linkcheck"]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True)  # its status counts refusals, too
    if not (CHECKED / "output.json").exists():
        sys.exit(f"error: linkcheck did not run\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    found = map(json.loads, (CHECKED / "output.json").read_text(encoding="utf8").splitlines())
    status, lines = judge(found)
    print(*lines, sep="\n")
    sys.exit(int(bool(inside)) or status)


if __name__ == "__main__":
    main()
