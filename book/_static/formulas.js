// Formulas are set where the reader is, then, once all is loaded, from there outwards whenever the browser has time.
if (globalThis.MathJax?.startup) {
  let waiting = [];
  const distance = (el) => { // from the window; what is folded away comes last
    const { top, bottom, width } = el.getBoundingClientRect();
    return width ? Math.max(top - innerHeight, -bottom, 0) : Infinity;
  };
  const spare = () => new Promise((go) => (globalThis.requestIdleCallback ?? setTimeout)(go, { timeout: 500 }));
  const set = async () => {
    const target = document.querySelector(":target") ?? document.getElementById(location.hash.slice(1));
    if (target && scrollY === 0) target.scrollIntoView(); // the browser goes there only once it paints
    const all = [...document.querySelectorAll(".math")].map((el) => [distance(el), el]).sort(([a], [b]) => a - b);
    waiting = all.map(([, el]) => el);
    const near = all.findIndex(([far]) => far > innerHeight);
    await MathJax.typesetPromise(waiting.splice(0, near < 0 ? all.length : near));
    performance.mark("rv-formulas");
    if (document.readyState !== "complete") await new Promise((go) => addEventListener("load", go));
    while (waiting.length) {
      await spare();
      await MathJax.typesetPromise(waiting.splice(0, 60));
    }
  };
  MathJax.startup.promise = MathJax.startup.promise.then(set); // who waits for formulas waits for all of them
  addEventListener("beforeprint", () => waiting.length && MathJax.typeset(waiting.splice(0)));
}
