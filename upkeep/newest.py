"""The first half of `make book-newest`: a copy of the checkout in _build/newest that asks for the newest.

The copy has its own .venv and its own empty cache, so that what it builds says whether the book still stands
on today's versions, and changes nothing here. CAPPED are the packages that the book cannot follow, and why.
"""

import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COPY = ROOT / "_build" / "newest"
CAPPED = {
    "jupyter-book": "2 reads another configuration and runs no Sphinx extension (CONTRIBUTING.md)",
    "sphinx-book-theme": "newer ones show a second header bar",
    "pydata-sphinx-theme": "goes with the theme",
}


def loosened(requirements: str) -> str:
    """The requirements with ``==`` turned into ``>=``, but for those that are capped."""
    return re.sub(
        r"^([\w-]+)==", lambda m: m[0] if m[1] in CAPPED else f"{m[1]}>=", requirements, flags=re.MULTILINE
    )


def main() -> None:
    shutil.rmtree(COPY, ignore_errors=True)
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (COPY / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, COPY / name)
    asked = COPY / "requirements.txt"
    asked.write_text(loosened(asked.read_text(encoding="utf8")), encoding="utf8")


if __name__ == "__main__":
    main()
