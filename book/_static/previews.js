// A term, citation, theorem or formula, shown where a link to it is pointed at, focused or first touched. Its text comes
// as a script of its page (book/_ext/riemvae_book/previews.py), because a page read from a folder may fetch nothing.
(() => {
  const here = document.currentScript.src.replace(/previews\.js.*$/, "previews/"), site = new URL("../../", here).href;
  const texts = {}, scripts = {};
  globalThis.__rvPreviews = (page, of) => { texts[page] = of; };
  const load = (page) => (scripts[page] ??= new Promise((go) => {
    const script = document.createElement("script");
    script.src = `${here}${page}.js`;
    script.onload = script.onerror = go;
    document.head.append(script);
  }));

  async function textOf(link) {
    const [address, anchor] = link.href.split("#"), page = address.replace(site, "").replace(/\.html$/, "");
    await load(page);
    return texts[page]?.[decodeURIComponent(anchor)];
  }

  const box = document.createElement("div");
  Object.assign(box, { id: "rv-preview", className: "rv-preview", hidden: true });
  box.setAttribute("role", "tooltip");
  let shown = null, asked = null, timer = 0;

  function place(link) {
    const rects = [...link.getClientRects()], { left, bottom } = rects.at(-1), { top } = rects[0];
    const under = bottom + 8 + box.offsetHeight <= innerHeight || top - 8 - box.offsetHeight < 0;
    box.style.left = `${scrollX + Math.max(16, Math.min(left, document.documentElement.clientWidth - box.offsetWidth - 16))}px`;
    box.style.top = `${scrollY + (under ? bottom + 8 : top - 8 - box.offsetHeight)}px`;
  }
  function hide() {
    clearTimeout(timer);
    asked = null;
    shown?.removeAttribute("aria-describedby");
    shown = null;
    box.hidden = true;
  }
  async function show(link, touched = false) {
    clearTimeout(timer);
    if (shown === link) return true;
    asked = link;
    const text = await textOf(link);
    if (asked !== link) return true;
    if (!text) return false;
    hide();
    box.innerHTML = text;
    if (touched) {
      const again = document.createElement("p");
      again.className = "rv-again";
      again.textContent = "Tap again to go there.";
      box.append(again);
    }
    link.removeAttribute("title"); // the same words, shown by the browser
    link.setAttribute("aria-describedby", box.id);
    shown = link;
    box.hidden = false;
    place(link);
    await globalThis.MathJax?.typesetPromise?.([box]);
    if (shown !== link) return true;
    for (const formula of box.querySelectorAll("mjx-container[display]")) { // what is read cannot be scrolled by keys
      const fit = Math.max(0.6, formula.clientWidth / formula.scrollWidth);
      if (fit < 1) formula.style.fontSize = `${fit * parseFloat(formula.style.fontSize || 100)}%`;
    }
    place(link);
    return true;
  }

  const linkOf = ({ target }) => target.closest?.('a.reference.internal[href*="#"]');
  const later = (act, wait) => { clearTimeout(timer); timer = setTimeout(act, wait); };
  let touch = false;
  addEventListener("DOMContentLoaded", () => {
    const article = document.querySelector("article");
    if (!article) return;
    article.append(box);
    article.addEventListener("pointerover", (event) => {
      const link = linkOf(event);
      if (event.pointerType === "touch") return;
      if (link) later(() => show(link), 250);
      else if (box.contains(event.target)) clearTimeout(timer);
      else later(hide, 250);
    });
    article.addEventListener("pointerleave", () => later(hide, 250));
    article.addEventListener("focusin", (event) => {
      const link = linkOf(event);
      if (link?.matches(":focus-visible") && !touch) show(link);
    });
    article.addEventListener("focusout", () => later(hide, 250));
    article.addEventListener("click", async (event) => {
      const link = linkOf(event);
      if (!link || !touch || shown === link) return;
      event.preventDefault();
      if (!await show(link, true)) location.href = link.href;
    });
  });
  addEventListener("pointerdown", (event) => {
    touch = event.pointerType === "touch";
    if (shown && !box.contains(event.target) && linkOf(event) !== shown) hide();
  });
  addEventListener("keydown", ({ key }) => {
    touch = false;
    if (key === "Escape") hide();
  });
})();
