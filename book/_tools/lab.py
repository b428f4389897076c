"""Start JupyterLab with the chapters (MyST Markdown) opening as notebooks; settings stay in .venv."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = Path(sys.prefix) / "share" / "jupyter" / "lab" / "settings" / "overrides.json"
VIEWERS = "@jupyterlab/docmanager-extension:plugin"
NEWS = "@jupyterlab/apputils-extension:notification"


def write_settings() -> None:
    """Let this environment's JupyterLab open Markdown as notebooks, and ask no other host for news."""
    settings = json.loads(SETTINGS.read_text()) if SETTINGS.exists() else {}
    viewers = settings.setdefault(VIEWERS, {}).setdefault("defaultViewers", {})
    viewers.update(markdown="Jupytext Notebook", myst="Jupytext Notebook")
    settings.setdefault(NEWS, {}).update(fetchNews="false", checkForUpdates=False)
    SETTINGS.parent.mkdir(parents=True, exist_ok=True)
    SETTINGS.write_text(json.dumps(settings, indent=2) + "\n")


def main() -> int:
    write_settings()
    command = [sys.executable, "-m", "jupyterlab", "--LabApp.default_url=/lab/tree/chapters", *sys.argv[1:]]
    return subprocess.call(command, cwd=ROOT)


if __name__ == "__main__":
    sys.exit(main())
