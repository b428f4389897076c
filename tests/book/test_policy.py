"""The site's Content-Security-Policy: pages hold no script, and a script that gets into one does not run."""

import re

import pytest
from riemvae_book import policy

PAGE = """<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <script data-cfasync="false">
      document.title = "a < b";
    </script>
    <script src="_static/doctools.js"></script>
    <script type="application/json">{"a": 1}</script>
    <script type="module">globalThis.here = 1;</script>
  </head>
  <body><button class="x" onclick="f(&quot;a&quot;)" title="T">F</button><a onclick='g()' href="#">a</a>
  <pre>onclick="in words"</pre></body>
</html>"""


def test_scripts_and_handlers_become_files_that_do_the_same():
    page, scripts = policy.moved(PAGE, "../")
    codes = list(scripts.values())
    assert [code.strip() for code in codes[:2]] == ['document.title = "a < b";', "globalThis.here = 1;"]
    title, module, handler, other = scripts
    loaded = re.findall(r'<script[^>]* src="\.\./_static/inline/(\w+\.js)"></script>', page)
    assert loaded == [handler, other, title, module]
    assert '<script data-cfasync="false" src=' in page
    assert '<script type="module" src=' in page
    assert '<script src="_static/doctools.js"></script>' in page
    assert '<script type="application/json">{"a": 1}</script>' in page
    mark = policy.key('f("a")')
    assert f'<button class="x" data-onclick="{mark}" title="T">' in page
    assert codes[2] == policy.listener("click", 'f("a")')
    assert f"[data-onclick='{mark}']" in codes[2]
    assert f'<a data-onclick="{policy.key("g()")}" href="#">' in page
    assert '<pre>onclick="in words"</pre>' in page


def test_the_policy_stands_before_all_that_it_is_about_and_once():
    page, _ = policy.moved(PAGE, "")
    assert page.index(policy.meta()) < page.index("<script")
    again, scripts = policy.moved(page, "")
    assert (again, scripts) == (page, {})
    bare, _ = policy.moved("<html><head><script>go()</script></head></html>", "")
    assert bare.startswith(f"<html><head>\n{policy.meta()}<script src=")


def test_the_header_is_the_policy_of_the_pages_and_no_other_site_frames_them():
    said = dict(part.split(" ", 1) for part in policy.header().split("; "))
    assert said == policy.POLICY | {"frame-ancestors": "'none'"}
    assert said["script-src"] == "'self'"
    assert said["default-src"] == said["base-uri"] == "'none'"
    in_page = re.search(r'content="(.*)"', policy.meta())[1].replace("'self' file:", "'self'")
    assert in_page == "; ".join(" ".join(part) for part in policy.POLICY.items())


def test_contributing_states_the_header(root):
    stated = f"```\nContent-Security-Policy: {policy.header()}\n```"
    assert stated in (root / "CONTRIBUTING.md").read_text(encoding="utf8")


def test_no_page_of_the_site_holds_a_script_or_a_handler(site):
    pages = [path for path in site.rglob("*.html") if "_static" not in path.parts]
    assert len(pages) > 30
    for path in pages:
        text = path.read_text(encoding="utf8")
        if path != site / "index.html":  # jupyter-book's, written after Sphinx: it forwards to the first page
            assert policy.meta() in text, path
        assert [found[0][:80] for found in policy.SCRIPT.finditer(text) if found["code"].strip()] == [], path
        assert policy.HANDLER.search(text) is None, path
        assert "javascript:" not in text, path


# --- in the browser


INJECT = """() => {
  const script = document.createElement("script");
  script.textContent = "globalThis.ran = 1";
  document.body.append(script);
  document.body.insertAdjacentHTML("beforeend", "<img src='x.png' onerror='globalThis.ran = 2'>");
  const other = document.createElement("script");
  other.src = "data:text/javascript,globalThis.ran=3";
  document.body.append(other);
  return new Promise((resolve) => setTimeout(() => resolve(globalThis.ran ?? 0), 500));
}"""
REFUSED = """addEventListener("securitypolicyviolation", (event) => {
  (globalThis.refused ??= []).push(event.effectiveDirective);
});"""


@pytest.fixture(params=["http", "file"])
def opened(request, browser, site):
    """Opens a page of the site, from a server without the header or from the folder: its own policy holds."""
    from browser import serving

    page = browser.new_page()
    page.add_init_script(REFUSED)
    if request.param == "http":
        with serving(site) as address:
            yield lambda name: page.goto(f"{address}/{name}") and page
    else:
        yield lambda name: page.goto(f"{site.as_uri()}/{name}") and page
    page.close()


@pytest.mark.browser
def test_a_script_that_gets_into_a_page_does_not_run(opened):
    page = opened("book/index.html")
    assert page.evaluate("globalThis.refused ?? []") == []
    assert page.evaluate(INJECT) == 0
    assert sorted(page.evaluate("globalThis.refused")) == [
        "script-src-attr",
        "script-src-elem",
        "script-src-elem",
    ]


@pytest.mark.browser
def test_what_is_searched_for_is_words_and_no_html(opened):
    image, bold = "%3Cimg%20src=x%20onerror=globalThis.ran=1%3E", "%3Cb%20id=h%3E"
    page = opened(f"search.html?q={image}&highlight={bold}#%22%3E{bold}")
    page.wait_for_function("document.querySelector('#search-results')?.textContent.trim()")
    assert page.evaluate("globalThis.ran ?? 0") == 0
    assert page.locator("img[src='x'], #h").count() == 0
    assert page.locator("input[name=q]").first.input_value() == "<img src=x onerror=globalThis.ran=1>"
    assert page.evaluate("globalThis.refused ?? []") == []


@pytest.mark.browser
def test_the_theme_s_buttons_still_do_what_they_did(opened):
    page = opened("book/index.html")
    page.evaluate("window.print = () => (globalThis.printed = true)")
    page.evaluate("document.querySelector('.btn-download-pdf-button').click()")
    assert page.evaluate("globalThis.printed")
    page.evaluate("document.documentElement.requestFullscreen = async () => { globalThis.full = true; }")
    page.evaluate("document.querySelector('.btn-fullscreen-button').click()")
    assert page.evaluate("globalThis.full")
