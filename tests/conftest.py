"""Fixtures that more than one file of tests needs: the built book, a server for it, a browser."""

import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import pytest
import torch
from browser import FLAGS, find_browser, serving
from hypothesis import HealthCheck, settings
from playwright.sync_api import Browser, Error, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]

# How long a case takes is no finding: machines differ, and share their cores.
settings.register_profile(
    "fresh", deadline=None, max_examples=50, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("fresh")


@pytest.hookimpl(tryfirst=True)  # before hypothesis reads the option
def pytest_configure(config: pytest.Config) -> None:
    """Without ``--hypothesis-seed``, the cases come from ``RIEMVAE_SEED``, else from a new seed each run."""
    if config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = os.environ.get("RIEMVAE_SEED") or str(secrets.randbelow(10**9))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """`RIEMVAE_SOURCES=1` leaves out what looks at the built book or drives a browser."""
    if "RIEMVAE_SOURCES" in os.environ:
        late = [item for item in items if {"site", "browser"} & {*item.fixturenames}]
        config.hook.pytest_deselected(items=late)
        items[:] = [item for item in items if item not in late]


def pytest_report_header(config: pytest.Config) -> str:
    """How to draw the same cases of the property tests again."""
    return f"property tests: RIEMVAE_SEED={config.option.hypothesis_seed} draws these cases again"


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder of the project."""
    return ROOT


@pytest.fixture(scope="session")
def site(root: Path) -> Path:
    """The folder of the book, built by `make book` first, unless `make test` has just done so."""
    if "RIEMVAE_BUILT" in os.environ:
        return root / "_build" / "html"
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    made = subprocess.run(["make", "-s", "book"], cwd=root, env=environment, capture_output=True, text=True)
    if made.returncode != 0:
        pytest.fail(f"make book ended with {made.returncode}:\n{made.stdout[-4000:]}\n{made.stderr[-4000:]}")
    return root / "_build" / "html"


@pytest.fixture(scope="session")
def served(site: Path) -> Iterator[str]:
    """The address under which the built book is served, with the site's policy in the header."""
    from riemvae_book import policy  # only the tests of the pages load Sphinx

    with serving(site, {"Content-Security-Policy": policy.header()}) as address:
        yield address


def wait_for_function(
    page: Page, expression: str, *, arg=None, timeout: float | None = None, polling=None
) -> None:
    """Playwright's ``wait_for_function``, but asked from outside each time.

    Its own asks again within the page, by ``eval``, which the site's policy forbids there.
    """
    timeout = getattr(page, "patience", 30_000) if timeout is None else timeout
    end = time.monotonic() + timeout / 1000
    while True:
        try:
            if page.evaluate(expression, arg):
                return
        except Error as error:  # a page that is just leaving for another
            if "context was destroyed" not in str(error):
                raise
        if time.monotonic() > end:
            raise TimeoutError(f"{expression} did not come true within {timeout} ms")
        page.wait_for_timeout(10)


def set_default_timeout(page: Page, timeout: float, own=Page.set_default_timeout) -> None:
    """Playwright's own, heard by the function above too."""
    page.patience = timeout
    own(page, timeout)


Page.wait_for_function = wait_for_function
Page.set_default_timeout = set_default_timeout


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One headless Chromium for all tests; without any, they fail with what to install."""
    try:
        path = find_browser()
    except RuntimeError as error:
        pytest.fail(str(error))
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, headless=True, args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture
def no_hook() -> Iterator[None]:
    """Run the core as a reader does: without the checks of annotations that tests switch on."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def meta_by_default() -> Iterator[None]:
    """Tensors made without naming a device land on `meta`, which holds no numbers: using one fails."""
    with torch.device("meta"):
        yield


@pytest.fixture
def meta_while_training(meta_by_default: None) -> None:
    """The same for what trains, where PyTorch's Adam counts its steps on the CPU (2.6's doesn't)."""
    weight = torch.zeros(1, device="cpu", requires_grad=True)
    weight.grad = torch.zeros(1, device="cpu")
    try:
        torch.optim.Adam([weight]).step()
    except RuntimeError as error:
        pytest.skip(f"PyTorch {torch.__version__} trains nothing with meta as the default device: {error}")


@pytest.fixture
def double_by_default() -> Iterator[None]:
    """Tensors are made in double precision, and forward mode is there, which must be loaded beforehand."""
    from riemvae_core.numerics import load_forward_mode  # not before jaxtyping looks at what is imported

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    load_forward_mode()
    yield
    torch.set_default_dtype(before)


QUEUES = """const queue = ({normals, uniforms}) => {
  let i = 0, j = 0;
  return {normal: () => normals[i++], uniform: () => uniforms[j++]};
};"""


@pytest.fixture(scope="module")
def ask(browser):
    """``ask(names, body, argument)``: names imported from the modules, the value that the body returns."""
    from riemvae_core.figures.widgets import host  # only the tests that ask load the figures

    with serving(host.JS) as address:
        page = browser.new_page()
        page.goto(f"{address}/mathematics/metric.js")

        def run(names: dict[str, str], body: str, argument=None):
            imports = "".join(
                f'const {{{what}}} = await import("./{module}.js");' for module, what in names.items()
            )
            return page.evaluate(f"async (a) => {{ {imports} {QUEUES} {body} }}", argument)

        yield run
        page.close()
