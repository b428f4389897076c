// Chapter 0: a Gaussian q to drag over the landscape of its bound, beside the exact posterior of a small world.
import { landscape, makeWorld } from "../mathematics/bound.js";
import { clamp, format } from "../mathematics/numbers.js";
import { makeChart } from "../stage/chart.js";
import { makeButton, makeMenu } from "../stage/controls.js";
import { makeColorBar, makeField, paintKnob } from "../stage/field.js";
import {
  ARROWS, followHost, h, makeLoop, makePlane, makeVoice, newId, onDrag, readPalette, renderLive, watchTheme,
} from "../stage/stage.js";
import { fillRow, makeTable } from "../stage/table.js";

const GRID = 140, CELLS = 96, REACH = 3; // of the landscape, and of the chart from -REACH to REACH
const PARTS = {
  reconstruction: "error", kl: "KL(q ‖ p)", surprisal: "−log p(x)", gap: "gap, KL(q ‖ p(z|x))",
};

export async function mount(stage, host) {
  const { curve, observed, colors: table, frame, range, best, start } = host.props;
  const { rgb } = await host.asset(table), world = makeWorld(curve), state = { ...start };
  followHost(host, state, valid, change);
  let colors = readPalette(stage), stale = true, surprisal = 0, posterior = [];

  function valid(key, value) {
    return key === "x" ? observed.includes(value) : Number.isFinite(value);
  }
  function change(patch, tell = true) {
    const next = { ...patch }, [low, high] = [-1, 1].map((sign) => 2 * (frame.center[1] + sign * frame.half));
    if ("mu" in next) next.mu = clamp(next.mu, frame.center[0] - frame.half, frame.center[0] + frame.half);
    if ("log_var" in next) next.log_var = clamp(next.log_var, low, high);
    stale ||= "x" in next && next.x !== state.x;
    Object.assign(state, next);
    if (tell) host.set(next);
    loop.invalidate();
    voice.say(describe);
  }

  // ---- the page's part
  const hint = h("p", { class: "rv-hint", id: newId() },
    "Drag in the plane: to the side is q’s mean μ, up and down the logarithm of its width σ. Keys there: arrows move (Shift: " +
    "five times as far), Home goes to the start. Error is the mean of π(x − g(z))² over q.");
  const left = h("div", { class: "rv-left" }), right = h("div", { class: "rv-right rv-bound" });
  stage.append(h("div", { class: "rv-packing" }, left, right));
  const plane = makePlane(left, {
    name: "Mean and log width of q, with the bound as a field", ...frame, describedby: hint.id, changed: () => loop.now(),
    labels: ["μ", "ln σ"],
  });
  const field = makeField(rgb, range, frame);
  makeColorBar(left, rgb, range, "bound − log p(x)");
  const menu = makeMenu(right, "picture x", (k) => change({ x: observed[k] }));
  menu.append(...observed.map((x, k) => h("option", { value: k }, format(x, 1))));
  const chart = makeChart(right, { name: "z", ends: [format(-REACH, 0), format(REACH, 0)] });
  const bars = [["reconstruction", "kl"], ["surprisal", "gap"]].map((parts) => {
    const pieces = parts.map((part) => [part, h("i", { class: `rv-${part}` })]);
    right.append(h("div", { class: "rv-bar", "aria-hidden": "true" }, ...pieces.map(([, piece]) => piece)));
    return pieces;
  });
  const cells = makeTable(right, {
    caption: "One price, split in two ways, in nats", heads: ["nats"], kind: "rv-split",
    rows: { ...Object.fromEntries(Object.entries(PARTS).map(([part, words]) =>
      [part, [h("i", { class: `rv-key rv-${part}` }), words]])), price: ["price, −bound"] },
  });
  const fit = makeButton("Best q", () => change(best[observed.indexOf(state.x)]));
  const reset = makeButton("Reset", () => change({ ...start }));
  stage.append(h("div", { class: "rv-actions" }, hint, fit, reset));
  const voice = makeVoice(stage), loop = makeLoop(draw);

  function parts() {
    const found = world.price(state.x, state.mu, state.log_var);
    return { ...found, surprisal, gap: found.price - surprisal };
  }
  function describe() {
    const { price, gap } = parts();
    return `x is ${format(state.x, 1)}; q has mean ${format(state.mu)} and width ${format(Math.exp(0.5 * state.log_var))}. ` +
      `Price ${format(price)} nats, ${format(gap)} above −log p(x).`;
  }

  // ---- drawing
  const middle = (k) => REACH * ((2 * k + 1) / CELLS - 1);
  const overCells = (density) => Float64Array.from({ length: CELLS }, (_, k) => density(middle(k)));
  const normal = (z, mu, v) => Math.exp((-0.5 * (z - mu) ** 2) / v) / Math.sqrt(2 * Math.PI * v);
  const prior = overCells((z) => normal(z, 0, 1));
  function draw() {
    if (stale) {
      surprisal = world.surprisal(state.x);
      posterior = overCells((z) => Math.exp(world.joint(state.x, z) + surprisal));
      field.set(landscape(world, state.x, frame, GRID), GRID);
      plane.repaint();
      stale = false;
    }
    const now = parts(), at = [state.mu, 0.5 * state.log_var];
    plane.draw(colors, (c) => field.paint(c, plane), (c) => paintKnob(c, plane.toPixels(at)));
    const q = overCells((z) => normal(z, state.mu, Math.exp(state.log_var)));
    chart.draw(colors, posterior, [{ values: q }, { values: prior, dash: true }], { top: 1.8 * Math.max(...posterior, 0.4) });
    chart.label(`True posterior at x = ${format(state.x, 1)} as bars; q as a line; the prior N(0, 1) as a broken line`);
    const full = 4 * 2 ** Math.max(0, Math.ceil(Math.log2(now.price / 4)));
    for (const pieces of bars)
      for (const [part, piece] of pieces) piece.style.width = `${(100 * Math.max(0, now[part])) / full}%`;
    for (const part of Object.keys(cells)) fillRow(cells[part], [format(now[part])]);
    menu.value = observed.indexOf(state.x);
    plane.value(at, `mean ${format(state.mu)}, width ${format(Math.exp(at[1]))}, gap ${format(now.gap)} nats`);
  }

  // ---- pointer and keys
  const to = ([mu, logSigma]) => change({ mu, log_var: 2 * logSigma });
  onDrag(plane, { start: (at) => to(plane.toPlane(...at)), move: (at) => to(plane.toPlane(...at)), end() {}, hover() {} });
  plane.canvas.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 0.25 : 0.05, arrow = ARROWS[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (arrow) to([state.mu + step * arrow[0], 0.5 * state.log_var + step * arrow[1]]);
    else if (event.key === "Home") change({ ...start });
    else return;
    event.preventDefault();
  });

  const unwatch = watchTheme(() => { colors = readPalette(stage); plane.repaint(); loop.invalidate(); });
  loop.now();
  host.figure.__rv = { frames: loop.frames, get state() { return { ...state, parts: parts() }; } };
  return () => { unwatch(); loop.stop(); voice.stop(); plane.stop(); };
}

export const render = (context) => renderLive(mount, context);
export default { render };
