"""Elements of a piece of HTML, with all that is in them."""

import re
from collections.abc import Iterator


def whole(html: str, name: str, start: int) -> str:
    """The element of that name that begins at `start`."""
    depth = 0
    for tag in re.compile(rf"<(/?){name}\b[^>]*>").finditer(html, start):
        depth += -1 if tag[1] else 1
        if depth == 0:
            return html[start : tag.end()]
    raise ValueError(f"html must close the <{name}> at {start}")


def outermost(html: str, name: str) -> Iterator[str]:
    """The elements of that name that stand in no other of it."""
    at = 0
    while found := re.compile(rf"<{name}\b").search(html, at):
        element = whole(html, name, found.start())
        yield element
        at = found.start() + len(element)
