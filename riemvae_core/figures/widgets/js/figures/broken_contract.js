// Chapter 3: pull decoders off the center of a ball in many dimensions, and read what each makes of it.
import { makeButton, makeMenu, makeSlider } from "../stage/controls.js";
import { clamp, format, makeDecoder } from "../mathematics/numbers.js";
import {
  ARROWS, disk, faint, h, makeImage, makeLoop, makePlane, makeVoice, newId, onDrag, paintDot, readPalette, renderLive,
  watchTheme,
} from "../stage/stage.js";
import { fillRow, makeTable } from "../stage/table.js";

const HALF = 3.5; // radii that the plane shows to each side
const FAR = 3; // the largest distance c
const STEPS = 16; // points of a curve
const CEILING = 350; // the largest error that the chart shows
const LOOKS = { ball: ["rv-barrier", "posterior"], none: ["rv-reconstruction", "data"], round: ["rv-round", "codes"] };

export async function mount(stage, host) {
  const { probes, codes, decoders, classes, side, draws, start } = host.props;
  const [shown, balls, ...weights] = await Promise.all(
    [probes, codes, ...decoders.map(({ asset }) => asset)].map((name) => host.asset(name)));
  const n = shown.labels.length, d = balls.mu.length / n, pixels = side * side;
  const decode = Object.fromEntries(decoders.map(({ noise }, k) => [noise, makeDecoder(weights[k])]));
  const imageOf = (i) => Float32Array.from(shown.images.subarray(i * pixels, (i + 1) * pixels), (v) => v / 255);
  const classOf = (i) => classes[shown.labels[i]];
  const row = (array, i) => array.subarray(i * d, (i + 1) * d);
  const sizeOf = (offset) => Math.sqrt(offset.reduce((sum, v) => sum + v * v, 0) / d);
  const unit = (offset) => offset.map((v) => v / sizeOf(offset));
  let state = fromHost() ?? { ...start, offset: [...start.offset] };
  let direction = unit(sizeOf(state.offset) > 0 ? state.offset : start.offset), drawn = 0; // which draw came last
  let colors = readPalette(stage), picked = imageOf(state.selected);

  // ---- state: which ball, where in it (in radii, from its center), which two axes are in view
  function fromHost() {
    const [selected, offset, axes] = ["selected", "offset", "axes"].map((key) => host.get(key));
    const whole = Number.isInteger(selected) && offset?.length === d && axes?.length === 2;
    return whole ? { selected, offset: [...offset], axes: [...axes] } : null;
  }
  function change(patch, tell = true) {
    state = { ...state, ...patch };
    if (patch.selected !== undefined) picked = imageOf(state.selected);
    if (patch.selected !== undefined || patch.axes) plane.repaint();
    if (sizeOf(state.offset) > 1e-9) direction = unit(state.offset); // where the slider leads
    if (tell) host.set({ ...state });
    loop.invalidate();
    voice.say(describe);
  }
  const scaledTo = (t) => direction.map((v) => t * v);
  function moveTo(a, b) {
    const offset = [...state.offset];
    [a, b].forEach((v, k) => { offset[state.axes[k]] = clamp(v, -HALF, HALF); });
    change({ offset });
  }
  for (const key of ["selected", "offset", "axes"])
    host.on(key, () => {
      const next = fromHost();
      if (next && JSON.stringify(next) !== JSON.stringify(state)) change(next, false);
    });

  // ---- what the decoders make of a place
  const placeOf = (offset) => offset.map((v, k) =>
    row(balls.mu, state.selected)[k] + v * Math.exp(0.5 * row(balls.log_var, state.selected)[k]));
  function errorIn(y) {
    let sum = 0;
    for (let p = 0; p < pixels; p++) sum += (picked[p] - y[p]) ** 2;
    return sum;
  }
  const errorOf = (noise, offset) => errorIn(decode[noise](placeOf(offset)));
  const errorsAt = (offset) => Object.fromEntries(decoders.map(({ noise }) => [noise, errorOf(noise, offset)]));
  let atCenter = { selected: -1 };
  function errorsAtCenter() {
    const { selected } = state;
    if (atCenter.selected !== selected) atCenter = { selected, errors: errorsAt(state.offset.map(() => 0)) };
    return atCenter.errors;
  }
  const curve = (noise) =>
    Array.from({ length: STEPS + 1 }, (_, k) => errorOf(noise, scaledTo((FAR * k) / STEPS)));

  // ---- the page's part
  const hint = h("p", { class: "rv-hint", id: newId() },
    "Drag in the plane: it shows two of the axes, counted in the ball’s radii; gray dots are the centers of the " +
    "other images. The slider pulls along the present direction on all axes. Keys in the plane: arrows move (Shift: " +
    "five times as far), N and P take the next or the previous image, Home goes to the center.");
  const left = h("div", { class: "rv-left" }), right = h("div", { class: "rv-right" });
  stage.append(h("div", { class: "rv-packing" }, left, right));
  const plane = makePlane(left, {
    name: "Two axes of the ball, in its radii", center: [0, 0], half: HALF, describedby: hint.id, labels: ["σ", "σ"],
    changed: () => loop.now(),
  });
  const controls = h("div", { class: "rv-sliders" });
  left.append(controls);
  const distance = makeSlider(controls, {
    name: "distance c", min: 0, max: FAR, step: 0.01, text: (c) => format(c),
    oninput: (t) => change({ offset: scaledTo(t) }),
  });
  const menus = ["horizontal", "vertical"].map((words, k) => {
    const turn = (to) => change({ axes: state.axes.map((axis, j) => (j === k ? to : axis)) });
    return makeMenu(controls, words, turn, [...Array(d).keys()]);
  });
  const pictures = h("div", { class: "rv-pictures rv-four" });
  right.append(pictures);
  const views = ["the image", ...decoders.map(({ words }) => words)].map((words) => makeImage(pictures, side, words));
  const chart = makeChart(right, "Squared error against the distance c, along the present direction");
  const cells = makeTable(right, {
    caption: "Squared error, summed over the pixels", heads: ["here", "at the center"], kind: "rv-errors",
    rows: Object.fromEntries(decoders.map(({ noise, words }) =>
      [noise, [h("i", { class: `rv-key ${LOOKS[noise][0]}` }), words]])),
  });
  stage.append(h("div", { class: "rv-actions" }, hint,
    makeButton("Another draw", () => change({ offset: [...draws[(drawn = (drawn + 1) % draws.length)]] })),
    makeButton("Two axes only", () =>
      change({ offset: state.offset.map((v, axis) => (state.axes.includes(axis) ? v : 0)) })),
    makeButton("Reset", () => { drawn = 0; change({ ...start, offset: [...start.offset] }); })));
  const voice = makeVoice(stage);
  const loop = makeLoop(draw);

  // ---- drawing
  function draw() {
    const z = placeOf(state.offset), t = sizeOf(state.offset), here = {}, center = errorsAtCenter();
    plane.draw(colors, paintCenters, paintHandle);
    views[0].show(picked, colors.ink);
    views[0].label(classOf(state.selected));
    decoders.forEach(({ noise }, k) => {
      const y = decode[noise](z);
      here[noise] = errorIn(y);
      views[k + 1].show(y, colors.ink);
      fillRow(cells[noise], [here, center].map((errors) => format(errors[noise])));
    });
    const curves = decoders.map(({ noise }) =>
      ({ values: curve(noise), color: colors[LOOKS[noise][1]], now: here[noise] }));
    chart(colors, curves, t);
    distance.set(Math.min(t, FAR));
    menus.forEach((menu, k) => {
      [...menu.options].forEach((option, axis) => {
        const words = `axis ${axis}, σ ${format(Math.exp(0.5 * row(balls.log_var, state.selected)[axis]))}`;
        if (option.textContent !== words) option.textContent = words;
        option.disabled = axis === state.axes[1 - k];
      });
      menu.value = state.axes[k];
    });
    const [a, b] = state.axes.map((axis) => state.offset[axis]);
    plane.value([a, b], `${format(a)} and ${format(b)} radii from the center, t ${format(t)}`);
  }
  function paintCenters(c) {
    const mu = row(balls.mu, state.selected), logVar = row(balls.log_var, state.selected);
    c.fillStyle = faint(colors.data, 0.75);
    for (let i = 0; i < n; i++) {
      if (i === state.selected) continue;
      disk(c, plane.toPixels(state.axes.map((k) => (row(balls.mu, i)[k] - mu[k]) * Math.exp(-0.5 * logVar[k]))), 2.2);
      c.fill();
    }
    c.strokeStyle = colors.posterior;
    for (const radius of [1, 2, 3]) {
      disk(c, plane.toPixels([0, 0]), radius * plane.scale);
      c.lineWidth = radius === 1 ? 2 : 1;
      c.stroke();
      if (radius > 1) continue;
      c.fillStyle = faint(colors.posterior, 0.16);
      c.fill();
    }
  }
  function paintHandle(c) {
    const at = plane.toPixels(state.axes.map((axis) => state.offset[axis]));
    c.strokeStyle = colors.ink;
    c.lineWidth = 1.1;
    c.beginPath();
    c.moveTo(...plane.toPixels([0, 0]));
    c.lineTo(...at);
    c.stroke();
    paintDot(c, at, 7.5, colors.ink, colors.ground);
  }
  function describe() {
    const errors = errorsAt(state.offset);
    const told = decoders.map(({ noise, words }) => `${words} ${format(errors[noise])}`).join(", ");
    return `${classOf(state.selected)}, t ${format(sizeOf(state.offset))}. Squared error: ${told}.`;
  }

  // ---- pointer and keys
  onDrag(plane, {
    start: (at) => moveTo(...plane.toPlane(...at)),
    move: (at) => moveTo(...plane.toPlane(...at)),
    end() {},
    hover() {},
  });
  plane.canvas.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 0.5 : 0.1, arrow = ARROWS[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (arrow) moveTo(...state.axes.map((axis, k) => state.offset[axis] + step * arrow[k]));
    else if (/^[np]$/i.test(event.key)) change({ selected: (state.selected + (/n/i.test(event.key) ? 1 : n - 1)) % n });
    else if (event.key === "Home") change({ offset: state.offset.map(() => 0) });
    else return;
    event.preventDefault();
  });

  const unwatch = watchTheme(() => { colors = readPalette(stage); plane.repaint(); loop.invalidate(); });
  loop.invalidate();
  host.figure.__rv = {
    frames: loop.frames,
    decode: (noise, z) => Float32Array.from(decode[noise](z)),
    get state() {
      const offset = [...state.offset];
      return { ...state, offset, t: sizeOf(offset), errors: errorsAt(offset), along: Object.fromEntries(
        decoders.map(({ noise }) => [noise, curve(noise)])) };
    },
  };
  return () => { unwatch(); loop.stop(); voice.stop(); plane.stop(); };
}

// Curves over t in [0, FAR] with a mark at the present one; what is higher than the ceiling runs along the top.
function makeChart(parent, name) {
  const canvas = h("canvas", { class: "rv-chart", role: "img", "aria-label": name });
  parent.append(canvas);
  const context = canvas.getContext("2d"), edge = { left: 34, right: 8, top: 10, bottom: 30 };
  return (colors, curves, t) => {
    const width = canvas.clientWidth, height = canvas.clientHeight, ratio = Math.min(3, devicePixelRatio || 1);
    if (canvas.width !== Math.round(width * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const x = (at) => edge.left + (at / FAR) * (width - edge.left - edge.right);
    const floor = height - edge.bottom;
    const y = (value) => floor - (Math.min(value, CEILING) / CEILING) * (floor - edge.top);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = `11.5px ${getComputedStyle(canvas).fontFamily}`;
    context.fillStyle = colors.muted;
    context.strokeStyle = colors.grid;
    context.lineWidth = 1;
    const line = (x1, y1, x2, y2) => {
      context.beginPath();
      context.moveTo(x1, y1);
      context.lineTo(x2, y2);
      context.stroke();
    };
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const value of [0, 100, 200, 300]) {
      line(edge.left, y(value), width - edge.right, y(value));
      context.fillText(`${value}`, edge.left - 5, y(value));
    }
    context.textAlign = "center";
    context.textBaseline = "top";
    for (const at of [0, 1, 2]) context.fillText(`${at}`, x(at), floor + 6);
    context.textAlign = "right";
    context.fillText("c = 3", width - edge.right, floor + 6);
    context.strokeStyle = colors.ink;
    line(x(Math.min(t, FAR)), edge.top, x(Math.min(t, FAR)), floor);
    for (const { values, color, now } of curves) {
      context.strokeStyle = color;
      context.lineWidth = 2;
      context.beginPath();
      values.forEach((value, k) => context.lineTo(x((FAR * k) / STEPS), y(value)));
      context.stroke();
      disk(context, [x(Math.min(t, FAR)), y(now)], 4);
      context.fillStyle = color;
      context.fill();
    }
  };
}

export const render = (context) => renderLive(mount, context);
export default { render };
