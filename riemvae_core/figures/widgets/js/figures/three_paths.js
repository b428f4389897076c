// Chapter 8: two ends to drag, three paths between them in the metric of a VAE's balls, and what each decodes to.
import { makeButton } from "../stage/controls.js";
import { cheapRuler, curveLength, exactRuler, plainLengths, respaced, straightLine, tableRuler } from "../mathematics/curves.js";
import { makeMetric } from "../mathematics/metric.js";
import { clamp, format, formatPoint, isPair, makeDecoder, significant } from "../mathematics/numbers.js";
import { makeGraph, POINTS, shortestPath } from "../mathematics/paths.js";
import {
  ARROWS, ellipse, faint, h, makeImage, makeLoop, makePlane, makeVoice, newId, onDrag, paintDot, readPalette, renderLive,
  watchTheme,
} from "../stage/stage.js";
import { fillRow, makeTable } from "../stage/table.js";

const WAYS = { straight: "straight", geodesic: "geodesic", low_cost: "low cost" };
const IMAGES = 9;
const TABLE = 301, LATTICE = 81; // points along an axis, over SPREAD times the plane
const SPREAD = 1.4;
const PAUSE = 120; // milliseconds without a change after which paths are searched from all starts and measured exactly

export async function mount(stage, host) {
  const { model, side, frame, balls: numbers, start } = host.props;
  const arrays = await host.asset(model), decode = makeDecoder(arrays), pixels = side * side;
  const metric = makeMetric({ mu: arrays.mu, logVar: arrays.log_var, ...numbers }), wide = SPREAD * frame.half;
  const exact = { geodesic: exactRuler(metric) }, quick = { geodesic: tableRuler(metric, wide, TABLE) };
  exact.low_cost = cheapRuler(exact.geodesic);
  quick.low_cost = cheapRuler(quick.geodesic);
  const graphs = { geodesic: makeGraph(quick.geodesic, wide, LATTICE), low_cost: makeGraph(quick.low_cost, wide, LATTICE) };
  const state = { a: [...start.a], b: [...start.b] }, trees = { a: {}, b: {} };
  for (const end of ["a", "b"]) if (isPair(host.get(end))) state[end] = within(host.get(end));
  let colors = readPalette(stage), active = "a", sharp = true, rest = 0, stale = true, paths = {};

  function within(z) {
    return z.map((v, k) => clamp(v, frame.center[k] - frame.half, frame.center[k] + frame.half));
  }
  function move(end, to, tell = true) {
    state[end] = within(to);
    active = end;
    trees[end] = {};
    stale = true;
    sharp = false;
    clearTimeout(rest);
    rest = setTimeout(() => { sharp = stale = true; loop.invalidate(); }, PAUSE);
    if (tell) host.set({ [end]: [...state[end]] });
    loop.invalidate();
    voice.say(describe);
  }
  for (const end of ["a", "b"]) host.on(end, () => { if (isPair(host.get(end))) move(end, host.get(end), false); });

  // ---- the page
  const hint = h("p", { class: "rv-hint", id: newId() }, "Drag either end. Keys: arrows move the marked end (Shift: five times as far), " +
    "Enter takes the other end, Home goes to the start. Cost is ∫ V |dz| with V = 1 / √det G; image steps are the distances " +
    "between the nine decoded images, added.");
  const left = h("div", { class: "rv-left" }), right = h("div", { class: "rv-right" }), strips = h("div", { class: "rv-strips" });
  stage.append(h("div", { class: "rv-packing" }, left, right), strips);
  const plane = makePlane(left, {
    name: "Latent plane with two ends and three paths", ...frame, describedby: hint.id, changed: () => loop.now(),
  });
  const cells = makeTable(right, {
    caption: "The same three paths by three rulers", heads: ["length in G", "cost", "image steps"], kind: "rv-ways",
    rows: Object.fromEntries(Object.entries(WAYS).map(([way, words]) =>
      [way, [h("i", { class: `rv-way rv-way-${way.replace("_", "-")}` }), words]])),
  });
  const ends = h("p", {}), note = h("p", { class: "rv-note" });
  right.append(ends, note);
  const views = Object.fromEntries(Object.entries(WAYS).map(([way, words]) => [way, makeImage(strips, side, words, IMAGES * side)]));
  const reset = makeButton("Reset", () => restart());
  stage.append(h("div", { class: "rv-actions" }, hint, reset));
  const voice = makeVoice(stage), loop = makeLoop(draw);

  function restart() {
    for (const end of ["b", "a"]) move(end, [...start[end]]);
  }

  // ---- the three paths
  function search() {
    const { a, b } = state, other = active === "a" ? "b" : "a", line = straightLine(a, b, POINTS);
    paths = { straight: { curve: line, converged: true } };
    for (const way of ["geodesic", "low_cost"]) {
      const graph = graphs[way], tree = (trees[other][way] ??= graph.tree(state[other]));
      const walk = other === "b" ? graph.walk(tree, a, b) : reversed(graph.walk(tree, b, a));
      paths[way] = sharp ? shortestPath(quick[way], [line, walk]) : shortestPath(quick[way], [walk], 20, 2);
    }
    const rulers = sharp ? exact : quick;
    for (const path of Object.values(paths)) {
      const shown = respaced(path.curve, plainLengths(path.curve), IMAGES);
      path.strip = new Float32Array(IMAGES * pixels);
      let steps = 0, before = null;
      for (let i = 0; i < IMAGES; i++) {
        const image = Float32Array.from(decode(shown.subarray(2 * i, 2 * i + 2)));
        for (let row = 0; row < side; row++)
          path.strip.set(image.subarray(row * side, (row + 1) * side), row * IMAGES * side + i * side);
        if (before) steps += Math.sqrt(image.reduce((sum, v, k) => sum + (v - before[k]) ** 2, 0));
        before = image;
      }
      path.numbers = { length: curveLength(rulers.geodesic, path.curve), cost: curveLength(rulers.low_cost, path.curve), steps };
    }
    stale = false;
  }
  function reversed(curve) {
    return Float64Array.from(curve, (_, k) => curve[curve.length - 2 - k + 2 * (k % 2)]);
  }
  function describe() {
    const words = Object.entries(paths).map(([way, { numbers: { length } }]) => `${WAYS[way]} ${significant(length)}`);
    return `Ends at ${formatPoint(state.a)} and ${formatPoint(state.b)}. Lengths in G: ${words.join(", ")}.`;
  }

  // ---- drawing
  function draw() {
    if (stale) search();
    plane.draw(colors, paintCodes, paintPaths);
    for (const [way, { strip, numbers: { length, cost, steps } }] of Object.entries(paths)) {
      views[way].show(strip, colors.ink);
      fillRow(cells[way], [significant(length), significant(cost), format(steps, 2)]);
    }
    ends.textContent = `a = ${formatPoint(state.a)}, b = ${formatPoint(state.b)}`;
    const open = Object.keys(paths).filter((way) => sharp && !paths[way].converged).map((way) => WAYS[way]);
    note.textContent = open.length ? `Search not at rest: ${open.join(" and ")}. The numbers are upper bounds.` : "";
    plane.value(state[active], `end ${active} at ${formatPoint(state[active])}`);
  }
  function paintCodes(c) {
    c.fillStyle = faint(colors.posterior, 0.12);
    c.strokeStyle = faint(colors.posterior, 0.6);
    c.lineWidth = 0.7;
    for (let k = 0; k < arrays.mu.length; k += 2) {
      ellipse(c, plane, arrays.mu.subarray(k, k + 2), arrays.log_var.subarray(k, k + 2));
      c.fill();
      c.stroke();
    }
  }
  function paintPaths(c) {
    const looks = { straight: [colors.data, [6, 4]], geodesic: [colors.ink, []], low_cost: [colors.codes, []] };
    for (const [way, [color, dash]] of Object.entries(looks)) {
      const { curve } = paths[way];
      c.beginPath();
      for (let k = 0; k < curve.length; k += 2) c.lineTo(...plane.toPixels([curve[k], curve[k + 1]]));
      c.strokeStyle = color;
      c.lineWidth = 2.2;
      c.setLineDash(dash);
      c.stroke();
      c.setLineDash([]);
    }
    for (const end of ["a", "b"]) {
      const [radius, fill, rim] = end === active ? [7.5, colors.ink, colors.ground] : [6, colors.ground, colors.ink];
      paintDot(c, plane.toPixels(state[end]), radius, fill, rim);
    }
  }

  // ---- pointer and keys
  const gap = (end, at) => { const [x, y] = plane.toPixels(state[end]); return Math.hypot(x - at[0], y - at[1]); };
  onDrag(plane, {
    start(at) { move(gap("a", at) <= gap("b", at) ? "a" : "b", plane.toPlane(...at)); },
    move(at) { move(active, plane.toPlane(...at)); }, end() {}, hover() {},
  });
  plane.canvas.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 0.25 : 0.05, arrow = ARROWS[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (arrow) move(active, state[active].map((v, k) => v + step * arrow[k]));
    else if (event.key === "Enter") { active = active === "a" ? "b" : "a"; loop.invalidate(); }
    else if (event.key === "Home") restart();
    else return;
    event.preventDefault();
  });

  const unwatch = watchTheme(() => { colors = readPalette(stage); plane.repaint(); loop.invalidate(); });
  loop.now();
  host.figure.__rv = {
    frames: loop.frames, decode: (z) => Float32Array.from(decode(z)),
    get state() {
      const told = ([way, { curve, converged, numbers: n }]) => [way, { curve: [...curve], converged, ...n }];
      return { ...structuredClone(state), active, sharp, paths: Object.fromEntries(Object.entries(paths).map(told)) };
    },
  };
  return () => { unwatch(); loop.stop(); voice.stop(); plane.stop(); clearTimeout(rest); };
}

export const render = (context) => renderLive(mount, context);
export default { render };
