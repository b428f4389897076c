// Chapter 9: the study's laws in one of its cells, what to take there and why, and what the chosen law draws.
import { format } from "../mathematics/numbers.js";
import { makeButton, makeMenu } from "../stage/controls.js";
import { linearAxis, logAxis, makeIntervals } from "../stage/intervals.js";
import { makePairs, readSheet } from "../stage/sheet.js";
import { h, makeLoop, makeNumbers, makeVoice, newId, readPalette, renderLive, watchTheme } from "../stage/stage.js";

const ROWS = 2, COLUMNS = 6; // of pairs of pictures
const MENUS = { data: "data", model: "model", images: "images", price: "price β" };
const UNIT = ["coverage", "novelty"]; // shares; the other scores are distances
const digits = (v) => (v >= 100 ? 0 : v >= 10 ? 1 : v >= 1 ? 2 : Math.min(6, 1 - Math.floor(Math.log10(v))));
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

export async function mount(stage, host) {
  const { runs, laws, kinds, standings, scores, novelty, asset, start } = host.props;
  const { scores: numbers, standings: places } = await host.asset(asset);
  const names = laws.map(({ law }) => law), nets = numbers.length / (runs.length * laws.length * scores.length * 3);
  const state = { ...start };
  let colors = readPalette(stage), at = 0, sheet = null, dirty = true;

  // ---- what the numbers say
  const three = (run, law, net, score) => {
    const from = (((run * laws.length + law) * nets + net) * scores.length + score) * 3;
    return [...numbers.subarray(from, from + 3)];
  };
  const net = () => Math.max(0, runs[at].features.indexOf(state.features));
  const has = (run, law, which = 0) => Number.isFinite(three(run, law, which, 0)[0]);
  const standing = (law) => standings[places[at * laws.length + law]];
  const own = (score, law = names.indexOf(state.law)) => three(at, law, net(), scores.indexOf(score));
  const text = (score, v) => format(v, UNIT.includes(score) ? 2 : digits(Math.abs(v)));
  const interval = (score, [mean, low, high]) => `${text(score, mean)} [${text(score, low)}, ${text(score, high)}]`;
  function axisOf(score) {
    if (UNIT.includes(score)) return linearAxis(0, 1);
    const means = (rows) => rows.map((k) => own(score, k)[0]).filter((v) => v > 0);
    const all = names.map((_, k) => k), fresh = means(all.filter((k) => has(at, k, net()) && standing(k).filled));
    return logAxis(0.8 * Math.min(...means(all)), 1.5 * Math.max(...(fresh.length ? fresh : means(all))));
  }

  // ---- state
  const valid = (key, value) => ({
    cell: () => runs.some((run) => same(run.cell, value)), score: () => scores.includes(value),
    features: () => runs[at].features.includes(value), law: () => names.includes(value) && has(at, names.indexOf(value)),
  })[key]();
  function change(patch, tell = true) {
    const next = { ...patch };
    if (next.cell) at = runs.findIndex((run) => same(run.cell, next.cell));
    if (!valid("features", next.features ?? state.features)) [next.features] = runs[at].features;
    if (!valid("law", next.law ?? state.law)) next.law = runs[at].take ?? names.find((_, k) => has(at, k));
    if (next.cell) fetchSheet();
    Object.assign(state, next);
    if (tell) host.set(next);
    dirty = true;
    loop.invalidate();
    voice.say(describe);
  }
  const sheets = {};
  async function fetchSheet() { // pictures come with the cell that is first asked for
    const mine = at, file = runs[mine].sheet;
    sheet = file ? sheets[file] : null;
    if (!file || sheet) return;
    const arrays = await host.asset(file);
    sheets[file] = { ...arrays, draws: arrays.near.length / arrays.laws.length, ...(await readSheet(arrays.file, runs[mine])) };
    sheets[file].ink(colors.ink);
    if (mine === at) { sheet = sheets[file]; dirty = true; loop.invalidate(); }
  }
  for (const key of Object.keys(start))
    host.on(key, () => {
      const value = host.get(key);
      if (valid(key, value) && !same(value, state[key])) change({ [key]: value }, false);
    });

  // ---- menus: each offers what those before it leave
  const images = ({ size, duplicates }) =>
    `${size === 0 ? "all" : size.toLocaleString("en-US")}${size === 0 && duplicates === "kept" ? ", duplicates kept" : ""}`;
  const tells = { data: (c) => c.data, model: (c) => c.model, images, price: (c) => (c.price ? `${c.price}` : "none") };
  const dims = Object.keys(MENUS);
  const options = (dim, cell) => [...new Set(runs.map((run) => run.cell).filter((c) =>
    dims.slice(0, dims.indexOf(dim)).every((d) => tells[d](c) === tells[d](cell))).map(tells[dim]))];
  function pick(dim, value) { // the cell that keeps most of the others
    const wanted = Object.fromEntries(dims.map((d) => [d, tells[d](state.cell)]));
    let left = runs.map((run) => run.cell);
    for (const d of dims) {
      const goal = d === dim ? value : wanted[d], fits = left.filter((c) => tells[d](c) === goal);
      left = fits.length ? fits : left.filter((c) => tells[d](c) === tells[d](left[0]));
    }
    change({ cell: left[0] });
  }

  // ---- the page's part
  const hint = h("p", { class: "rv-hint", id: newId() },
    `Bars are 95% intervals over trainings. Filled: the law’s draws are new images, with novelty from ${novelty[0]} to ` +
    `${novelty[1]}. Hollow and broken: copies below it, strays above. At right the rules’ word: alike, no difference from the ` +
    "nearest; depends, on the features; null, a null experiment. The bound is unseen images; by chance a law may pass it. " +
    "What lies beyond the axis stands at ›. Click on a law to see what it draws. Keys in the list: up and down, Home and End.");
  const top = h("div", { class: "rv-choices" }), why = h("p", { class: "rv-why" });
  const menus = Object.fromEntries(dims.map((dim) =>
    [dim, makeMenu(top, MENUS[dim], (k) => pick(dim, options(dim, state.cell)[k]))]));
  menus.score = makeMenu(top, "score", (k) => change({ score: scores[k] }));
  menus.features = makeMenu(top, "features", (k) => change({ features: runs[at].features[k] }));
  const left = h("div", { class: "rv-left" }), right = h("div", { class: "rv-right" });
  stage.append(top, why, h("div", { class: "rv-verdict" }, left, right));
  const chart = makeIntervals(left, {
    name: "Laws of codes", groups: kinds, describedby: hint.id, onchoose: (law) => change({ law }),
    rows: Object.fromEntries(laws.map(({ law, kind, name }) => [law, { group: kind, words: name }])),
  });
  const title = h("p", { class: "rv-title" }), what = h("p", { class: "rv-what" }), stands = h("p", { class: "rv-stands" });
  right.append(title, what);
  const fill = makeNumbers(right, Object.fromEntries(scores.map((score) => [score, score])));
  right.append(stands);
  const board = makePairs(right, { rows: ROWS, columns: COLUMNS });
  const below = h("p", { class: "rv-note" });
  right.append(below);
  stage.append(h("div", { class: "rv-actions" }, hint, makeButton("Reset", () => change({ ...start }))));
  const voice = makeVoice(stage), loop = makeLoop(draw);

  function describe() {
    return `${laws[names.indexOf(state.law)].name}: ${state.score} ${interval(state.score, own(state.score))}. ${standings[places[at * laws.length +
      names.indexOf(state.law)]].said} ${runs[at].reason}`;
  }
  function fillMenu(menu, words, chosen) {
    const now = [...menu.options].map((option) => option.textContent);
    if (!same(now, words)) menu.replaceChildren(...words.map((word, k) => h("option", { value: k }, word)));
    menu.value = words.indexOf(chosen);
    menu.disabled = words.length < 2;
  }
  function draw() {
    if (!dirty) return;
    dirty = false;
    const { score, law } = state, run = runs[at], k = names.indexOf(law), values = {};
    for (const dim of dims) fillMenu(menus[dim], options(dim, run.cell), tells[dim](run.cell));
    fillMenu(menus.score, scores, score);
    fillMenu(menus.features, run.features, state.features);
    why.textContent = run.reason;
    names.forEach((name, j) => {
      if (!has(at, j, net())) return;
      const { word, filled } = standing(j), numbers = own(score, j);
      values[name] = { three: numbers, text: text(score, numbers[0]), tag: word, filled, strong: name === run.take };
    });
    chart.draw({
      axis: axisOf(score), words: (v) => (UNIT.includes(score) ? format(v, 2) : `${Number(v.toPrecision(1))}`), values,
      band: score === "novelty" ? novelty : null,
    });
    chart.choose(law);
    title.textContent = laws[k].name;
    what.textContent = `${laws[k].what[0].toUpperCase()}${laws[k].what.slice(1)}.`;
    fill(Object.fromEntries(scores.map((one) => [one, interval(one, own(one))])));
    stands.textContent = standing(k).said;
    const place = sheet ? sheet.laws.indexOf(k) : -1, pictures = place < 0 ? [] : pairs(place);
    board.draw(sheet, pictures);
    board.label(`Draws of ${laws[k].name}, each with the training image nearest to it below`);
    below.textContent = pictures.length
      ? "Draws of this law in one model of the cell; below each, the training image that is nearest to it in the first feature net."
      : "No pictures are shipped for this law in this cell.";
  }
  const pairs = (place) => Array.from({ length: Math.min(sheet.draws, ROWS * COLUMNS) }, (_, i) =>
    [place * sheet.draws + i, sheet.near[place * sheet.draws + i]]);

  const unwatch = watchTheme(() => {
    colors = readPalette(stage);
    Object.values(sheets).forEach((one) => one.ink(colors.ink));
    dirty = true;
    loop.invalidate();
  });
  at = runs.findIndex((run) => same(run.cell, start.cell));
  for (const key of Object.keys(start)) { // what the kernel holds already; the cell first
    const value = host.get(key);
    if (value !== undefined && valid(key, value)) { state[key] = value; at = runs.findIndex((run) => same(run.cell, state.cell)); }
  }
  await fetchSheet();
  loop.now();
  host.figure.__rv = {
    frames: loop.frames,
    get state() {
      const law = names.indexOf(state.law), place = sheet ? sheet.laws.indexOf(law) : -1;
      return {
        ...state, at, standing: standing(law).key, numbers: Object.fromEntries(scores.map((one) => [one, own(one)])),
        pairs: place < 0 ? [] : pairs(place), pixel: place < 0 ? null : sheet.value(pairs(place)[0][0], 14, 14),
      };
    },
  };
  return () => { unwatch(); loop.stop(); voice.stop(); };
}

export const render = (context) => renderLive(mount, context);
export default { render };
