"""JupyterLab as a reader of the exported notebooks has it."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import command, write_settings
from running import Lab, until

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def lab(tmp_path_factory) -> Iterator[Lab]:
    """One server for all tests, with nothing of this user's own settings."""
    home = tmp_path_factory.mktemp("lab")
    folder, runtime = home / "notebooks", home / "runtime"
    folder.mkdir()
    own = {f"JUPYTER_{name}_DIR": str(home / name.lower()) for name in ("RUNTIME", "CONFIG", "DATA")}
    own |= {"IPYTHONDIR": str(home / "ipython"), "PYTHONPATH": str(ROOT)}
    environment = {key: value for key, value in os.environ.items() if key != "RIEMVAE_BOOK"} | own
    start = command(
        write_settings(home / "settings", myst=False),
        "--no-browser", "--allow-root", "--ServerApp.port=0", f"--ServerApp.root_dir={folder}",
        "--LabApp.expose_app_in_browser=True", "--LabApp.collaborative=False",
    )  # fmt: skip
    with (
        (home / "log").open("w") as log,
        subprocess.Popen(start, env=environment, stdout=log, stderr=log) as server,
    ):
        try:
            started = until(lambda: list(runtime.glob("jpserver-*.json")), "no JupyterLab started")
            told = until(lambda: started[0].read_text(), "JupyterLab does not say where it is")
            yield Lab(json.loads(told)["url"], json.loads(told)["token"], folder, runtime)
        finally:
            server.terminate()
