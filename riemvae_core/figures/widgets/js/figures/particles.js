// Chapter 7: the particles of sequential Monte Carlo, frame by frame from a mixture of balls to the law, and a world where
// they fail all together.
import { makeChart } from "../stage/chart.js";
import { makeButton, makeMenu, makeSlider } from "../stage/controls.js";
import { holdKnob, makeColorBar, makeField, outline, paintBalls, paintKnob, traceDots } from "../stage/field.js";
import { makeJobs } from "../stage/jobs.js";
import { cellMasses, marginal } from "../mathematics/histogram.js";
import { clamp, format, formatPoint, isPair, nearestPoint } from "../mathematics/numbers.js";
import { makeStart, makeVolume, temper, volumeOf } from "../mathematics/particles.js";
import { makeTempered, sharesOfCells } from "../mathematics/tempered.js";
import { makeTorchRandom } from "../mathematics/torch_random.js";
import {
  followHost, h, LIGHT, makeLoop, makeNumbers, makePlane, makeVoice, motionIsReduced, newId, readPalette,
  renderLive, watchTheme,
} from "../stage/stage.js";

const GRID = 320, CELLS = 40; // midpoints of the exact laws on each axis, and cells of the charts
const PACE = 300, REDUCED = 700; // milliseconds a frame stands while playing
const WORLDS = { balls: "balls of a VAE", ring: "a ring, copies apart" };
const STARTS = { alone: "each ball alone", crowded: "as heavy as its crowd", between: "and places between" };
const FRESH = ["world", "axes", "start", "sweeps", "seed"]; // what another way begins with

export async function mount(stage, host) {
  const { colors: table, frame, range, stops, islands, per, worlds, start } = host.props;
  const { rgb } = await host.asset(table), state = structuredClone(start), m = islands * per;
  let colors = readPalette(stage), frames = [], roots = [], laws, goal, mixture, seen = {}, playing = false, visible = true, turned = 0;
  followHost(host, state, valid, change);

  function valid(key, value) {
    if (key === "world") return value in WORLDS;
    if (key === "start") return value in STARTS;
    if (key === "probe") return Array.isArray(value) && (value.length === 0 || isPair(value));
    return key in stops ? stops[key].includes(value) : Number.isInteger(value) && value >= 0;
  }

  // ---- the way, computed ahead a slice at a time
  const failed = (error) => { verdict.textContent = error.message; };
  const jobs = makeJobs(["way"], failed);
  function restart() {
    const { mu, logVar, rho, places, scales } = worlds[state.world], balls = { mu, logVar, rho }, { axes } = state;
    mixture = makeStart(state.start, balls, axes, places[axes]);
    laws = makeTempered(balls, mixture, axes, frame, GRID);
    goal = lawAt(1);
    frames = [];
    roots = [];
    seen = {};
    const way = temper({
      volume: makeVolume(balls, axes), start: mixture, scale: scales[axes], islands, per, sweeps: state.sweeps,
      random: makeTorchRandom(state.seed),
    });
    jobs.set("way", (function* () {
      for (const one of way) {
        const before = roots.at(-1) ?? Int32Array.from({ length: m }, (_, i) => i);
        roots.push(one.from ? one.from.map((i) => before[i]) : before);
        frames.push(one);
        loop.invalidate();
        yield;
      }
      report();
    })());
    plane.repaint();
  }
  function lawAt(temperature) {
    const { values, beyond, exact } = laws.at(temperature), masses = cellMasses(values, CELLS, beyond);
    return { temperature, values, exact, lines: [0, 1].map((axis) => marginal(masses, CELLS, axis)) };
  }
  const last = () => Math.max(0, frames.length - 1), shown = () => Math.min(state.frame, last());
  function exactAt(temperature) { // the law of the moment: its log density, the log of its integral, its marginals
    if (seen.temperature !== temperature) {
      seen = lawAt(temperature);
      const top = seen.values.reduce((a, b) => Math.max(a, b), -Infinity);
      field.set(seen.values.map((v) => v - top), GRID);
      plane.repaint();
    }
    return seen;
  }
  function change(patch, tell = true) {
    const next = { ...patch };
    if ("probe" in next) next.probe = next.probe.map((v, k) => clamp(v, frame.center[k] - frame.half, frame.center[k] + frame.half));
    const fresh = FRESH.some((key) => key in next && next[key] !== state[key]);
    if (fresh && !("frame" in next)) next.frame = 0;
    Object.assign(state, next);
    if (fresh) restart();
    if (tell) host.set(next);
    if (!playing) report();
    loop.invalidate();
    voice.say(describe);
  }
  function report() {
    if (frames.length) host.set({ ...measure(), z: [...frames[shown()].z] });
  }
  function play(on) {
    playing = on;
    turned = performance.now();
    if (on && state.frame >= last() && !jobs.busy) change({ frame: 0 });
    if (!on) report();
    loop.invalidate();
  }

  // ---- the page's part
  const hint = h("p", { class: "rv-hint", id: newId() },
    "A particle’s area is its weight; colors: the law of the moment. Drag in the plane to follow the nearest particle: its " +
    "ancestors’ way as a line, its kin in orange. " +
    "Keys there: arrows move the point, Home lets go; the frame is a slider. On the axes that are not seen all balls have center 0 " +
    "and radius 1: every law there is the same Gaussian, left out here. Charts: particles as bars, the law as a line, that of the " +
    "moment dashed.");
  const left = h("div"), right = h("div");
  stage.append(h("div", { class: "rv-walk" }, left, right));
  const plane = makePlane(left, { name: "Latent plane with particles", ...frame, describedby: hint.id, changed: () => loop.now() });
  const field = makeField(rgb, range, frame);
  makeColorBar(left, rgb, range, "log density");
  const charts = [0, 1].map((k) => makeChart(right, {
    name: `z${"₁₂"[k]}`, ends: [-1, 1].map((sign) => format(frame.center[k] + sign * frame.half, 1)),
  }));
  const numbers = makeNumbers(right, {
    what: "particles", temperature: "temperature", effective: "effective", roots: "first ancestors", accepted: "moves accepted",
    found: "log volume so far", exact: "exact",
  });
  const verdict = h("p", { class: "rv-hint rv-reason" });
  right.append(verdict);
  const sliders = [left, right].map((parent) => {
    const box = h("div", { class: "rv-sliders" });
    parent.append(box);
    return box;
  });
  const time = makeSlider(sliders[0], {
    name: "frame", min: 0, max: 1, step: 1, text: (k) => `${k}/${last()}`, oninput: (k) => { play(false); change({ frame: k }); },
  });
  const [axes, sweeps] = ["axes", "sweeps"].map((key) => makeSlider(sliders[0], {
    name: { axes: "axes", sweeps: "moves" }[key], min: 0, max: stops[key].length - 1, step: 1, text: (k) => `${stops[key][k]}`,
    oninput: (k) => change({ [key]: stops[key][k] }),
  }));
  const menus = Object.entries({ world: ["world", WORLDS], start: ["start", STARTS] }).map(([key, [name, words]]) => {
    const menu = makeMenu(sliders[1], name, (k) => change({ [key]: Object.keys(words)[k] }));
    menu.append(...Object.values(words).map((text, k) => h("option", { value: k }, text)));
    return () => { menu.value = Object.keys(words).indexOf(state[key]); };
  });
  const toggle = makeButton("Play", () => play(!playing));
  const step = makeButton("Step", () => { play(false); change({ frame: Math.min(shown() + 1, last()) }); });
  const seed = makeButton("Other seed", () => change({ seed: state.seed + 1 }));
  const reset = makeButton("Reset", () => { play(false); change(structuredClone(start)); });
  stage.append(h("div", { class: "rv-actions" }, toggle, step, seed, reset), hint);
  const voice = makeVoice(stage), loop = makeLoop(draw);

  // ---- everything that is said about the particles
  function measure() {
    const { temperature, logZ } = frames[shown()];
    return { temperature, ...volumeOf(Float64Array.from(logZ), mixture.logTotal), exact: exactAt(temperature).exact };
  }
  const count = (v) => Math.round(v).toLocaleString("en-US");
  const doing = ({ kind, sweep }) => (kind === "moved" ? `moved, ${sweep} of ${state.sweeps}` : kind === "start" ? "at the start" : kind);
  function judge({ report: said }) {
    if (!said) return "What the particles are worth is said at temperature 1.";
    const gap = said.log_volume - goal.exact, sure = Math.abs(gap) <= Math.max(4 * said.error, 0.05);
    return `Worth ${count(said.ess)}, r-hat ${format(said.r_hat, 3)}, error ${format(said.error)}: ` +
      `${said.converged ? "every check of the core passes." : "the core rejects them."} The exact volume ` +
      (sure ? "agrees." : `is ${format(Math.abs(gap))} nats ${gap < 0 ? "larger" : "smaller"}` +
        (gap < 0 ? `: they stand for ${format(100 * Math.exp(gap), 0)}% of the law.` : "."));
  }
  function describe() {
    if (!frames.length) return "";
    const now = frames[shown()], { temperature, log_volume: found, exact } = measure();
    return `Frame ${shown()}: particles ${doing(now)}, temperature ${format(temperature)}, log volume ${format(found)}, exact ` +
      `${format(exact)}. ${now.report ? judge(now) : ""}`;
  }
  function family() { // of the particle nearest to the probe: itself, its way here, and whom it shares its first ancestor with
    const at = shown();
    let { index: i } = nearestPoint(frames[at].z, state.probe, () => 1);
    const root = roots[at][i], kin = roots[at].map((r) => (r === root ? 1 : 0)), path = [];
    for (let f = at; f >= 0; f--) {
      path.push(frames[f].z.slice(2 * i, 2 * i + 2));
      if (frames[f].from) i = frames[f].from[i];
    }
    return { kin, path };
  }

  // ---- drawing
  function draw(now) {
    if (!frames.length) return false;
    if (playing && visible && now - turned >= (motionIsReduced() ? REDUCED : PACE) && state.frame < last()) {
      turned = now;
      state.frame = shown() + 1;
      host.set({ frame: state.frame });
      voice.say(describe);
    }
    if (playing && !jobs.busy && state.frame >= last()) play(false);
    const one = frames[shown()], { temperature, log_volume: found, error, exact } = measure(), { lines } = seen;
    plane.draw(colors, paintField, (c) => paintParticles(c, one));
    charts.forEach((chart, k) => {
      const bars = sharesOfCells(one.z, one.weights, frame, CELLS, k), top = 1.15 * Math.max(...bars, ...lines[k], ...goal.lines[k]);
      chart.draw(colors, bars, [{ values: goal.lines[k] }, { values: lines[k], dash: true }], { top });
      chart.label(`Particles along z${"₁₂"[k]} as bars, the law as a line, the law at temperature ${format(temperature)} dashed`);
    });
    numbers({
      what: doing(one), temperature: format(temperature, 3), effective: `${count(one.effective)} of ${count(m)}`,
      roots: count(new Set(roots[shown()]).size), accepted: one.kind === "moved" ? `${format(100 * one.accepted, 0)}%` : "–",
      found: `${format(found)} ± ${format(error)}`, exact: format(exact),
    });
    const words = judge(one);
    if (verdict.textContent !== words) verdict.textContent = words;
    time.input.max = Math.max(1, last());
    time.set(shown());
    axes.set(stops.axes.indexOf(state.axes));
    sweeps.set(stops.sweeps.indexOf(state.sweeps));
    menus.forEach((show) => show());
    toggle.textContent = playing ? "Pause" : "Play";
    plane.value(state.probe.length ? state.probe : frame.center, state.probe.length
      ? `follows the particle nearest to ${formatPoint(state.probe)}` : `particles ${doing(one)}, temperature ${format(temperature)}`);
    return playing && visible;
  }
  function paintField(c) {
    const { mu, logVar } = worlds[state.world];
    field.paint(c, plane);
    paintBalls(c, plane, { mu: Float64Array.from(mu), logVar: Float64Array.from(logVar) });
  }
  function paintParticles(c, { kind, z, weights, from }) {
    const before = frames[shown() - 1], { kin, path } = state.probe.length ? family() : {}, area = weights ?? new Float64Array(m).fill(1);
    if (kind === "resampled") { // one disk for all copies of a particle; crosses where none came of one
      const children = new Float64Array(m);
      from.forEach((i) => children[i]++);
      const done = new Uint8Array(m);
      from.forEach((parent, i) => { area[i] = done[parent] ? 0 : children[parent]; done[parent] = 1; });
      c.beginPath();
      for (let i = 0; i < m; i++) {
        if (children[i]) continue;
        const [x, y] = plane.toPixels(before.z.subarray(2 * i, 2 * i + 2));
        c.moveTo(x - 2, y - 2); c.lineTo(x + 2, y + 2);
        c.moveTo(x - 2, y + 2); c.lineTo(x + 2, y - 2);
      }
      c.strokeStyle = LIGHT.grid;
      c.lineWidth = 0.8;
      c.stroke();
    }
    const disks = (fill, mine) => { // all rims below all disks, so that a crowd stays bright
      for (const [style, rim] of [[LIGHT.ink, 0.7], [fill, 0]]) {
        traceDots(c, plane, z, (i) => (mine(i) && area[i] > 0 ? Math.max(0.4, 1.3 * Math.sqrt(area[i])) + rim : 0));
        c.fillStyle = style;
        c.fill();
      }
    };
    disks(LIGHT.ground, (i) => !kin?.[i]);
    if (!kin) return;
    disks(LIGHT.posterior, (i) => kin[i]);
    c.beginPath();
    path.forEach((at) => c.lineTo(...plane.toPixels(at)));
    outline(c, LIGHT.ink, 1.4);
    paintKnob(c, plane.toPixels(path[0]));
  }

  // ---- pointer and keys
  holdKnob(plane, frame.center, () => state.probe, (probe) => change({ probe }));

  restart();
  const unwatch = watchTheme(() => { colors = readPalette(stage); plane.repaint(); loop.invalidate(); });
  const watcher = new IntersectionObserver(([entry]) => { visible = entry.isIntersecting; loop.invalidate(); });
  watcher.observe(stage);
  loop.now();
  host.figure.__rv = {
    frames: loop.frames, get idle() { return jobs.idle; },
    get state() { return { ...state, ...measure(), frame: shown(), last: last(), playing, report: frames[last()].report, z: [...frames[shown()].z] }; },
  };
  return () => { unwatch(); watcher.disconnect(); jobs.stop(); playing = false; loop.stop(); voice.stop(); plane.stop(); };
}

export const render = (context) => renderLive(mount, context);
export default { render };
