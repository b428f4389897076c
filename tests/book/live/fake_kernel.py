"""A figure as a notebook shows it: its one module, with a model as anywidget gives it."""

import base64
from contextlib import contextmanager

from figures import opened, settle

from riemvae_core.figures.widgets import host

FAKE_MODEL = """async ([address, figure, state]) => {
  const listeners = {}, model = {
    state, saved: [],
    get: (key) => model.state[key],
    set: (key, value) => {
      model.state[key] = value;
      (listeners[`change:${key}`] ?? []).forEach((f) => f());
    },
    save_changes: () => { model.saved.push(structuredClone({...model.state, _assets: null, _props: null})); },
    on: (event, f) => { (listeners[event] ??= []).push(f); },
    off: (event, f) => { listeners[event] = listeners[event].filter((g) => g !== f); },
  };
  for (const one of Object.values(state._assets)) {
    one.data = new DataView(Uint8Array.from(atob(one.data), (c) => c.charCodeAt(0)).buffer);
  }
  const el = document.createElement("div");
  document.querySelector("main").prepend(el);
  const {default: {render}} = await import(`${address}/${figure}.module.js`);
  const stop = await render({model, el});
  Object.assign(window, {model, el, stop, listeners});
}"""


@contextmanager
def in_a_notebook(browser, folder, address, figure, widget):
    (folder / f"{figure}.module.js").write_text(host.notebook_module(figure), encoding="utf8")
    state = {key: value for key, value in widget.get_state().items() if key not in ("_esm", "_css", "layout")}
    state["_assets"] = {
        name: {"header": one["header"], "data": base64.b64encode(one["data"]).decode()}
        for name, one in state["_assets"].items()
    }
    with opened(browser, address) as page:
        page.evaluate(FAKE_MODEL, [address, figure, state])
        page.wait_for_function("() => el.querySelector('figure').__rv")
        settle(page)
        yield page
