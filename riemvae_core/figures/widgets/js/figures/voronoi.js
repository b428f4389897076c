// Chapter 4: move codes, or an image's point, and see cells, usage and decoded images follow.
import { assign, cellOf, revived, stepped } from "../mathematics/cells.js";
import { makeChart } from "../stage/chart.js";
import { paintCells, paintCodes, paintInHand, paintPoints } from "../stage/codes.js";
import { makeButton, makeMenu, makeSlider } from "../stage/controls.js";
import { clamp, format, formatPoint, isPair, makeDecoder, nearestPoint } from "../mathematics/numbers.js";
import { makeRandom } from "../mathematics/random.js";
import {
  ARROWS, faint, h, makeImage, makeLoop, makePlane, makeVoice, motionIsReduced, newId, onDrag, readPalette, renderLive,
  watchTheme,
} from "../stage/stage.js";
import { fillRow, makeTable } from "../stage/table.js";

const GLIDE = 180; // milliseconds
const SHARES = 2.5; // equal shares that the chart of usage is high, at least
const pairs = (flat) => Array.from({ length: flat.length / 2 }, (_, k) => [flat[2 * k], flat[2 * k + 1]]);
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

export async function mount(stage, host) {
  const { probes, models, classes, side, center, half, softest, start } = host.props;
  const shown = await host.asset(probes), n = shown.labels.length, pixels = side * side;
  const imageOf = (i) => Float32Array.from(shown.images.subarray(i * pixels, (i + 1) * pixels), (v) => v / 255);
  const classOf = (i) => classes[shown.labels[i]];
  const box = [center[0] - half, center[1] - half, center[0] + half, center[1] + half];
  const within = ([x, y]) => [clamp(x, box[0], box[2]), clamp(y, box[1], box[3])];
  const random = makeRandom(0);

  // ---- a codebook comes, with its encoder's points and its decoder, when it is first chosen
  const ready = {};
  async function fetchModel(k) {
    if (ready[k]) return;
    const arrays = await host.asset(models[k]);
    const [points, codebook] = [arrays.points, arrays.codebook].map((a) => Float64Array.from(a));
    ready[k] = { points, codebook, decode: makeDecoder(arrays) };
  }

  // ---- state: codes, the chosen image and its point, softness. In hand is that point (-1) or a code.
  let state = {}, hand = -1, cloud = null, picked = null, wanted = {};
  let colors = readPalette(stage);
  const model = () => ready[state.n_codes];
  const row = (array, k) => [...array.subarray(2 * k, 2 * k + 2)];
  const homeOf = (k) => (k < 0 ? row(model().points, state.selected) : row(model().codebook, k));
  const inHand = () => (hand < 0 ? state.z : row(state.codebook, hand));
  const isCodebook = (value) => value?.length === state.n_codes && value.every(isPair);

  function choose(patch, tell = true) { // another codebook or another image: all as trained
    const mine = (wanted = { ...wanted, ...patch }), n_codes = mine.n_codes ?? state.n_codes;
    return fetchModel(n_codes).then(() => {
      if (mine !== wanted) return; // more was chosen meanwhile, in addition
      wanted = {};
      const other = n_codes !== state.n_codes;
      state = { ...state, ...mine };
      hand = -1;
      picked = imageOf(state.selected);
      state.z = homeOf(-1);
      if (other) state.codebook = model().codebook.slice();
      if (tell) host.set({ ...mine, z: state.z, ...(other && { codebook: pairs(state.codebook) }) });
      plane.repaint();
      settle();
    }, (error) => {
      wanted = {};
      loop.invalidate();
      throw error;
    });
  }
  function movePoint(z, tell = true) {
    state.z = within(z);
    if (tell) host.set({ z: state.z });
    settle();
  }
  function moveCodes(codebook, { tell = true, glides = false } = {}) {
    state.codebook = codebook;
    if (tell) host.set({ codebook: pairs(codebook) });
    settle(glides);
  }
  function moveHand(to) {
    if (hand < 0) return movePoint(to);
    const codebook = state.codebook.slice();
    codebook.set(within(to), 2 * hand);
    moveCodes(codebook);
  }
  function soften(softness, tell = true) {
    state.softness = softness;
    if (tell) host.set({ softness });
    settle();
  }
  function take(k) {
    hand = k;
    loop.invalidate();
    voice.say(describe);
  }
  let heard = Promise.resolve();
  function listen(key, fits, change) { // what a kernel says is heard in turn: other codes have to come first
    const hear = () => (heard = heard.then(() => {
      const value = host.get(key), mine = key === "codebook" ? pairs(state.codebook) : state[key];
      return fits(value) && !same(value, mine) && change(value);
    }));
    host.on(key, hear);
    return hear;
  }
  const hearings = [
    listen("n_codes", (k) => k in models, (n_codes) => choose({ n_codes }, false)),
    listen("selected", Number.isInteger, (selected) => choose({ selected }, false)),
    listen("softness", Number.isFinite, (softness) => soften(softness, false)),
    listen("codebook", isCodebook, (codebook) => moveCodes(Float64Array.from(codebook.flat()), { tell: false })),
    listen("z", isPair, (z) => movePoint(z, false)),
  ];

  // ---- codes glide where a step sends them; what is shown belongs to the codes as drawn
  let drawn = null, cells = [], glide = null;
  function settle(glides = false) {
    cloud = model().points.slice();
    cloud.set(state.z, 2 * state.selected);
    glide = glides && !motionIsReduced() ? { from: drawn, began: performance.now() } : null;
    if (!glide) place(state.codebook);
    loop.invalidate();
    voice.say(describe);
  }
  function place(codebook) {
    if (codebook === drawn) return;
    drawn = codebook;
    cells = pairs(codebook).map((_, k) => cellOf(codebook, k, box));
  }
  function advance(now) {
    if (!glide) return false;
    const t = clamp((now - glide.began) / GLIDE, 0, 1), eased = 1 - (1 - t) ** 3;
    place(t === 1 ? state.codebook : glide.from.map((v, k) => v + eased * (state.codebook[k] - v)));
    if (t === 1) glide = null;
    return glide !== null;
  }

  // ---- what a codebook makes of all images, and of the chosen one in pixels
  function measure(points, codebook) {
    const all = assign(points, codebook, state.softness), z = row(points, state.selected), read = row(all.means, state.selected);
    const images = [z, read].map((at) => Float32Array.from(model().decode(at)));
    const [point, code] = images.map((y) => y.reduce((sum, v, p) => sum + (picked[p] - v) ** 2, 0));
    return { ...all, images, read, errors: { point, code } };
  }
  let theirs = { key: "" };
  function trained() {
    const key = [state.n_codes, state.selected, state.softness].join();
    if (theirs.key !== key) theirs = { key, ...measure(model().points, model().codebook) };
    return theirs;
  }
  const assigned = () => assign(cloud, state.codebook, state.softness);

  // ---- the page's part
  const hint = h("p", { class: "rv-hint", id: newId() },
    "Drag a code (green) or the image’s point (the large dot); a click on a gray dot takes that image. Thin lines lead from " +
    "points to what the decoder reads; it was trained on codes only. With a softness, codes are balls of radius σ " +
    "that share every image, the decoder reads their mean, and soft distance² is −2σ² log of the mean of " +
    "exp(−distance²/2σ²) over all codes. Keys in the plane: arrows move what is in hand (Shift: five times as far), " +
    "Enter changes between point and code, C takes the next code, N and P the next or the previous image, Home puts " +
    "back.");
  const left = h("div", { class: "rv-left" }), right = h("div", { class: "rv-right" });
  stage.append(h("div", { class: "rv-packing" }, left, right));
  const plane = makePlane(left, {
    name: "Plane of codes and images", center, half, describedby: hint.id, changed: () => loop.now(),
  });
  const controls = h("div", { class: "rv-sliders" });
  left.append(controls);
  const menu = makeMenu(controls, "codes", (n_codes) => choose({ n_codes }), Object.keys(models));
  const slider = makeSlider(controls, {
    name: "softness σ", min: 0, max: softest, step: 0.1, text: (v) => format(v, 1), oninput: (v) => soften(v),
  });
  const pictures = h("div", { class: "rv-pictures rv-strip rv-three" });
  right.append(pictures);
  const views = ["the image", "its point, decoded", "its code, decoded"].map((words) => makeImage(pictures, side, words));
  const chart = makeChart(right, { name: "images of each code; dashed: equal shares", ends: ["", ""] });
  const words = h("span");
  const table = makeTable(right, {
    caption: `All ${n} images; below, the squared error of this one’s pixels`, heads: ["here", "as trained"], kind: "rv-errors",
    rows: {
      used: ["codes in use"], perplexity: ["perplexity"], error: [words], point: ["this image, point"], code: ["this image, code"],
    },
  });
  const step = (codebook) => moveCodes(codebook, { glides: true });
  stage.append(h("div", { class: "rv-actions" }, hint,
    makeButton("k-means step", () => step(stepped(state.codebook, assigned()))),
    makeButton("Reset dead codes", () =>
      step(revived(state.codebook, assigned(), cloud, Float64Array.from({ length: n }, random.uniform)))),
    makeButton("Reset", () => choose(start).then(() => {
      soften(start.softness);
      step(model().codebook.slice());
    }))));
  const voice = makeVoice(stage);
  const loop = makeLoop(draw);

  function draw(now) {
    if (!drawn) return false;
    const gliding = advance(now), here = measure(cloud, drawn), home = trained(), share = n / state.n_codes;
    const code = here.nearest[state.selected], { selected, softness } = state;
    plane.draw(colors, (c) => paintPoints(c, plane, colors, model().points, selected), (c) => {
      paintCells(c, plane, colors, { cells, tinted: code, codebook: drawn, softness });
      paintCodes(c, plane, colors, { points: cloud, read: here.means, selected, codebook: drawn, hand });
      paintInHand(c, plane, colors, {
        point: state.z, read: here.read, home: homeOf(-1), code: hand < 0 ? null : row(drawn, hand),
      });
    });
    [picked, ...here.images].forEach((image, k) => views[k].show(image, colors.ink));
    views[0].label(classOf(selected));
    views[2].label(softness > 0 ? "mean code, decoded" : "its code, decoded");
    let top = SHARES * share;
    while (top < Math.max(...here.counts)) top *= 2;
    chart.draw(colors, [...here.counts], [{ values: Array(state.n_codes).fill(share), dash: true }], {
      top, below: ["1", `${state.n_codes}`],
      color: (k) => (k === hand ? colors.ink : k === code ? colors.codes : faint(colors.codes, 0.5)),
    });
    chart.label(`How many of ${n} images each of ${state.n_codes} codes gets: ${format(Math.min(...here.counts), 0)} to ` +
      `${format(Math.max(...here.counts), 0)}; equal shares are ${format(share, 1)}`);
    const columns = [here, home];
    fillRow(table.used, columns.map(({ used }) => `${used} of ${state.n_codes}`));
    for (const part of ["perplexity", "error"]) fillRow(table[part], columns.map((column) => format(column[part])));
    for (const part of ["point", "code"]) fillRow(table[part], columns.map(({ errors }) => format(errors[part])));
    words.textContent = softness > 0 ? "soft distance²" : "mean distance²";
    menu.value = state.n_codes;
    slider.set(softness);
    const what = hand < 0 ? `point of a ${classOf(selected)}` : `code ${hand + 1}`;
    plane.value(inHand(), `${what} at ${formatPoint(inHand())}`);
    return gliding;
  }
  function describe() {
    const { used, perplexity, error, hits } = assigned();
    const what = hand < 0 ? `Point of a ${classOf(state.selected)}` : `Code ${hand + 1}, nearest to ${hits[hand]} images,`;
    return `${what} at ${formatPoint(inHand())}. ${used} of ${state.n_codes} codes in use, perplexity ${format(perplexity)}, ` +
      `mean squared distance ${format(error)}.`;
  }

  // ---- pointer and keys
  let offset = null;
  const closest = (points, at) => nearestPoint(points, plane.toPlane(...at), () => 1 / plane.scale);
  function underHand(at, reach) { // the point (-1) or the code that the hand is on, else null
    const [point, code, dot] = [state.z, state.codebook, model().points].map((points) => closest(points, at));
    const nearer = Math.min(point.distance, code.distance);
    if (nearer > reach || nearer > Math.max(reach / 2, dot.distance)) return null;
    return point.distance <= code.distance ? -1 : code.index;
  }
  function hold(at) {
    const [x, y] = plane.toPixels(inHand());
    offset = [at[0] - x, at[1] - y];
  }
  onDrag(plane, {
    start(at, event) {
      const reach = event.pointerType === "mouse" ? 9 : 18, under = underHand(at, reach), dot = closest(model().points, at);
      if (under !== null) {
        take(under);
        hold(at);
      } else if (dot.distance <= 2 * reach) choose({ selected: dot.index }).then(() => hold(at));
    },
    move([x, y]) { if (offset) moveHand(plane.toPlane(x - offset[0], y - offset[1])); },
    end() { offset = null; },
    hover(at) { plane.canvas.style.cursor = at && underHand(at, 9) !== null ? "grab" : ""; },
  });
  plane.canvas.addEventListener("keydown", (event) => {
    const length = event.shiftKey ? 1.5 : 0.3, arrow = ARROWS[event.key], { selected } = state;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (arrow) moveHand(inHand().map((v, k) => v + length * arrow[k]));
    else if (event.key === "Enter") take(hand < 0 ? assigned().nearest[selected] : -1);
    else if (/^c$/i.test(event.key)) take((hand + 1) % state.n_codes);
    else if (/^[np]$/i.test(event.key)) choose({ selected: (selected + (/n/i.test(event.key) ? 1 : n - 1)) % n });
    else if (event.key === "Home") moveHand(homeOf(hand));
    else return;
    event.preventDefault();
  });

  const unwatch = watchTheme(() => { colors = readPalette(stage); plane.repaint(); loop.invalidate(); });
  await choose(start, false);
  hearings.forEach((hear) => hear());
  await heard;
  host.figure.__rv = {
    frames: loop.frames,
    decode: (z) => Float32Array.from(model().decode(z)),
    get state() {
      const { means, nearest, counts, used, perplexity, error, errors } = measure(cloud, state.codebook);
      return {
        ...state, codebook: pairs(state.codebook), hand, gliding: glide !== null, cells, read: pairs(means),
        nearest: [...nearest], counts: [...counts], used, perplexity, error, errors,
        handles: { center: plane.toPixels(row(state.codebook, 0)) },
      };
    },
  };
  return () => { unwatch(); loop.stop(); voice.stop(); plane.stop(); };
}

export const render = (context) => renderLive(mount, context);
export default { render };
