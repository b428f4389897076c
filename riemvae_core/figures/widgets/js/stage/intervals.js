// Rows in groups, each a mean with its interval on one common axis; one row is chosen, by pointer or by keys.
import { h, newId } from "./stage.js";

// Marks by a group's place, so that groups are told apart by shape: each within 12 by 12.
const MARKS = ["M1.5 1.5h9v9h-9z", "M6 1a5 5 0 1 0 .01 0z", "M6 0l6 6-6 6-6-6z", "M1 1l10 10M11 1L1 11", "M6 1l5.5 9.5H.5z"];
export function makeMark(group) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), path = document.createElementNS(svg.namespaceURI, "path");
  path.setAttribute("d", MARKS[group]);
  svg.setAttribute("viewBox", "-1.5 -1.5 15 15");
  svg.setAttribute("aria-hidden", "true");
  svg.append(path);
  return svg;
}

// Ticks of a logarithmic axis: 1, 2 and 5 times powers of ten, fewer where these would be many.
function logTicks(low, high) {
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
    for (const m of [1, 2, 5]) if (m * 10 ** power >= low && m * 10 ** power <= high) found.push(m * 10 ** power);
  const tens = found.filter((v) => Math.abs(Math.log10(v) - Math.round(Math.log10(v))) < 1e-9);
  return found.length <= 4 || tens.length < 2 ? found : tens;
}
export const logAxis = (low, high) => ({
  place: (v) => (v <= 0 ? 0 : Math.log(v / low) / Math.log(high / low)), ticks: logTicks(low, high),
});
export const linearAxis = (low, high) => ({
  place: (v) => (v - low) / (high - low), ticks: [0, 0.25, 0.5, 0.75, 1].map((t) => low + t * (high - low)),
});

// `groups` are {key: words}, `rows` {key: {group, words}}; `onchoose` gets a row's key.
export function makeIntervals(parent, { name, groups, rows, describedby, onchoose }) {
  const list = h("div", { class: "rv-rows", role: "listbox", tabindex: 0, "aria-label": name, "aria-describedby": describedby });
  const ticks = h("div", { class: "rv-row rv-axis", "aria-hidden": "true" }, h("span"), h("span", { class: "rv-track" }));
  parent.append(h("div", { class: "rv-intervals" }, ticks, list));
  const order = Object.keys(groups), built = {}, heads = {};
  let shown = [], chosen = null;
  for (const group of order) {
    const title = h("div", { class: "rv-group", id: newId() }, makeMark(order.indexOf(group)), groups[group]);
    title.classList.add(`rv-kind-${group}`);
    heads[group] = h("div", { role: "group", "aria-labelledby": title.id }, title);
    list.append(heads[group]);
  }
  for (const [key, { group, words }] of Object.entries(rows)) {
    const range = h("i", { class: "rv-range" }), mark = makeMark(order.indexOf(group)), band = h("i", { class: "rv-band" });
    const value = h("span", { class: "rv-value" }), tag = h("span", { class: "rv-tag" });
    const el = h("div", { class: `rv-row rv-kind-${group}`, role: "option", id: newId(), onclick: () => onchoose(key) },
      h("span", { class: "rv-name" }, words), h("span", { class: "rv-track" }, band, range, mark), value, tag);
    heads[group].append(el);
    built[key] = { el, range, mark, band, value, tag };
  }
  const percent = (t) => `${100 * Math.min(1, Math.max(0, t))}%`;
  list.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const at = shown.indexOf(chosen), last = shown.length - 1;
    const to = { ArrowUp: Math.max(0, at - 1), ArrowDown: Math.min(last, at + 1), Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    onchoose(shown[to]);
    built[shown[to]].el.scrollIntoView({ block: "nearest" });
  });
  return {
    list,
    // `values` are {key: {three, text, tag, filled, strong}} of the rows to show; `band` is what to shade, or null.
    draw({ axis, words, values, band }) {
      shown = [];
      ticks.lastChild.replaceChildren(...axis.ticks.map((v) =>
        h("i", { style: `left: ${percent(axis.place(v))}` }, words(v))));
      for (const group of order) heads[group].hidden = !Object.keys(values).some((key) => rows[key].group === group);
      for (const [key, { el, range, mark, band: shade, value, tag }] of Object.entries(built)) {
        const own = values[key];
        el.hidden = !own;
        if (!own) continue;
        const [mean, low, high] = own.three.map(axis.place);
        range.style.left = percent(low);
        range.style.right = percent(1 - high);
        mark.style.left = percent(mean);
        shade.hidden = !band;
        if (band) {
          shade.style.left = percent(axis.place(band[0]));
          shade.style.right = percent(1 - axis.place(band[1]));
        }
        for (const [cell, text] of [[value, own.text], [tag, own.tag]]) if (cell.textContent !== text) cell.textContent = text;
        el.classList.toggle("rv-hollow", !own.filled);
        el.classList.toggle("rv-strong", own.strong);
        el.classList.toggle("rv-beyond", mean > 1);
      }
      shown = order.flatMap((group) => Object.keys(rows).filter((key) => rows[key].group === group && values[key]));
    },
    choose(key) {
      if (chosen !== null) built[chosen].el.setAttribute("aria-selected", "false");
      chosen = key;
      built[key].el.setAttribute("aria-selected", "true");
      list.setAttribute("aria-activedescendant", built[key].el.id);
    },
  };
}
