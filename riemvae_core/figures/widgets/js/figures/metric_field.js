// Chapter 5: the field log sqrt det G that a VAE's balls draw, under four sliders, and the metric at a point to drag.
import { makeButton, makeSlider } from "../stage/controls.js";
import { makeColorBar, makeField, outline, paintBalls, paintKnob } from "../stage/field.js";
import { gridWithin, makeMetric, pickBalls, volumeOnGrid } from "../mathematics/metric.js";
import { clamp, format, formatPoint, isPair, makeDecoder, significant } from "../mathematics/numbers.js";
import {
  ARROWS, ellipse, followHost, h, LIGHT, makeImage, makeLoop, makeNumbers, makePlane, makeVoice, newId, onDrag, readPalette,
  renderLive, watchTheme,
} from "../stage/stage.js";

const GRIDS = [560, 280, 140, 70]; // midpoints along an axis
const MOVING = 6e6, RESTING = 4e7; // pairs of ball and midpoint that may be spent on a field: tens of milliseconds, tenths
const PAUSE = 120; // milliseconds without a change after which the field is drawn as finely as it may be
const STEPS = 0.01; // of a slider, in the log of its value

export async function mount(stage, host) {
  const { model, probes, colors: table, side, classes, frame, range, limits, stops, centroids, fits, start } = host.props;
  const [arrays, shown, { rgb }] = await Promise.all([model, probes, table].map((name) => host.asset(name)));
  const decode = makeDecoder(arrays), all = { mu: arrays.mu, logVar: arrays.log_var }, pixels = side * side;
  const state = { ...start, z: [...start.z] };
  followHost(host, state, valid, change);
  let colors = readPalette(stage), balls, metric, stale = true, sharp = true, rest = 0, grid = 0;

  function valid(key, value) {
    if (key === "z") return isPair(value);
    return key === "n_centroids" ? stops.includes(value) : Number.isFinite(value) && value > 0;
  }
  function rebuild() { // of the metric, after a change of one of its parameters
    const { rho, lam, tau, n_centroids: n } = state;
    balls = { ...pickBalls(all, centroids[stops.indexOf(n)]), rho, lam, tau };
    metric = makeMetric(balls);
    stale = true;
  }
  function change(patch, tell = true) {
    const next = {};
    for (const [key, value] of Object.entries(patch)) {
      if (key === "z") next.z = value.map((v, k) => clamp(v, frame.center[k] - frame.half, frame.center[k] + frame.half));
      else next[key] = key in limits ? clamp(value, ...limits[key]) : value;
    }
    Object.assign(state, next);
    if (Object.keys(next).some((key) => key !== "z")) {
      rebuild();
      sharp = false;
      clearTimeout(rest);
      rest = setTimeout(() => { sharp = stale = true; loop.invalidate(); }, PAUSE);
    }
    if (tell) host.set(next);
    loop.invalidate();
    voice.say(describe);
  }

  // ---- the page's part
  const hint = h("p", { class: "rv-hint", id: newId() },
    "Drag in the plane. Keys there: arrows move (Shift: five times as far), Enter goes to the nearest ball’s center, Home to the " +
    "start. “Fit” takes ρ, λ and τ by the rules of the chapter for the number of centroids.");
  const left = h("div"), right = h("div", { class: "rv-pictures" }), below = h("div", { class: "rv-below" });
  stage.append(h("div", { class: "rv-field" }, left, right), below);
  const plane = makePlane(left, {
    name: "Latent plane with the metric’s log volume", ...frame, describedby: hint.id, changed: () => loop.now(),
  });
  const field = makeField(rgb, range, frame);
  makeColorBar(left, rgb, range, "log √det G");
  const decoded = makeImage(right, side, "decoded"), nearest = makeImage(right, side, "nearest ball");
  const numbers = makeNumbers(below, {
    z: "z", volume: "log √det G", radii: "unit ball of G", ball: "nearest ball", empty: "empty space : balls",
  });
  const sliders = h("div", { class: "rv-sliders" });
  below.append(sliders);
  const log = (key, name, unit) => makeSlider(sliders, {
    name, min: Math.log(limits[key][0]), max: Math.log(limits[key][1]), step: STEPS,
    text: (v) => `${significant(Math.exp(v))}${unit}`, oninput: (v) => change({ [key]: Math.exp(v) }),
  });
  const rho = log("rho", "reach ρ", " σ"), lam = log("lam", "floor λ", ""), tau = log("tau", "fading τ", "");
  const number = makeSlider(sliders, {
    name: "centroids", min: 0, max: stops.length - 1, step: 1, text: (k) => `${stops[k]}`,
    oninput: (k) => change({ n_centroids: stops[k] }),
  });
  const fit = makeButton("Fit", () => change(fits[stops.indexOf(state.n_centroids)]));
  const reset = makeButton("Reset", () => change(structuredClone(start)));
  stage.append(h("div", { class: "rv-actions" }, hint, fit, reset));
  const voice = makeVoice(stage), loop = makeLoop(draw);

  // ---- everything that is said about the handle
  function measure() {
    const { z, rho: reach, lam: floor, tau: fade, n_centroids: n } = state, ball = metric.nearestBall(z);
    const logDiagonal = metric.logDiagonal(z), index = centroids[stops.indexOf(n)][ball.index];
    return {
      log_volume: 0.5 * (logDiagonal[0] + logDiagonal[1]), radii: logDiagonal.map((g) => Math.exp(-0.5 * g)),
      ball: { index, distance: ball.distance }, empty: floor / (fade * reach * reach * n),
    };
  }
  const imageOf = (i) => Float32Array.from(shown.images.subarray(i * pixels, (i + 1) * pixels), (v) => v / 255);
  const classOf = (i) => classes[shown.labels[i]], length = (r) => (r < 100 ? format(r, 3) : "> 100");
  function describe() {
    const { log_volume: volume, ball } = measure();
    return `z is ${formatPoint(state.z)}: log volume ${format(volume)}, nearest ball that of a ${classOf(ball.index)}, ` +
      `${format(ball.distance)} of its sigmas away. Reach ${significant(state.rho)}, floor ${significant(state.lam)}, ` +
      `fading ${significant(state.tau)}, ${state.n_centroids} centroids.`;
  }

  // ---- drawing
  function draw() {
    const now = measure(), { z } = state;
    if (stale) {
      grid = gridWithin(balls, frame, GRIDS, sharp ? RESTING : MOVING);
      field.set(volumeOnGrid(balls, frame, grid), grid);
      plane.repaint();
      stale = false;
    }
    plane.draw(colors, paintField, (c) => paintHandle(c, now));
    decoded.show(decode(z), colors.ink);
    nearest.show(imageOf(now.ball.index), colors.ink);
    nearest.label(`nearest ball: ${classOf(now.ball.index)}`);
    numbers({
      z: formatPoint(z), volume: format(now.log_volume, 3), radii: now.radii.map(length).join(" × "),
      ball: `${format(now.ball.distance)} of its σ`, empty: `${significant(now.empty)} : 1`,
    });
    rho.set(Math.log(state.rho));
    lam.set(Math.log(state.lam));
    tau.set(Math.log(state.tau));
    number.set(stops.indexOf(state.n_centroids));
    plane.value(z, `z ${formatPoint(z)}, log volume ${format(now.log_volume)}`);
  }
  function paintField(c) {
    field.paint(c, plane);
    paintBalls(c, plane, balls);
  }
  function paintHandle(c, { radii, ball }) {
    const k = 2 * ball.index;
    ellipse(c, plane, all.mu.subarray(k, k + 2), all.logVar.subarray(k, k + 2));
    outline(c, LIGHT.posterior, 2);
    ellipse(c, plane, state.z, radii.map((r) => 2 * Math.log(r)));
    outline(c, LIGHT.ink, 1.8);
    paintKnob(c, plane.toPixels(state.z));
  }

  // ---- pointer and keys
  onDrag(plane, {
    start: (at) => change({ z: plane.toPlane(...at) }), move: (at) => change({ z: plane.toPlane(...at) }), end() {}, hover() {},
  });
  plane.canvas.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 0.25 : 0.05, arrow = ARROWS[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (arrow) change({ z: state.z.map((v, k) => v + step * arrow[k]) });
    else if (event.key === "Enter") change({ z: [...all.mu.subarray(2 * measure().ball.index, 2 * measure().ball.index + 2)] });
    else if (event.key === "Home") change({ z: [...start.z] });
    else return;
    event.preventDefault();
  });

  rebuild();
  const unwatch = watchTheme(() => { colors = readPalette(stage); plane.repaint(); loop.invalidate(); });
  loop.now();
  host.figure.__rv = {
    frames: loop.frames, decode: (z) => Float32Array.from(decode(z)),
    field: (n) => [...volumeOnGrid(balls, frame, n)],
    get state() { return { ...state, ...measure(), grid, sharp }; },
  };
  return () => { unwatch(); loop.stop(); voice.stop(); plane.stop(); clearTimeout(rest); };
}

export const render = (context) => renderLive(mount, context);
export default { render };
