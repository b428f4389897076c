// Chapter 2: the balls of a VAE at any beta and epoch; drag one, change its radii, read its bill.
import { handlesOf, makeBill, paintSelected, STEM } from "../stage/ball.js";
import { makeButton, makeSlider } from "../stage/controls.js";
import {
  aggregate, clamp, expectedSquaredError, format, formatPoint, isPair, klBarrier, klPull, makeDecoder, nearestPoint,
} from "../mathematics/numbers.js";
import {
  ARROWS, disk, ellipse, faint, h, makeImage, makeLoop, makeNumbers, makePlane, makeVoice, motionIsReduced, newId, onDrag,
  readPalette, renderLive, watchTheme,
} from "../stage/stage.js";

const FILLED = 10; // how many balls on one place are filled, of those that lie there
const HALF = 4; // the plane shows [-4, 4] on both axes at every beta, so that pictures compare
const RADII = [0.01, 2]; // what a radius may be
const GLIDE = 180; // milliseconds

export async function mount(stage, host) {
  const { probes, snapshots, decoders, betas, epochs, classes, side, draws, start } = host.props;
  const [shown, balls] = await Promise.all([host.asset(probes), host.asset(snapshots)]);
  const n = shown.labels.length, last = epochs.length - 1, pixels = side * side;
  const imageOf = (i) => Float32Array.from(shown.images.subarray(i * pixels, (i + 1) * pixels), (v) => v / 255);
  const classOf = (i) => classes[shown.labels[i]];
  const block = (array, b, e) => array.subarray((b * epochs.length + e) * 2 * n, (b * epochs.length + e + 1) * 2 * n);
  const trained = (i = state.selected, b = state.b, e = state.e) => ({
    mu: [...block(balls.mu, b, e).subarray(2 * i, 2 * i + 2)],
    logVar: [...block(balls.log_var, b, e).subarray(2 * i, 2 * i + 2)],
  });
  const named = () => ({ beta: betas[state.b], epoch: epochs[state.e], selected: state.selected });
  const indices = ({ beta, epoch, selected }) => ({ b: betas.indexOf(beta), e: epochs.indexOf(epoch), selected });
  const state = fromHost() ?? indices(start);
  let ball = trained();
  const given = [host.get("mu"), host.get("log_var")];
  if (given.every(isPair)) ball = { mu: [...given[0]], logVar: [...given[1]] };
  let colors = readPalette(stage), picked = imageOf(state.selected);

  // ---- the decoder of a beta is fetched when that beta is first chosen
  const ready = {};
  async function fetchDecoder(b) {
    ready[b] ??= makeDecoder(await host.asset(decoders[b]));
    loop.invalidate();
  }
  const decoder = () => (state.e === last ? ready[state.b] : undefined);

  // ---- what glides: the balls as drawn, on their way to where they are
  const goal = () => {
    const mu = block(balls.mu, state.b, state.e).slice(), logVar = block(balls.log_var, state.b, state.e).slice();
    mu.set(ball.mu, 2 * state.selected);
    logVar.set(ball.logVar, 2 * state.selected);
    return { mu, logVar };
  };
  const drawn = goal();
  let glide = null;
  function settle(moving) {
    const to = goal(), others = moving || glide !== null; // at rest they stand in the cached background
    if (moving && !motionIsReduced()) {
      glide = { from: { mu: drawn.mu.slice(), logVar: drawn.logVar.slice() }, to, began: performance.now() };
    } else {
      glide = null;
      drawn.mu.set(to.mu);
      drawn.logVar.set(to.logVar);
    }
    if (others) plane.repaint();
    loop.invalidate();
  }
  function advance(now) {
    if (!glide) return false;
    const t = clamp((now - glide.began) / GLIDE, 0, 1), eased = 1 - (1 - t) ** 3;
    for (const part of ["mu", "logVar"])
      for (let k = 0; k < 2 * n; k++) drawn[part][k] = glide.from[part][k] + eased * (glide.to[part][k] - glide.from[part][k]);
    if (t === 1) glide = null;
    plane.repaint();
    return glide !== null;
  }

  // ---- changing the state: another beta, epoch or ball puts the ball where training left it
  function fromHost() {
    const found = indices({ beta: host.get("beta"), epoch: host.get("epoch"), selected: host.get("selected") });
    return found.b >= 0 && found.e >= 0 && Number.isInteger(found.selected) ? found : null;
  }
  function choose(patch, tell = true) {
    Object.assign(state, patch);
    picked = imageOf(state.selected);
    ball = trained();
    fetchDecoder(state.b);
    settle(true);
    if (tell) host.set({ ...named(), mu: ball.mu, log_var: ball.logVar });
    voice.say(describe);
  }
  function reshape({ mu = ball.mu, logVar = ball.logVar }, tell = true) {
    ball = {
      mu: [0, 1].map((k) => clamp(mu[k], -HALF, HALF)),
      logVar: [0, 1].map((k) => clamp(logVar[k], 2 * Math.log(RADII[0]), 2 * Math.log(RADII[1]))),
    };
    settle(false);
    if (tell) host.set({ mu: ball.mu, log_var: ball.logVar });
    voice.say(describe);
  }
  for (const key of ["beta", "epoch", "selected"])
    host.on(key, () => {
      const next = fromHost();
      if (next && Object.keys(next).some((k) => next[k] !== state[k])) choose(next, false);
    });
  for (const [key, part] of Object.entries({ mu: "mu", log_var: "logVar" }))
    host.on(key, () => {
      const value = host.get(key);
      if (isPair(value) && value.some((v, k) => v !== ball[part][k])) reshape({ [part]: value }, false);
    });

  // ---- the bill and the aggregates
  function billOf({ mu, logVar }) {
    const decode = decoder(), beta = betas[state.b];
    const pull = beta * klPull(mu), barrier = beta * klBarrier(logVar);
    const reconstruction = decode ? expectedSquaredError(decode, picked, mu, logVar) : null;
    return { reconstruction, pull, barrier, total: decode ? reconstruction + pull + barrier : null };
  }
  function everyBall() {
    const { mu, logVar } = goal();
    let outside = 0;
    for (let i = 0; i < n; i++) outside += !plane.inside(mu.subarray(2 * i, 2 * i + 2));
    return { ...aggregate(mu, logVar), outside };
  }
  let theirs = { key: "" };
  function trainedBill() { // costs a quadrature: once for each state
    const key = [state.b, state.e, state.selected, Boolean(decoder())].join();
    if (theirs.key !== key) theirs = { key, bill: billOf(trained()) };
    return theirs.bill;
  }

  // ---- the page's part
  const hint = h("p", { class: "rv-hint", id: newId() },
    "Drag a ball by its center, its radii by the two small handles; a click on another ball takes that one. " +
    "Keys in the plane: arrows move (Shift: five times as far), + and − change both radii, N and P take the next or " +
    "the previous ball, Home puts it back.");
  const left = h("div", { class: "rv-left" }), right = h("div", { class: "rv-right" });
  stage.append(h("div", { class: "rv-packing" }, left, right));
  const plane = makePlane(left, {
    name: "Latent plane with 240 balls", center: [0, 0], half: HALF, describedby: hint.id,
    changed: () => loop.now(),
  });
  const sliders = h("div", { class: "rv-sliders" });
  left.append(sliders);
  const stops = (list, unit) => ({ min: 0, max: list.length - 1, step: 1, text: (i) => `${list[i]}${unit}` });
  const betaSlider = makeSlider(sliders, { name: "β", ...stops(betas, ""), oninput: (b) => choose({ b }) });
  const epochSlider = makeSlider(sliders, { name: "epoch", ...stops(epochs, ""), oninput: (e) => choose({ e }) });
  const radiusSliders = [0, 1].map((k) =>
    makeSlider(sliders, {
      name: `radius σ${"₁₂"[k]}`, min: Math.log(RADII[0]), max: Math.log(RADII[1]), step: 0.01,
      text: (v) => format(Math.exp(v), 3),
      oninput: (v) => reshape({ logVar: ball.logVar.map((old, axis) => (axis === k ? 2 * v : old)) }),
    }));
  const pictures = h("div", { class: "rv-pictures rv-strip" });
  right.append(pictures);
  const views = ["the image", "decoded center", "draw 1", "draw 2", "draw 3", "draw 4"]
    .map((words) => makeImage(pictures, side, words));
  const bill = makeBill(right);
  const everyone = h("div", { class: "rv-everyone" }, h("p", { class: "rv-over" }, "All 240 balls"));
  stage.append(everyone);
  const numbers = makeNumbers(everyone, {
    kl: "mean KL", parts: "= pull + barrier", first: "E μ₁² + E σ₁²", second: "E μ₂² + E σ₂²",
    used: "axes in use", outside: "outside the frame",
  });
  const back = makeButton("Put the ball back", () => reshape(trained()));
  const reset = makeButton("Reset", () => choose(indices(start)));
  stage.append(h("div", { class: "rv-actions" }, hint, back, reset));
  const voice = makeVoice(stage);
  const loop = makeLoop(draw);

  function draw(now) {
    const gliding = advance(now), decode = decoder(), mine = billOf(ball);
    plane.draw(colors, paintBalls, paintBall);
    views[0].show(picked, colors.ink);
    views[0].label(classOf(state.selected));
    [[0, 0], ...draws].forEach((eps, v) => {
      views[v + 1].show(decode?.(ball.mu.map((m, k) => m + Math.exp(0.5 * ball.logVar[k]) * eps[k])), colors.ink);
    });
    bill(mine, trainedBill(), state.e === last ? "" : `Decoders are kept for epoch ${epochs[last]} only: ` +
      `at epoch ${epochs[state.e]} the KL part of the bill is known, the reconstruction isn’t.`);
    const all = everyBall();
    numbers({
      kl: `${format(all.kl, 3)} nats`, parts: `${format(all.pull, 3)} + ${format(all.barrier, 3)}`,
      first: format(all.moment[0], 3), second: format(all.moment[1], 3), used: `${all.used} of 2`,
      outside: `${all.outside}`,
    });
    betaSlider.set(state.b);
    epochSlider.set(state.e);
    radiusSliders.forEach((slider, k) => slider.set(0.5 * ball.logVar[k]));
    plane.value(ball.mu, `${classOf(state.selected)}, center ${formatPoint(ball.mu)}, total ${format(mine.total)}`);
    return gliding;
  }
  function describe() {
    const mine = billOf(ball);
    const radii = ball.logVar.map((v) => format(Math.exp(0.5 * v), 3)).join(" and ");
    const parts = Object.entries(mine).map(([part, value]) => `${part} ${format(value ?? NaN)}`).join(", ");
    return `β ${betas[state.b]}, epoch ${epochs[state.e]}. Ball of a ${classOf(state.selected)}: ` +
      `center ${formatPoint(ball.mu)}, radii ${radii}. Its bill: ${parts}.`;
  }
  function paintBalls(c) {
    let crowd = 0; // how many balls lie on one place, in the unit disk
    for (let i = 0; i < n; i++) crowd += Math.exp(0.5 * (drawn.logVar[2 * i] + drawn.logVar[2 * i + 1]));
    const every = Math.max(1, Math.round(crowd / FILLED)); // else all balls as large as the prior add up to a wall of paint
    c.lineWidth = 0.8;
    c.fillStyle = faint(colors.posterior, 0.13);
    c.strokeStyle = faint(colors.posterior, 0.6);
    for (let i = 0; i < n; i++) {
      if (i === state.selected) continue;
      ellipse(c, plane, drawn.mu.subarray(2 * i, 2 * i + 2), drawn.logVar.subarray(2 * i, 2 * i + 2));
      if (i % every === 0) c.fill();
      c.stroke();
    }
    disk(c, plane.toPixels([0, 0]), plane.scale);
    c.strokeStyle = colors.prior;
    c.lineWidth = 1.6;
    c.stroke();
  }
  const selectedBall = () => [drawn.mu, drawn.logVar].map((a) => a.subarray(2 * state.selected, 2 * state.selected + 2));
  const handles = () => handlesOf(plane, ...selectedBall());
  const paintBall = (c) => paintSelected(c, plane, colors, { home: trained(), ball: selectedBall(), draws });

  // ---- pointer and keys
  let drag = null;
  const near = (a, b, reach) => Math.hypot(a[0] - b[0], a[1] - b[1]) <= reach;
  onDrag(plane, {
    start(at, event) {
      const reach = event.pointerType === "mouse" ? 9 : 18, { center, radii } = handles();
      const axis = radii.findIndex((knobAt) => near(at, knobAt, reach));
      const onCenter = near(at, center, axis < 0 ? reach : reach / 2);
      if (onCenter) drag = { offset: [at[0] - center[0], at[1] - center[1]] };
      else if (axis >= 0) drag = { axis };
      else {
        const hit = nearestPoint(drawn.mu, plane.toPlane(...at), () => 1 / plane.scale);
        if (hit.distance > 2 * reach) return;
        choose({ selected: hit.index });
        const [x, y] = plane.toPixels(ball.mu);
        drag = { offset: [at[0] - x, at[1] - y] };
      }
    },
    move([x, y]) {
      if (!drag) return;
      if (drag.offset) reshape({ mu: plane.toPlane(x - drag.offset[0], y - drag.offset[1]) });
      else {
        const { center } = handles(), length = (drag.axis === 0 ? x - center[0] : center[1] - y) - STEM;
        const wanted = 2 * Math.log(Math.max(RADII[0], length / plane.scale));
        reshape({ logVar: ball.logVar.map((v, k) => (k === drag.axis ? wanted : v)) });
      }
    },
    end() { drag = null; },
    hover(at) {
      const grip = at && [handles().center, ...handles().radii].some((knobAt) => near(at, knobAt, 9));
      plane.canvas.style.cursor = grip ? "grab" : "";
    },
  });
  plane.canvas.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 0.25 : 0.05, arrow = ARROWS[event.key];
    const grow = { "+": 1, "=": 1, "-": -1, "−": -1, _: -1 }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (arrow) reshape({ mu: ball.mu.map((m, k) => m + step * arrow[k]) });
    else if (grow) reshape({ logVar: ball.logVar.map((v) => v + grow * 0.1) });
    else if (/^[np]$/i.test(event.key)) choose({ selected: (state.selected + (/n/i.test(event.key) ? 1 : n - 1)) % n });
    else if (event.key === "Home") reshape(trained());
    else return;
    event.preventDefault();
  });

  const unwatch = watchTheme(() => { colors = readPalette(stage); plane.repaint(); loop.invalidate(); });
  await fetchDecoder(state.b);
  host.figure.__rv = {
    frames: loop.frames,
    decode: (z) => Float32Array.from(ready[state.b](z)),
    get state() {
      return {
        ...named(), mu: ball.mu, log_var: ball.logVar, bill: billOf(ball), trained: trainedBill(),
        aggregate: everyBall(), gliding: glide !== null, handles: handles(),
      };
    },
  };
  return () => { unwatch(); loop.stop(); voice.stop(); plane.stop(); };
}

export const render = (context) => renderLive(mount, context);
export default { render };
