"""Start JupyterLab: with the chapters (MyST Markdown) opening as notebooks, or with the exported notebooks.

    python book/_tools/lab.py [notebooks] [ARGUMENT OF JUPYTERLAB ...]

The exported notebooks are plain Markdown and open as in their readers' JupyterLab, without the extension for
MyST: that one sets no formula in what folds, and numbers all formulas once more. Settings stay in .venv.
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = Path(sys.prefix) / "share" / "jupyter" / "lab" / "settings"
VIEWERS = "@jupyterlab/docmanager-extension:plugin"
NEWS = "@jupyterlab/apputils-extension:notification"
MYST = "jupyterlab-myst"


def write_settings(folder: Path, myst: bool) -> Path:
    """Settings of a JupyterLab that asks no host for news; with `myst` it opens Markdown as notebooks."""
    overrides = folder / "overrides.json"
    settings = json.loads(overrides.read_text()) if overrides.exists() else {}
    if myst:
        viewers = settings.setdefault(VIEWERS, {}).setdefault("defaultViewers", {})
        viewers.update(markdown="Jupytext Notebook", myst="Jupytext Notebook")
    settings.setdefault(NEWS, {}).update(fetchNews="false", checkForUpdates=False)
    folder.mkdir(parents=True, exist_ok=True)
    overrides.write_text(json.dumps(settings, indent=2) + "\n")
    if not myst:
        (folder / "page_config.json").write_text(json.dumps({"disabledExtensions": {MYST: True}}) + "\n")
    return folder


def command(settings: Path, *arguments: str) -> list[str]:
    """What starts a JupyterLab with the settings of a folder."""
    return [sys.executable, "-m", "jupyterlab", f"--LabApp.app_settings_dir={settings}", *arguments]


def main() -> int:
    exported = sys.argv[1:2] == ["notebooks"]
    if exported:
        settings = write_settings(SETTINGS.with_name("settings-notebooks"), myst=False)
        where, arguments = "_build/notebooks/student", sys.argv[2:]
    else:
        settings = write_settings(SETTINGS, myst=True)
        where, arguments = "chapters", sys.argv[1:]
    return subprocess.call(command(settings, f"--LabApp.default_url=/lab/tree/{where}", *arguments), cwd=ROOT)


if __name__ == "__main__":
    sys.exit(main())
