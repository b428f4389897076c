// A small table of numbers.
import { h } from "./stage.js";

// `rows` holds for each row what stands at its head, a list; back comes {row: its cells, one for each of `heads`}.
export function makeTable(parent, { caption, heads, rows, kind }) {
  const body = h("tbody"), cells = {};
  for (const [key, words] of Object.entries(rows)) {
    cells[key] = heads.map(() => h("td"));
    body.append(h("tr", {}, h("th", { scope: "row" }, ...words), ...cells[key]));
  }
  parent.append(h("table", { class: `rv-bill ${kind}` }, h("caption", {}, caption),
    h("thead", {}, h("tr", {}, h("td"), ...heads.map((words) => h("th", { scope: "col" }, words)))), body));
  return cells;
}

export function fillRow(cells, texts) {
  texts.forEach((text, k) => { if (cells[k].textContent !== text) cells[k].textContent = text; });
}
