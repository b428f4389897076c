// Starts a deck: formulas, live figures and slides, each slide's content scaled into its room.
globalThis.MathJax = {
  options: { enableMenu: false, skipHtmlTags: ["script", "style", "pre", "code", "aside"] },
  chtml: { matchFontHeight: false }, // nothing is measured, so that slides that are not shown yet are set alike
  startup: { typeset: false },
};
// A slide is scaled to the screen: planes are drawn finely enough for the largest.
Object.defineProperty(globalThis, "devicePixelRatio", { get: () => 2 });

addEventListener("DOMContentLoaded", async () => {
  const figures = [...document.querySelectorAll("figure[data-rv-module]")];
  // Arrow keys belong to the figure that has the focus.
  const keyboardCondition = () => !document.activeElement?.closest(".rv-stage");
  figures.forEach((figure) => figure.setAttribute("data-prevent-swipe", ""));
  await MathJax.startup.promise;
  await MathJax.typesetPromise();
  await Reveal.initialize({
    width: 1280, height: 720, margin: 0, center: false, hash: true, controls: false, slideNumber: "c/t", progress: true,
    transition: "none", navigationMode: "linear", keyboardCondition, plugins: [RevealNotes],
    pdfMaxPagesPerSlide: 1, viewDistance: 1000, mobileViewDistance: 1000, // every slide has a layout, so that figures find their width
  });
  await document.fonts.ready;
  const waits = () => figures.some((figure) => figure.dataset.rvReady === undefined);
  for (let k = 0; k < 200 && waits(); k++) await new Promise((go) => setTimeout(go, 50)); // one that fails says so itself
  await widen([...document.querySelectorAll(".rv-stage")]);
  for (let k = 0; k < 3; k++) {
    await frames();
    document.querySelectorAll(".room").forEach(fit);
  }
  document.documentElement.dataset.deckReady = "";
});

// Planes take their width a frame after their slide has.
const frames = () => new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)));
// A live stage takes what is free under the title and beside its caption.
const zoom = (stage) => Math.min(1.5, 590 / stage.offsetHeight, 800 / stage.offsetWidth);

// What the keys do stands under the caption, and each stage has the width at which its words are largest.
async function widen(stages) {
  for (const stage of stages) {
    const hint = stage.querySelector(".rv-hint:not(.rv-reason)");
    if (hint) stage.closest("figure").querySelector("figcaption").append(hint);
  }
  const wide = stages.filter((stage) => !stage.querySelector(".rv-state")), best = new Map();
  for (const width of [600, 640, 700, 760]) { // narrower ones stack their parts
    wide.forEach((stage) => { stage.style.width = `${width}px`; });
    await frames();
    await frames();
    for (const stage of wide) if (!(zoom(stage) < best.get(stage)?.zoom - 0.01)) best.set(stage, { width, zoom: zoom(stage) });
  }
  wide.forEach((stage) => { stage.style.width = `${best.get(stage).width}px`; });
}

// All else is made smaller until it fits.
function fit(room) {
  const stage = room.querySelector(".rv-stage");
  if (stage) stage.style.zoom = zoom(stage);
  const full = () => room.scrollHeight > room.clientHeight || room.scrollWidth > room.clientWidth;
  for (let size = 1; full() && size > 0.5; size -= 0.02) room.style.fontSize = `${size}em`;
}
