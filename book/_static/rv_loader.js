// Brings the page's live figures to life. A classic script with classic scripts as its data, so that file:// works too.
(() => {
  const base = `${document.currentScript.src.replace(/rv_loader\.js.*$/, "")}riemvae/`;
  const figures = {}, assets = {}, scripts = {};
  const loaded = new Promise((go) => (document.readyState === "complete" ? go() : addEventListener("load", go)));
  const load = (file) => (scripts[file] ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = base + file;
    script.onload = resolve;
    script.onerror = () => reject(new Error(`${file} could not be loaded`));
    document.head.append(script);
  }));
  globalThis.__rv = {
    define: (name, mount, unpack) => { figures[name] = { mount, unpack }; },
    asset: (name, header, text) => { assets[name] = { header, text }; },
  };

  // An asset's bytes come deflated, each array as planes: first the low bytes of all its numbers, then the next ones.
  async function inflate({ header, text }) {
    const packed = new Blob([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))]).stream();
    const stream = packed.pipeThrough(new DecompressionStream("deflate"));
    const planes = new Uint8Array(await new Response(stream).arrayBuffer()), data = new Uint8Array(planes.length);
    let offset = 0;
    for (const { dtype, shape } of header) {
      const n = shape.reduce((a, b) => a * b, 1), size = Number(dtype[1]);
      for (let byte = 0, k = offset; byte < size; byte++)
        for (let i = 0; i < n; i++) data[offset + i * size + byte] = planes[k++];
      offset += n * size;
    }
    return { header, data };
  }

  async function start(figure) {
    const name = figure.dataset.rvModule, stage = document.createElement("div");
    stage.className = "rv-stage";
    try {
      await load(`${name}.js`);
      const { mount, unpack } = figures[name];
      figure.querySelector("figcaption").before(stage);
      figure.classList.add("rv-live");
      await mount(stage, {
        figure, props: JSON.parse(figure.dataset.rvProps),
        asset: async (asset) => { await loaded; await load(`${asset}.js`); return unpack(await inflate(assets[asset])); },
        get: () => undefined, set() {}, on() {}, // no kernel here
      });
      figure.dataset.rvReady = "";
    } catch (error) {
      figure.classList.remove("rv-live");
      stage.replaceWith(`The picture above is still because its live form failed: ${error.message}.`);
      throw error;
    }
  }
  const begin = () => document.querySelectorAll("figure[data-rv-module]").forEach(start);
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", begin);
  else begin();
})();
