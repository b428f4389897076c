// Chapter 2: the balls of a VAE at any beta and epoch; drag one, change its radii, read its bill.
import {
  clamp, expectedSquaredError, format, formatPoint, klBarrier, klPull, makeDecoder, nearestPoint,
} from "./numbers.js";
import {
  ARROWS, disk, ellipse, faint, h, makeImage, makeLoop, makeNumbers, makePlane, makeSlider, makeVoice, motionIsReduced, newId, onDrag,
  readPalette, renderLive, watchTheme,
} from "./stage.js";

const HALF = 4; // the plane shows [-4, 4] on both axes at every beta, so that pictures compare
const RADII = [0.01, 2]; // what a radius may be
const GLIDE = 180; // milliseconds
const STEM = 15; // pixels between the rim of the ball and the handle of its radius
const PARTS = { reconstruction: "reconstruction", pull: "β × pull", barrier: "β × barrier" };

export async function mount(stage, host) {
  const { probes, snapshots, decoders, betas, epochs, classes, side, draws, start } = host.props;
  const [shown, balls] = await Promise.all([host.asset(probes), host.asset(snapshots)]);
  const n = shown.labels.length, last = epochs.length - 1, pixels = side * side;
  const imageOf = (i) => Float32Array.from(shown.images.subarray(i * pixels, (i + 1) * pixels), (v) => v / 255);
  const classOf = (i) => classes[shown.labels[i]];
  const block = (array, b, e) => array.subarray((b * epochs.length + e) * 2 * n, (b * epochs.length + e + 1) * 2 * n);
  const trained = (i = state.selected, b = state.b, e = state.e) => ({
    mu: [...block(balls.mu, b, e).subarray(2 * i, 2 * i + 2)], logVar: [...block(balls.log_var, b, e).subarray(2 * i, 2 * i + 2)],
  });
  const state = fromHost() ?? { b: betas.indexOf(start.beta), e: epochs.indexOf(start.epoch), selected: start.selected };
  let ball = isBall(host.get("mu"), host.get("log_var")) ? { mu: [...host.get("mu")], logVar: [...host.get("log_var")] } : trained();
  let colors = readPalette(stage), picked = imageOf(state.selected);

  // ---- the decoder of a beta is fetched when that beta is first chosen
  const ready = {};
  async function fetchDecoder(b) {
    ready[b] ??= makeDecoder(await host.asset(decoders[b]));
    loop.invalidate();
  }
  const decoder = () => (state.e === last ? ready[state.b] : undefined);

  // ---- what glides: the balls as drawn, on their way to where they are
  const drawn = { mu: Float32Array.from(block(balls.mu, state.b, state.e)), logVar: Float32Array.from(block(balls.log_var, state.b, state.e)) };
  let glide = null;
  function goal() {
    const mu = Float32Array.from(block(balls.mu, state.b, state.e)), logVar = Float32Array.from(block(balls.log_var, state.b, state.e));
    mu.set(ball.mu, 2 * state.selected);
    logVar.set(ball.logVar, 2 * state.selected);
    return { mu, logVar };
  }
  function settle(moving) {
    const to = goal();
    if (moving && !motionIsReduced()) glide = { from: { mu: drawn.mu.slice(), logVar: drawn.logVar.slice() }, to, began: performance.now() };
    else { glide = null; drawn.mu.set(to.mu); drawn.logVar.set(to.logVar); }
    plane.repaint();
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
    const found = { b: betas.indexOf(host.get("beta")), e: epochs.indexOf(host.get("epoch")), selected: host.get("selected") };
    return found.b >= 0 && found.e >= 0 && Number.isInteger(found.selected) ? found : null;
  }
  function isBall(mu, logVar) { return [mu, logVar].every((v) => Array.isArray(v) && v.length === 2 && v.every(Number.isFinite)); }
  function choose(patch, tell = true) {
    Object.assign(state, patch);
    picked = imageOf(state.selected);
    ball = trained();
    fetchDecoder(state.b);
    settle(true);
    if (tell) host.set({ beta: betas[state.b], epoch: epochs[state.e], selected: state.selected, mu: ball.mu, log_var: ball.logVar });
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
  for (const key of ["mu", "log_var"])
    host.on(key, () => {
      const mu = host.get("mu"), logVar = host.get("log_var");
      if (isBall(mu, logVar) && [0, 1].some((k) => mu[k] !== ball.mu[k] || logVar[k] !== ball.logVar[k])) reshape({ mu, logVar }, false);
    });

  // ---- the bill and the aggregates
  function billOf({ mu, logVar }) {
    const decode = decoder(), beta = betas[state.b];
    const bill = { reconstruction: decode ? expectedSquaredError(decode, picked, mu, logVar) : null, pull: beta * klPull(mu), barrier: beta * klBarrier(logVar) };
    return { ...bill, total: decode ? bill.reconstruction + bill.pull + bill.barrier : null };
  }
  function aggregate() {
    const { mu, logVar } = goal(), pull = klPull(mu) / n;
    const barrier = [0, 1].map((k) => klBarrier(logVar.filter((_, i) => i % 2 === k)) / n);
    const moment = [0, 1].map((k) => mu.reduce((sum, m, i) => (i % 2 === k ? sum + m * m + Math.exp(logVar[i]) : sum), 0) / n);
    let outside = 0;
    for (let i = 0; i < n; i++) outside += !plane.inside(mu.subarray(2 * i, 2 * i + 2));
    return { pull, barrier: barrier[0] + barrier[1], kl: pull + barrier[0] + barrier[1], moment, used: barrier.filter((v) => v > 0.05).length, outside };
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
    "Keys in the plane: arrows move (Shift: five times as far), + and − change both radii, N and P take the next or the previous ball, Home puts it back.");
  const left = h("div", { class: "rv-left" }), right = h("div", { class: "rv-right" });
  stage.append(h("div", { class: "rv-packing" }, left, right));
  const plane = makePlane(left, {
    name: "Latent plane with 240 balls", center: [0, 0], half: HALF, describedby: hint.id,
    changed: () => { plane.repaint(); loop.invalidate(); },
  });
  const sliders = h("div", { class: "rv-sliders" });
  left.append(sliders);
  const stops = (list, unit) => ({ min: 0, max: list.length - 1, step: 1, text: (i) => `${list[i]}${unit}` });
  const betaSlider = makeSlider(sliders, { name: "β", ...stops(betas, ""), oninput: (b) => choose({ b }) });
  const epochSlider = makeSlider(sliders, { name: "epoch", ...stops(epochs, ""), oninput: (e) => choose({ e }) });
  const radiusSliders = [0, 1].map((k) =>
    makeSlider(sliders, {
      name: `radius σ${"₁₂"[k]}`, min: Math.log(RADII[0]), max: Math.log(RADII[1]), step: 0.01, text: (v) => format(Math.exp(v), 3),
      oninput: (v) => reshape({ logVar: ball.logVar.map((old, axis) => (axis === k ? 2 * v : old)) }),
    }));
  const pictures = h("div", { class: "rv-pictures rv-strip" });
  right.append(pictures);
  const views = ["the image", "decoded center", "draw 1", "draw 2", "draw 3", "draw 4"].map((words) => makeImage(pictures, side, words));
  const bill = makeBill(right);
  const everyone = h("div", { class: "rv-everyone" }, h("p", { class: "rv-over" }, "All 240 balls"));
  stage.append(everyone);
  const numbers = makeNumbers(everyone, {
    kl: "mean KL", parts: "= pull + barrier", first: "E μ₁² + E σ₁²", second: "E μ₂² + E σ₂²", used: "axes in use", outside: "outside the frame",
  });
  const back = h("button", { type: "button", class: "rv-button", onclick: () => { reshape(trained(), true); } }, "Put the ball back");
  const reset = h("button", { type: "button", class: "rv-button",
    onclick: () => choose({ b: betas.indexOf(start.beta), e: epochs.indexOf(start.epoch), selected: start.selected }) }, "Reset");
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
    bill(mine, trainedBill(), state.e === last ? "" : `Decoders are kept for epoch ${epochs[last]} only: at epoch ${epochs[state.e]} the KL part of the bill is known, the reconstruction isn’t.`);
    const all = aggregate();
    numbers({
      kl: `${format(all.kl, 3)} nats`, parts: `${format(all.pull, 3)} + ${format(all.barrier, 3)}`, first: format(all.moment[0], 3),
      second: format(all.moment[1], 3), used: `${all.used} of 2`, outside: `${all.outside}`,
    });
    betaSlider.set(state.b);
    epochSlider.set(state.e);
    radiusSliders.forEach((slider, k) => slider.set(0.5 * ball.logVar[k]));
    plane.value(ball.mu, `ball of a ${classOf(state.selected)}, center ${formatPoint(ball.mu)}, total ${format(mine.total)}`);
    return gliding;
  }
  function describe() {
    const mine = billOf(ball);
    return `β ${betas[state.b]}, epoch ${epochs[state.e]}. Ball of a ${classOf(state.selected)}: center ${formatPoint(ball.mu)}, radii ` +
      `${ball.logVar.map((v) => format(Math.exp(0.5 * v), 3)).join(" and ")}. Reconstruction ${format(mine.reconstruction)}, pull ${format(mine.pull)}, barrier ${format(mine.barrier)}, total ${format(mine.total)}.`;
  }
  function paintBalls(c) {
    disk(c, plane.toPixels([0, 0]), plane.scale);
    c.strokeStyle = colors.prior;
    c.lineWidth = 1.6;
    c.stroke();
    c.lineWidth = 0.8;
    c.fillStyle = faint(colors.posterior, 0.13);
    c.strokeStyle = faint(colors.posterior, 0.6);
    for (let i = 0; i < n; i++) {
      if (i === state.selected) continue;
      ellipse(c, plane, drawn.mu.subarray(2 * i, 2 * i + 2), drawn.logVar.subarray(2 * i, 2 * i + 2));
      c.fill();
      c.stroke();
    }
  }
  const selectedBall = () => [drawn.mu, drawn.logVar].map((a) => a.subarray(2 * state.selected, 2 * state.selected + 2));
  function handles() {
    const [mu, logVar] = selectedBall(), [x, y] = plane.toPixels(mu), r = [0, 1].map((k) => Math.exp(0.5 * logVar[k]) * plane.scale);
    return { center: [x, y], rims: [[x + r[0], y], [x, y - r[1]]], radii: [[x + r[0] + STEM, y], [x, y - r[1] - STEM]] };
  }
  function paintBall(c) {
    const home = trained(), [mu, logVar] = selectedBall(), { center, rims, radii } = handles();
    c.lineWidth = 1.2;
    c.strokeStyle = colors.data;
    c.setLineDash([4, 3]);
    ellipse(c, plane, home.mu, home.logVar);
    c.stroke();
    c.setLineDash([]);
    ellipse(c, plane, mu, logVar);
    c.fillStyle = faint(colors.posterior, 0.3);
    c.fill();
    c.strokeStyle = colors.posterior;
    c.lineWidth = 2;
    c.stroke();
    c.fillStyle = colors.posterior;
    for (const eps of draws) {
      disk(c, plane.toPixels([0, 1].map((k) => mu[k] + Math.exp(0.5 * logVar[k]) * eps[k])), 1.8);
      c.fill();
    }
    c.strokeStyle = colors.ink;
    c.lineWidth = 1;
    radii.forEach((at, k) => {
      c.beginPath();
      c.moveTo(...rims[k]);
      c.lineTo(...at);
      c.stroke();
      knob(c, at, 4.5, colors.ground, colors.ink);
    });
    knob(c, center, 5.5, colors.ink, colors.ground);
  }
  function knob(c, at, radius, fill, line) {
    disk(c, at, radius);
    c.fillStyle = fill;
    c.fill();
    c.lineWidth = 1.6;
    c.strokeStyle = line;
    c.stroke();
  }

  // ---- the bill as a small table: two bars on one scale above two columns of numbers
  function makeBill(parent) {
    const cell = () => h("td"), bars = [0, 1].map(() => h("div", { class: "rv-bar", "aria-hidden": "true" }));
    const pieces = bars.map((bar) => Object.fromEntries(Object.keys(PARTS).map((part) => {
      const piece = h("i", { class: `rv-${part}` });
      bar.append(piece);
      return [part, piece];
    })));
    const rows = {}, body = h("tbody");
    for (const [part, words] of Object.entries({ ...PARTS, total: "total" })) {
      rows[part] = [cell(), cell()];
      const key = part === "total" ? "" : h("i", { class: `rv-key rv-${part}` });
      body.append(h("tr", {}, h("th", { scope: "row" }, key, words), ...rows[part]));
    }
    const head = ["this ball", "as trained"].map((words, k) => h("th", { scope: "col" }, words, bars[k]));
    const note = h("p", { class: "rv-note" });
    parent.append(h("table", { class: "rv-bill" },
      h("caption", {}, "The ball’s bill, in squared error summed over the pixels"),
      h("thead", {}, h("tr", {}, h("td"), ...head)), body), note);
    return (mine, home, remark) => {
      const sum = (b) => (b.reconstruction ?? 0) + b.pull + b.barrier;
      let full = 1.6 * sum(home) + 1e-9;
      while (full < sum(mine)) full *= 2;
      [mine, home].forEach((b, k) => {
        for (const part of Object.keys(PARTS)) pieces[k][part].style.width = `${(100 * (b[part] ?? 0)) / full}%`;
        for (const part of Object.keys(rows)) rows[part][k].textContent = format(b[part] ?? NaN);
      });
      note.textContent = remark;
    };
  }

  // ---- pointer and keys
  let drag = null;
  const near = (a, b, reach) => Math.hypot(a[0] - b[0], a[1] - b[1]) <= reach;
  onDrag(plane, {
    start(at, event) {
      const reach = event.pointerType === "mouse" ? 9 : 18, { center, radii } = handles();
      const axis = radii.findIndex((knobAt) => near(at, knobAt, reach));
      if (near(at, center, reach) && !(axis >= 0 && !near(at, center, reach / 2))) drag = { offset: [at[0] - center[0], at[1] - center[1]] };
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
        reshape({ logVar: ball.logVar.map((v, k) => (k === drag.axis ? 2 * Math.log(Math.max(RADII[0], length / plane.scale)) : v)) });
      }
    },
    end() { drag = null; },
    hover(at) {
      const grip = at && [handles().center, ...handles().radii].some((knobAt) => near(at, knobAt, 9));
      plane.canvas.style.cursor = grip ? "grab" : "";
    },
  });
  plane.canvas.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 0.25 : 0.05, arrow = ARROWS[event.key], grow = { "+": 1, "=": 1, "-": -1, "−": -1, _: -1 }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (arrow) reshape({ mu: ball.mu.map((m, k) => m + step * arrow[k]) });
    else if (grow) reshape({ logVar: ball.logVar.map((v) => v + grow * 0.1) });
    else if (/^[np]$/i.test(event.key)) choose({ selected: (state.selected + (event.key.toLowerCase() === "n" ? 1 : n - 1)) % n });
    else if (event.key === "Home") reshape(trained());
    else return;
    event.preventDefault();
  });

  const unwatch = watchTheme(() => { colors = readPalette(stage); settle(false); });
  await fetchDecoder(state.b);
  host.figure.__rv = {
    frames: loop.frames,
    decode: (z) => Float32Array.from(ready[state.b](z)),
    get state() {
      return {
        beta: betas[state.b], epoch: epochs[state.e], selected: state.selected, mu: ball.mu, log_var: ball.logVar,
        bill: billOf(ball), trained: trainedBill(), aggregate: aggregate(), gliding: glide !== null, handles: handles(),
      };
    },
  };
  return () => { unwatch(); loop.stop(); voice.stop(); plane.stop(); };
}

export const render = (context) => renderLive(mount, context);
export default { render };
