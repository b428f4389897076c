"""`make chapter NAME=torus TITLE="A torus has no edge"`: a chapter's skeleton, with each entry that it needs.

The chapter gets the next number. Its code runs and its page builds; what is to be written says FILL-IN, and
tests/book/test_anatomy.py lists what still does.
"""

import re
import sys
from collections.abc import Callable
from keyword import iskeyword
from pathlib import Path

from riemvae_book.labels import source_file
from riemvae_book.notebooks import chapter_pages, split_cells
from riemvae_book.numbers import chapter_number

SKELETON = Path(__file__).parent / "skeleton"
PICTURES = "book/_ext/riemvae_book/pictures.py"
EXERCISES = "first", "second", "third", "fourth", "fifth"
MINUTES = 15, 15, 20, 20, 300
CARD = """{page}:
  line: "FILL-IN what it says of itself in one line."
  picture: {picture}
  alt: "FILL-IN what the drawing shows."
"""
DRAWING = '''@card
def {picture}(ax: Axes, ink: dict) -> None:
    """FILL-IN: draw the chapter's idea within 16 x 10 units."""
    ball(ax, (8, 5), (6, 4), ink["posterior"])


'''
SLIP = '    "{label}": Slip("0.5 * ", "", "FILL-IN: the slip, and why one might make it"),\n'


def after_last(text: str, pattern: str, new: str) -> str:
    """The text with `new` after the last place that the pattern matches."""
    last = list(re.finditer(pattern, text, re.M))[-1]
    return text[: last.end()] + new + text[last.end() :]


def entries(name: str, title: str, number: int, set_up: str) -> dict[str, Callable[[str], str]]:
    """For each file what makes its new text of its old one, which is empty where there is no file yet."""
    page = f"chapters/{number:02d}_{name.replace('-', '_')}"
    picture = name.replace("-", "_")
    named = f"{{numref}}`{{number}}. {{name}} <ch-{name}>`"
    words = {
        "TITLE": title,
        "SET-UP": set_up,
        "PAGE": page,
        "NAME_": f"{picture}_",
        "LABEL": name,
        "NAME": name,
    }

    def filled(part: str) -> str:
        text = (SKELETON / f"{part}.txt").read_text(encoding="utf8")
        return re.sub("|".join(words), lambda found: words[found[0]], text)

    card = CARD.format(page=page, picture=picture)
    labels = [f"ex-{name}-{which}" for which in EXERCISES]
    slips = "".join(SLIP.format(label=label) for label in labels[2:4])  # those in code
    minutes = "".join(f"{label}: {n}\n" for label, n in zip(labels, MINUTES, strict=True))
    return {
        f"{page}.md": lambda old: filled("chapter"),
        "_toc.yml": lambda old: after_last(old, r"^      - file: chapters/.*\n", f"      - file: {page}\n"),
        "README.md": lambda old: after_last(old, r"^\| \d+ \| .*\n", f"| {number} | {title}: FILL-IN |\n"),
        "book/cards.yml": lambda old: after_last(old, r"^chapters/.*\n(?:  .*\n)+", card),
        PICTURES: lambda old: old.replace("def drawn(", DRAWING.format(picture=picture) + "def drawn(", 1),
        "book/instructors/chapters.md": lambda old: old + filled("plan"),
        "book/instructors/minutes.yml": lambda old: old + minutes,
        "book/instructors/syllabi.md": lambda old: after_last(
            after_last(old, r"^Week \d+: .*", f", {named}"),
            r"Left out, and good for a ninth week: .*(?=\.$)",
            f", {named}",
        ),
        "tests/book/wrong_answers.py": lambda old: after_last(old, r",\n(?=\}\n)", slips),
        f"book/instructors/exams/{number:02d}_{picture}.md": lambda old: filled("exam"),
    }


def add_chapter(root: Path, name: str, title: str) -> dict[str, str]:
    """Write the files of a new chapter, or none of them; say which."""
    if not re.fullmatch(r"[a-z]+(-[a-z]+)*", name):
        raise ValueError(
            f'NAME must be words in small letters joined by hyphens, as "many-tori", got {name!r}'
        )
    if not title.strip():
        raise ValueError('TITLE must be the chapter\'s claim, as TITLE="A torus has no edge", got nothing')
    pages = chapter_pages(root)
    texts = [source_file(root, page).read_text(encoding="utf8") for page in pages]
    drawn = (root / PICTURES).read_text(encoding="utf8")
    word = name.replace("-", "_")
    if any(f"(ch-{name})=" in text for text in texts) or iskeyword(word) or re.search(rf"\b{word}\b", drawn):
        raise ValueError(f"NAME must be new among chapters and in {PICTURES}, got {name!r}")
    set_up = next(code for kind, code, _ in split_cells(texts[0]) if kind == "code")
    written = {}
    for file, renew in entries(name, title, chapter_number(pages[-1]) + 1, set_up).items():
        path = root / file
        written[file] = renew(path.read_text(encoding="utf8") if path.exists() else "")
    for file, text in written.items():
        (root / file).write_text(text, encoding="utf8")
    return written


def main() -> None:
    try:
        written = add_chapter(Path(__file__).resolve().parents[2], *[*sys.argv[1:], "", ""][:2])
    except ValueError as error:
        sys.exit(f"error: {error}")
    for file, text in written.items():
        print(f"{sum('FILL-IN' in line for line in text.splitlines()):3} lines to fill in  {file}")
    print("`make test-chapter` says what is missing; how it goes on: CONTRIBUTING.md, A new chapter")


if __name__ == "__main__":
    main()
