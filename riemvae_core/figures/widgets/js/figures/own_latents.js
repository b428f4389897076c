// Chapter 11: a reader's own latents: the field that their balls draw, draws from its uniform law, and a report on their health.
import { makeButton, makeMenu, makeSlider } from "../stage/controls.js";
import { makeColorBar, makeField, outline, paintBalls, paintKnob, paintWalkers, traceDots } from "../stage/field.js";
import { axisFacts, healthSteps, latentHealth } from "../mathematics/health.js";
import { sampleByImportance, verdict } from "../mathematics/importance.js";
import { makeJobs } from "../stage/jobs.js";
import { fitMetric, gridWithin, makeMetric, pickBalls } from "../mathematics/metric.js";
import { backgroundShare, mixtureOfMetric } from "../mathematics/mixture.js";
import { latentsOf } from "../mathematics/npz.js";
import { clamp, format, formatPoint, isPair, significant } from "../mathematics/numbers.js";
import { drawsAsText, makeAxes, makeHealth, saveText } from "./own_report.js";
import { doubts, forKernel, fromKernel, makeSource, textOf } from "./own_source.js";
import { colorRange, frameOf, makeSlice, projected, volumeOnSlice } from "../mathematics/slice.js";
import {
  ARROWS, ellipse, faint, h, LIGHT, makeLoop, makeNumbers, makePlane, makeVoice, newId, onDrag, readPalette, renderLive,
  watchTheme,
} from "../stage/stage.js";
import { makeTorchRandom } from "../mathematics/torch_random.js";

const GRIDS = [280, 140, 70, 35]; // midpoints along an axis
const FIRST = 1e7, FINAL = 3e8; // products that a field may cost: at once, and when there is time

const whole = (n) => Math.floor(n).toLocaleString("en-US");

// The two axes whose mean KL is largest, in order.
function widestAxes(facts) {
  const order = [...facts.keys()].sort((a, b) => facts[b].kl - facts[a].kl || a - b).slice(0, 2).sort((a, b) => a - b);
  return facts.length > 1 ? order : [0, -1];
}

export async function mount(stage, host) {
  const { example, colors: table, limit, most, stops, start, latents: given } = host.props;
  const [{ rgb }, arrays] = await Promise.all([host.asset(table), host.asset(example.asset)]);
  const values = (name) => ({ values: Float64Array.from(arrays[name]), shape: example.shape, dtype: "f4" });
  const shipped = { name: example.name, ...latentsOf(values("mu"), values("log_var"), limit) };
  const state = { ...start, axes: [0, 1], ball: 0, z: [0, 0] };
  let colors = readPalette(stage), latents, keep, balls, metric, facts, frame, plane, field, slice, grid = 0, range = [0, 2];
  let draws = null, report = null, flat, walkers, view = { mu: [], logVar: [] };

  // ---- the page's part
  const source = makeSource(stage, { limit, shown: (found) => { load(found); }, example: () => load(shipped) });
  const hint = h("p", { class: "rv-hint", id: newId() });
  const left = h("div"), right = h("div"), planeRoom = h("div"), barRoom = h("div"), below = h("div", { class: "rv-below" });
  stage.append(h("div", { class: "rv-walk rv-own" }, left, right), below);
  left.append(planeRoom, barRoom);
  const numbers = makeNumbers(right, {
    balls: "balls × axes", used: "in metric", rho: "reach ρ", lam: "λ, τ", slice: "slice at", z: "z in view", volume: "log √det G",
    near: "nearest", draws: "draws", worth: "worth", integral: "log volume", empty: "background", converged: "converged",
  });
  const reason = h("p", { class: "rv-note rv-reason" });
  right.append(reason);
  const controls = h("div"), sliders = h("div", { class: "rv-sliders" });
  controls.append(sliders);
  below.append(controls);
  const menus = ["across", "up"].map((words, k) => {
    const turn = (to) => change({ axes: state.axes.map((axis, j) => (j === k ? to : axis)) });
    return makeMenu(sliders, words, turn);
  });
  const count = makeSlider(sliders, {
    name: "draws", min: 0, max: stops.length - 1, step: 1, text: (k) => `${stops[k]}`, oninput: (k) => change({ n_draws: stops[k] }),
  });
  const save = (kind, type) => makeButton(`Save draws as .${kind}`, () =>
    saveText(`uniform-draws.${kind}`, type, drawsAsText(kind, { latents, balls, keep, draws, seed: state.seed })));
  const saves = [save("json", "application/json"), save("csv", "text/csv")];
  controls.append(h("div", { class: "rv-actions" }, makeButton("Nearest ball", nearest), makeButton("New draws", () => change({ seed: state.seed + 1 })),
    ...saves, makeButton("Reset", () => change({ ...start, ...home() }))));
  const showAxes = makeAxes(below);
  stage.append(hint);
  const health = makeHealth(stage);
  const voice = makeVoice(stage), loop = makeLoop(draw);
  const jobs = makeJobs(["field", "draws", "health"], (error) => source.say(`Not all of ${latents.name} could be computed.`, `${error.message}.`));

  // ---- latents come in
  const rowOf = (i, values = latents.mu) => values.subarray(i * latents.d, (i + 1) * latents.d);
  const home = () => ({ axes: widestAxes(facts), ball: 0 });
  function load(found, tell = true) {
    latents = found;
    const { n, d, name } = latents;
    keep = n > most ? [...makeTorchRandom(0).permutation(n).slice(0, most)].sort((a, b) => a - b) : null;
    balls = keep ? pickBalls(latents, keep, d) : { mu: latents.mu, logVar: latents.logVar };
    balls = { ...balls, ...fitMetric(balls, d) };
    metric = makeMetric(balls, d);
    facts = Array.from({ length: d }, (_, axis) => axisFacts(latents, axis));
    report = null;
    source.say("Shown:", [`${name}, ${whole(n)} balls in ${d} dimension${d === 1 ? "" : "s"}.`, doubts(latents)].join(" "));
    hint.textContent = [
      "Drag in the plane. Keys there: arrows move (Shift: five times as far), Enter goes to the nearest center, Home to the slice’s own.",
      d > 2 ? `The plane is a slice through one ball’s center; along the other ${d - 2} axes it stays there. Dots: all centers, in ` +
        "front of the slice or behind it; white dots: the draws, likewise. “Nearest ball” cuts through the center nearest in view." :
        d === 1 ? "One axis is all there is: up and down mean nothing." : "Outlines: the balls; white dots: the draws.",
    ].join(" ");
    menus.forEach((menu, k) => {
      menu.replaceChildren(...facts.map(({ kl, dead }, axis) =>
        h("option", { value: axis }, `axis ${axis}: ${format(kl)} nats${dead ? ", dead" : ""}`)));
      if (d === 1 && k === 1) menu.replaceChildren(h("option", { value: -1 }, "none"));
      menu.disabled = d === 1;
    });
    if (tell) host.set({ _latents: forKernel(latents) });
    change(home(), tell, true);
    jobs.set("health", examine());
  }
  function change(patch, tell = true, anew = false) {
    const before = { ...state };
    Object.assign(state, patch);
    const turned = anew || String(state.axes) !== String(before.axes), moved = turned || state.ball !== before.ball;
    if (moved && !("z" in patch)) state.z = [...projected(rowOf(state.ball), latents.d, state.axes)];
    if (turned) look();
    if (moved) cut();
    if (anew || state.seed !== before.seed || state.n_draws !== before.n_draws) throwDice();
    state.z = state.z.map((v, k) => clamp(v, frame.center[k] - frame.half, frame.center[k] + frame.half));
    if (tell) host.set(structuredClone(state));
    loop.invalidate();
    voice.say(describe);
  }
  function valid(key, value) {
    if (key === "z") return isPair(value);
    if (key === "axes")
      return isPair(value) && value[0] !== value[1] && value.every((v) => Number.isInteger(v) && v >= 0 && v < latents.d);
    if (key === "ball") return Number.isInteger(value) && value >= 0 && value < latents.n;
    return key === "n_draws" ? stops.includes(value) : Number.isInteger(value) && value >= 0;
  }
  const follow = (keys) => {
    const patch = Object.fromEntries(keys.map((key) => [key, host.get(key)]).filter(([key, value]) =>
      valid(key, value) && String(value) !== String(state[key])));
    if (Object.keys(patch).length) change(patch, false);
  };
  for (const key of Object.keys(state)) host.on(key, () => follow([key]));
  host.on("_latents", () => {
    const sent = host.get("_latents");
    if (sent?.mu) load(fromKernel(sent, limit), false);
  });

  // ---- what takes time
  function look() { // at two axes: a plane of their own
    frame = frameOf(balls, latents.d, state.axes);
    flat = { mu: projected(balls.mu, latents.d, state.axes), logVar: projected(balls.logVar, latents.d, state.axes) };
    walkers = draws && projected(draws.z, latents.d, state.axes);
    plane?.stop();
    planeRoom.replaceChildren();
    plane = makePlane(planeRoom, {
      name: "Latent plane with the metric’s log volume", ...frame, describedby: hint.id, changed: () => loop.now(),
      labels: state.axes.map((axis) => (axis < 0 ? "" : `z[${axis}]`)),
    });
    listen();
    showAxes(facts, state.axes);
  }
  function cut() {
    slice = makeSlice(balls, latents.d, { point: rowOf(state.ball), axes: state.axes, frame });
    const [mu, logVar] = [latents.mu, latents.logVar].map((values) => projected(rowOf(state.ball, values), latents.d, state.axes));
    view = { mu, logVar };
    field = null;
    grid = 0;
    jobs.set("field", paintSlice());
  }
  function* paintSlice() {
    for (const cost of [FIRST, FINAL]) {
      const n = gridWithin(slice, frame, GRIDS, cost / latents.d);
      if (n === grid) return;
      const seen = yield* volumeOnSlice(slice, n);
      if (!field) {
        range = colorRange(seen);
        field = makeField(rgb, range, frame);
        barRoom.replaceChildren();
        makeColorBar(barRoom, rgb, range, "log √det G");
      }
      field.set(seen, grid = n);
      plane.repaint();
      loop.invalidate();
    }
  }
  function throwDice() {
    draws = walkers = null;
    jobs.set("draws", (function* () {
      draws = yield* sampleByImportance(balls, metric, state.n_draws, makeTorchRandom(state.seed), latents.dtype);
      walkers = projected(draws.z, latents.d, state.axes);
      const { z, n, d, log_volume, ess, acceptance, background_share, converged, log_volume_error } = draws;
      host.set({ _draws: { z: textOf(z), shape: [n, d], log_volume, ess, acceptance, background_share, converged, log_volume_error } });
      loop.invalidate();
      voice.say(describe);
    })());
  }
  function* examine() {
    const share = backgroundShare(mixtureOfMetric(balls, latents.d)), of = { n: metric.n, share, balls, rows: keep };
    const job = latentHealth(latents, facts, of), steps = healthSteps(latents, of);
    let step = job.next();
    for (let done = 0; !step.done; done++, step = job.next()) {
      if (done % 64 === 0) health.wait(done / steps);
      yield;
    }
    health.show((report = step.value));
  }

  // ---- everything that is said
  function measure() {
    const z = [...rowOf(state.ball)];
    state.axes.forEach((axis, k) => { if (axis >= 0) z[axis] = state.z[k]; });
    const { index, distance } = metric.nearestBall(z);
    return { log_volume: metric.logVolume(z), near: { index: keep ? keep[index] : index, distance } };
  }
  function describe() {
    const { log_volume: volume, near } = measure(), done = draws && `${draws.n} draws, ${draws.converged ? "" : "not "}converged.`;
    return `z is ${formatPoint(state.z)} on axes ${state.axes.filter((axis) => axis >= 0).join(" and ")}, in a slice through ` +
      `ball ${state.ball}: log volume ${format(volume)}, nearest ball ${near.index}, ${format(near.distance)} of its sigmas away. ${done ?? ""}`;
  }
  function draw() {
    const now = measure(), { n, d } = latents, { rho, lam, tau } = balls;
    plane.draw(colors, paintBack, paintFront);
    numbers({
      balls: `${whole(n)} × ${whole(d)}`, used: keep ? `${whole(keep.length)} at random` : "all",
      rho: `${significant(rho)} σ`, lam: [lam, tau].map(significant).join(", "), slice: d > 2 ? `ball ${state.ball}` : "all in view",
      z: formatPoint(state.z), volume: format(now.log_volume, 3), near: `ball ${now.near.index}, at ${format(now.near.distance)} σ`,
      draws: `${state.n_draws}, seed ${state.seed}`, worth: draws ? `${whole(draws.ess)} of ${whole(draws.proposals)}` : "…",
      integral: draws ? `${format(draws.log_volume)} ± ${format(draws.log_volume_error)}` : "…",
      empty: draws ? `${format(100 * draws.background_share)}%` : "…",
      converged: draws ? (draws.converged ? "yes" : "no: see below") : "…",
    });
    const why = draws ? verdict(draws) : "";
    if (reason.textContent !== why) reason.textContent = why;
    menus.forEach((menu, k) => {
      for (const option of menu.options) option.disabled = Number(option.value) === state.axes[1 - k];
      menu.value = state.axes[k];
    });
    count.set(stops.indexOf(state.n_draws));
    saves.forEach((one) => { one.disabled = !draws; });
    plane.value(state.z, `z ${formatPoint(state.z)}, log volume ${format(now.log_volume)}`);
  }
  function paintBack(c) {
    field?.paint(c, plane);
    if (latents.d === 2) paintBalls(c, plane, flat);
    else paintCenters(c);
  }
  function paintCenters(c) {
    traceDots(c, plane, flat.mu, 1.6);
    c.fillStyle = faint(LIGHT.posterior, 0.8);
    c.fill();
  }
  function paintFront(c) {
    if (walkers) paintWalkers(c, plane, walkers);
    if (latents.d > 1) {
      ellipse(c, plane, view.mu, view.logVar);
      outline(c, LIGHT.posterior, 2);
    }
    paintKnob(c, plane.toPixels(state.z));
  }

  // ---- pointer and keys
  function nearest() { // the center that is nearest in view; the slice goes through it
    let best = Infinity, index = 0;
    for (let i = 0; i < metric.n; i++) {
      const gap = (flat.mu[2 * i] - state.z[0]) ** 2 + (flat.mu[2 * i + 1] - state.z[1]) ** 2;
      if (gap < best) [best, index] = [gap, i];
    }
    const ball = keep ? keep[index] : index;
    change({ ball, z: [...projected(rowOf(ball), latents.d, state.axes)] });
  }
  function listen() {
    const { canvas } = plane, go = (at) => change({ z: plane.toPlane(...at) });
    onDrag(plane, { start: go, move: go, end() {}, hover() {} });
    canvas.addEventListener("keydown", (event) => {
      const step = (event.shiftKey ? 0.05 : 0.01) * frame.half, arrow = ARROWS[event.key];
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (arrow) change({ z: state.z.map((v, k) => v + step * arrow[k]) });
      else if (event.key === "Enter") nearest();
      else if (event.key === "Home") change({ z: [...view.mu] });
      else return;
      event.preventDefault();
    });
  }

  const sent = host.get("_latents"), first = sent?.mu ? sent : given;
  const asked = Object.keys(state).filter((key) => host.get(key) !== undefined);
  load(first ? fromKernel(first, limit) : shipped, false);
  follow(asked);
  const unwatch = watchTheme(() => { colors = readPalette(stage); plane.repaint(); loop.invalidate(); });
  await jobs.idle;
  loop.now();
  host.figure.__rv = {
    frames: loop.frames,
    field: (n) => { const job = volumeOnSlice(slice, n); let step = job.next(); while (!step.done) step = job.next(); return [...step.value]; },
    get state() {
      return { ...state, ...measure(), ...frame, n: latents.n, d: latents.d, keep, rho: balls.rho, lam: balls.lam, tau: balls.tau, grid, range,
        report, draws: draws && { ...draws, z: [...draws.z] }, busy: jobs.busy };
    },
  };
  return () => { unwatch(); jobs.stop(); loop.stop(); voice.stop(); plane.stop(); };
}

export const render = (context) => renderLive(mount, context);
export default { render };
