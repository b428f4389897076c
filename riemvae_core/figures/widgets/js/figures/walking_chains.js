// Chapter 6: chains of Hamiltonian Monte Carlo on the field of a VAE's balls, and how near their visits come to the law.
import { makeChart } from "../stage/chart.js";
import { makeButton, makeSlider } from "../stage/controls.js";
import { holdKnob, makeColorBar, makeField, outline, paintBalls, paintKnob, paintWalkers } from "../stage/field.js";
import { cellMasses, logSumAround, makeHistogram, marginal, samplingNoise, totalVariation } from "../mathematics/histogram.js";
import { clampedVolume, makeChains, moveChains, releasedRules, uniformRules } from "../mathematics/hmc.js";
import { volumeOnGrid } from "../mathematics/metric.js";
import { clamp, format, formatPoint, isPair, significant } from "../mathematics/numbers.js";
import { makeRandom } from "../mathematics/random.js";
import {
  followHost, h, LIGHT, makeLoop, makeNumbers, makePlane, makeVoice, motionIsReduced, newId, readPalette, renderLive,
  watchTheme,
} from "../stage/stage.js";

const CELLS = 24, FINE = 20; // cells of the histogram on each axis, and midpoints of the quadrature in each of them
const GRID = 280; // of the picture
const STILL = 500; // milliseconds between pictures of playing chains where motion is reduced
const NAMES = { exact: "the uniform law", released: "the released sampler’s law" };
const RULES = { exact: uniformRules, released: releasedRules };

// The masses of the histogram's cells under the law that each kind of rules leaves invariant, by quadrature.
const LAWS = {
  exact: (balls, frame, n) => volumeOnGrid(balls, frame, n, new Float64Array(n * n)),
  released(balls, frame, n) { // sqrt det G with its clamp, times det(G + (N - 1) lambda I)^3
    const grid = (lam) => volumeOnGrid({ ...balls, lam, tau: 0 }, frame, n, new Float64Array(n * n));
    const forced = grid((balls.lam * balls.mu.length) / 2);
    return grid(balls.lam).map((value, k) => clampedVolume(value) + 6 * forced[k]);
  },
};
export function lawMasses(kind, balls, frame) {
  const inner = CELLS * FINE, outer = inner / 2, wide = { ...frame, half: 2 * frame.half };
  const beyond = logSumAround(LAWS[kind](balls, wide, outer)) + 2 * Math.log((2 * inner) / outer);
  return cellMasses(LAWS[kind](balls, frame, inner), CELLS, beyond);
}

export async function mount(stage, host) {
  const { model, colors: table, frame, range, limits, stops, fit, start } = host.props;
  const [arrays, { rgb }] = await Promise.all([model, table].map((name) => host.asset(name)));
  const balls = { mu: Float64Array.from(arrays.mu), logVar: Float64Array.from(arrays.log_var), ...fit };
  const edges = [0, 1].map((k) => [frame.center[k] - frame.half, frame.center[k] + frame.half]);
  const masses = {}, law = (kind) => (masses[kind] ??= lawMasses(kind, balls, frame));
  const state = structuredClone(start), histogram = makeHistogram(frame, CELLS);
  followHost(host, state, valid, change);
  let colors = readPalette(stage), chains, random, path = [], playing = false, visible = true, shown = -Infinity;

  function valid(key, value) {
    if (key === "rules") return value in RULES;
    if (key === "start") return Array.isArray(value) && (value.length === 0 || isPair(value));
    if (key === "seed") return Number.isInteger(value);
    return key in stops ? stops[key].includes(value) : Number.isFinite(value) && value > 0;
  }

  // ---- the chains: from random codes or all from one point
  function restart() {
    random = makeRandom(state.seed);
    const n = balls.mu.length / 2, where = () => {
      const code = 2 * random.below(n);
      return state.start.length ? state.start : balls.mu.subarray(code, code + 2);
    };
    chains = makeChains(RULES[state.rules](balls), Array.from({ length: state.n_chains }, () => [...where()]).flat());
    forget();
  }
  function forget() { // what was visited; the chains stay where they are
    histogram.clear();
    chains.moves = chains.acceptance = 0;
    path = [];
  }
  function move() {
    path = [[chains.z[0], chains.z[1]]];
    moveChains(chains, { step: state.step, nSteps: state.n_leapfrog, random, visit: (z) => path.push([z[0], z[1]]) });
    histogram.add(chains.z);
  }
  function change(patch, tell = true) {
    const next = { ...patch };
    if ("step" in next) next.step = clamp(next.step, ...limits.step);
    if (next.start?.length) next.start = next.start.map((v, k) => clamp(v, ...edges[k]));
    const changed = Object.keys(next).filter((key) => String(next[key]) !== String(state[key]));
    Object.assign(state, next);
    if (changed.some((key) => ["n_chains", "start", "seed"].includes(key))) restart();
    else if (changed.includes("rules")) {
      chains = makeChains(RULES[state.rules](balls), chains.z);
      forget();
    } else if (changed.length) forget();
    host.set({ ...(tell ? next : {}), ...measure() });
    refresh();
  }
  function play(on) {
    playing = on;
    shown = -Infinity;
    if (!on) report();
    refresh();
  }
  function report() { host.set({ ...measure(), z: [...chains.z] }); }
  function refresh() {
    loop.invalidate();
    voice.say(describe);
  }

  // ---- the page's part
  const hint = h("p", { class: "rv-hint", id: newId() },
    "Chains start at random codes; drag in the plane and all start from that point. Keys there: arrows move the start, Home gives " +
    "the codes back. Lines: the laws by quadrature; bars: all visits since the last change. TV: total variation distance between " +
    "24 × 24 cells; “if independent” is what as many independent draws would show. The thin line is one chain’s last path.");
  const left = h("div"), right = h("div"), sliders = h("div", { class: "rv-sliders" });
  stage.append(h("div", { class: "rv-walk" }, left, right));
  const plane = makePlane(left, {
    name: "Latent plane with walking chains", ...frame, describedby: hint.id, changed: () => loop.now(),
  });
  const field = makeField(rgb, range, frame);
  makeColorBar(left, rgb, range, "log √det G");
  const charts = [0, 1].map((k) => makeChart(right, { name: `z${"₁₂"[k]}`, ends: edges[k].map((v) => format(v, 1)) }));
  const numbers = makeNumbers(right, {
    moves: "moves", accepted: "accepted", uniform: "TV to uniform", released: "TV to released", noise: "TV if independent",
  });
  right.append(sliders);
  const step = makeSlider(sliders, {
    name: "step", min: Math.log(limits.step[0]), max: Math.log(limits.step[1]), step: 0.01,
    text: (v) => significant(Math.exp(v)), oninput: (v) => change({ step: Math.exp(v) }),
  });
  const [leaps, count] = [["leapfrogs", "n_leapfrog"], ["chains", "n_chains"]].map(([name, key]) => makeSlider(sliders, {
    name, min: 0, max: stops[key].length - 1, step: 1, text: (k) => `${stops[key][k]}`,
    oninput: (k) => change({ [key]: stops[key][k] }),
  }));
  const released = h("input", { type: "checkbox", onchange: () => change({ rules: released.checked ? "released" : "exact" }) });
  right.append(h("label", { class: "rv-check" }, released, "as released"));
  const toggle = makeButton("Play", () => play(!playing));
  const once = () => { play(false); move(); report(); refresh(); };
  const reset = () => { play(false); Object.assign(state, structuredClone(start)); restart(); host.set({ ...state, ...measure() }); refresh(); };
  stage.append(h("div", { class: "rv-actions" }, toggle, makeButton("One move", once), makeButton("Forget visits", () => { forget(); refresh(); }),
    makeButton("Reset", reset)), hint);
  const voice = makeVoice(stage), loop = makeLoop(draw);

  // ---- everything that is said about the chains
  function measure() {
    const { counts, total } = histogram, distance = (kind) => (total ? totalVariation(counts, total, law(kind)) : null);
    return {
      moves: chains.moves, acceptance: chains.acceptance, total_variation: distance("exact"),
      to_released: state.rules === "released" ? distance("released") : null,
      noise: total ? samplingNoise(law(state.rules), total) : null,
    };
  }
  function describe() {
    const { moves, acceptance, total_variation: tv } = measure();
    return `${state.n_chains} chains after ${moves} moves, ${format(100 * acceptance, 0)}% accepted; ` +
      `total variation to the uniform law ${format(tv ?? NaN, 3)}.`;
  }

  // ---- drawing
  function draw(now) {
    if (playing && visible) move();
    if (playing && motionIsReduced() && now - shown < STILL) return visible;
    shown = now;
    const seen = measure(), kinds = state.rules === "released" ? ["exact", "released"] : ["exact"];
    plane.draw(colors, paintField, paintChains);
    charts.forEach((chart, axis) => {
      const bars = marginal(histogram.counts, CELLS, axis).map((v) => v / Math.max(1, histogram.total));
      chart.draw(colors, bars, kinds.map((kind, k) => ({ values: marginal(law(kind), CELLS, axis), dash: k > 0 })));
      chart.label(`Share of visits by z${"₁₂"[axis]}, with ${kinds.map((kind) => NAMES[kind]).join(" and ")}`);
    });
    const or = (value) => format(value ?? NaN, 3);
    numbers({
      moves: `${seen.moves}`, accepted: seen.moves ? `${format(100 * seen.acceptance, 0)}%` : "–",
      uniform: or(seen.total_variation), released: or(seen.to_released), noise: or(seen.noise),
    });
    step.set(Math.log(state.step));
    leaps.set(stops.n_leapfrog.indexOf(state.n_leapfrog));
    count.set(stops.n_chains.indexOf(state.n_chains));
    released.checked = state.rules === "released";
    toggle.textContent = playing ? "Pause" : "Play";
    plane.value(state.start.length ? state.start : frame.center, state.start.length
      ? `all chains start at ${formatPoint(state.start)}` : "chains start at random codes");
    if (playing) host.set(seen);
    return playing && visible;
  }
  function paintField(c) {
    field.paint(c, plane);
    paintBalls(c, plane, balls);
  }
  function paintChains(c) {
    paintWalkers(c, plane, chains.z);
    if (path.length) {
      c.beginPath();
      path.forEach((z) => c.lineTo(...plane.toPixels(z)));
      outline(c, LIGHT.ink, 1.2);
    }
    if (state.start.length) paintKnob(c, plane.toPixels(state.start));
  }

  // ---- pointer and keys
  holdKnob(plane, frame.center, () => state.start, (start) => change({ start }));

  field.set(volumeOnGrid(balls, frame, GRID), GRID);
  restart();
  const unwatch = watchTheme(() => { colors = readPalette(stage); plane.repaint(); loop.invalidate(); });
  const watcher = new IntersectionObserver(([entry]) => { visible = entry.isIntersecting; loop.invalidate(); });
  watcher.observe(stage);
  loop.now();
  host.figure.__rv = {
    frames: loop.frames, masses: (kind) => [...law(kind)],
    get state() { return { ...state, ...measure(), playing, counts: [...histogram.counts], z: [...chains.z], path }; },
  };
  return () => { unwatch(); watcher.disconnect(); playing = false; loop.stop(); voice.stop(); plane.stop(); };
}

export const render = (context) => renderLive(mount, context);
export default { render };
