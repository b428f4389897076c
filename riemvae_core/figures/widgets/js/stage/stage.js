// What every live figure is made of: elements, colors, planes, images, the way to a page or to a kernel.
import { clamp, format, unpack } from "../mathematics/numbers.js";
import { keepKeys } from "./keys.js";

export function h(tag, attributes = {}, ...children) {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    if (name.startsWith("on")) el.addEventListener(name.slice(2), value);
    else if (value === true) el.setAttribute(name, "");
    else if (value !== false && value != null) el.setAttribute(name, value);
  el.append(...children);
  return el;
}

// Unique in the document: figures of several kinds, each with its own copy of this library, count together.
export const newId = () => `rv-id-${(globalThis.__rvIds = (globalThis.__rvIds ?? 0) + 1)}`;

// ---- colors: the palette is the stylesheet's; these, its light half, stand in where it is absent
export const LIGHT = {
  data: "#7A808A", prior: "#2F6DB5", posterior: "#D4682A", codes: "#2B8A6E",
  ink: "#1F2328", muted: "#57606A", grid: "#E4E7EB", ground: "#FFFFFF",
};
export function readPalette(el) {
  const style = getComputedStyle(el);
  return Object.fromEntries(
    Object.entries(LIGHT).map(([name, hex]) => [name, style.getPropertyValue(`--rv-${name}`).trim() || hex]),
  );
}

// Calls back when the page or the notebook changes between light and dark. Returns the way to stop.
export function watchTheme(callback) {
  const observer = new MutationObserver(callback);
  const attributeFilter = ["data-theme", "data-jp-theme-light", "theme", "class"];
  for (const el of [document.documentElement, document.body]) observer.observe(el, { attributes: true, attributeFilter });
  return () => observer.disconnect();
}

export const motionIsReduced = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// ---- at most one draw a frame; frames keeps how many milliseconds each took
export function makeLoop(draw) {
  const frames = [];
  let request = 0;
  const run = (now) => {
    request = 0;
    const began = performance.now();
    const again = draw(now);
    frames.push(performance.now() - began);
    if (frames.length > 2000) frames.shift();
    if (again) invalidate();
  };
  const invalidate = () => { request ||= requestAnimationFrame(run); };
  const stop = () => cancelAnimationFrame(request);
  return { frames, invalidate, stop, now() { stop(); run(performance.now()); } };
}

// ---- a polite voice that waits until the hand rests
export function makeVoice(parent, delay = 700) {
  const region = h("div", { class: "rv-voice", role: "status", "aria-live": "polite" });
  parent.append(region);
  let timer = 0;
  return {
    say(sentence) { clearTimeout(timer); timer = setTimeout(() => { region.textContent = sentence(); }, delay); },
    stop: () => clearTimeout(timer),
  };
}

// ---- an image (or a strip of some in a row): ink on the page's own ground, one canvas pixel a pixel
export function makeImage(parent, side, caption, width = side) {
  const canvas = h("canvas", { class: "rv-image", width, height: side, role: "img", "aria-label": caption });
  const words = h("span", {}, caption);
  parent.append(h("div", { class: "rv-picture" }, canvas, words));
  const context = canvas.getContext("2d"), pixels = context.createImageData(width, side);
  return {
    canvas,
    show(values, ink) {
      const [r, g, b] = channels(ink);
      for (let i = 0; i < width * side; i++) {
        pixels.data[4 * i] = r; pixels.data[4 * i + 1] = g; pixels.data[4 * i + 2] = b;
        pixels.data[4 * i + 3] = values ? clamp(values[i], 0, 1) * 255 : 0;
      }
      context.putImageData(pixels, 0, 0);
    },
    label(text) { if (words.textContent !== text) { words.textContent = text; canvas.setAttribute("aria-label", text); } },
  };
}
const channels = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
export const faint = (hex, alpha) => `rgb(${channels(hex).join(" ")} / ${alpha})`;

// ---- rows of a name and a number in fixed places
export function makeNumbers(parent, rows) {
  const list = h("dl", { class: "rv-numbers" });
  const cells = {};
  for (const [key, name] of Object.entries(rows)) {
    cells[key] = h("dd");
    list.append(h("div", {}, h("dt", {}, name), cells[key]));
  }
  parent.append(list);
  return (values) => {
    for (const [key, text] of Object.entries(values)) if (cells[key].textContent !== text) cells[key].textContent = text;
  };
}

// ---- a latent plane: equal axes, ticks, a quiet grid, a cached background, pointer and keys
const MARGIN = { left: 30, right: 8, top: 8, bottom: 26 };
function tickStep(half) {
  const rough = half / 4, power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 5, 10].find((m) => m * power >= rough);
}
export function makePlane(parent, { name, center, half, describedby, changed, labels = ["z₁", "z₂"] }) {
  const canvas = h("canvas", {
    class: "rv-plane", tabindex: 0, role: "slider", "aria-label": name, "aria-describedby": describedby,
    "aria-valuemin": (center[0] - half).toFixed(2), "aria-valuemax": (center[0] + half).toFixed(2),
  });
  const frame = h("div", { class: "rv-plane-frame" }, canvas), back = document.createElement("canvas");
  parent.append(frame);
  const front = canvas.getContext("2d"), behind = back.getContext("2d");
  let width = 0, side = 1, dirty = true;
  const fit = () => { // the canvas to its frame; whether that changed anything
    const now = Math.floor(frame.clientWidth), ratio = Math.min(3, devicePixelRatio || 1);
    if (now < 60 || (now === width && canvas.width === Math.round(now * ratio))) return false;
    width = now;
    side = width - MARGIN.left - MARGIN.right;
    const height = side + MARGIN.top + MARGIN.bottom;
    canvas.style.height = `${height}px`;
    for (const [target, context] of [[canvas, front], [back, behind]]) {
      target.width = Math.round(width * ratio);
      target.height = Math.round(height * ratio);
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
    }
    return (dirty = true);
  };
  const observer = new ResizeObserver(() => { if (fit()) changed(); });
  observer.observe(frame);
  const plane = {
    canvas, frame,
    get scale() { return side / (2 * half); },
    toPixels: (z) => [
      MARGIN.left + (z[0] - center[0] + half) * plane.scale, MARGIN.top + (half - z[1] + center[1]) * plane.scale,
    ],
    toPlane: (x, y) => [
      center[0] - half + (x - MARGIN.left) / plane.scale, center[1] + half - (y - MARGIN.top) / plane.scale,
    ],
    at(event) { // in the canvas's own pixels, whatever scales its surroundings, as on a slide
      const box = canvas.getBoundingClientRect(), ratio = width / box.width;
      const scale = Math.abs(ratio - 1) < 0.01 ? 1 : ratio; // less is the rounding of a width to whole pixels
      return [scale * (event.clientX - box.left), scale * (event.clientY - box.top)];
    },
    inside: (z) => Math.abs(z[0] - center[0]) <= half && Math.abs(z[1] - center[1]) <= half,
    repaint() { dirty = true; },
    draw(colors, paintBack, paintFront) {
      fit();
      if (!width) return;
      if (dirty) { grid(behind, colors); clipped(behind, paintBack); dirty = false; }
      front.clearRect(0, 0, width, canvas.height);
      front.drawImage(back, 0, 0, width, side + MARGIN.top + MARGIN.bottom);
      clipped(front, paintFront, 7);
    },
    value(z, words) {
      canvas.setAttribute("aria-valuenow", z[0].toFixed(2));
      canvas.setAttribute("aria-valuetext", words);
    },
    stop: () => observer.disconnect(),
  };
  function clipped(context, paint, slack = 0) {
    context.save();
    context.beginPath();
    context.rect(MARGIN.left - slack, MARGIN.top - slack, side + 2 * slack, side + 2 * slack);
    context.clip();
    paint(context);
    context.restore();
  }
  function grid(context, colors) {
    context.clearRect(0, 0, width, canvas.height);
    const [left, top, right, bottom] = [MARGIN.left, MARGIN.top, MARGIN.left + side, MARGIN.top + side];
    const step = tickStep(half), digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    context.font = `11.5px ${getComputedStyle(canvas).fontFamily}`;
    context.lineWidth = 1;
    context.strokeStyle = colors.grid;
    context.fillStyle = colors.muted;
    const lines = (axis, paint) => {
      for (let k = Math.ceil((center[axis] - half) / step); k * step <= center[axis] + half; k++) paint(k * step);
    };
    context.textAlign = "center";
    context.textBaseline = "top";
    lines(0, (v) => {
      const x = Math.round(plane.toPixels([v, 0])[0]) + 0.5;
      stroke(context, x, top, x, bottom);
      if (x < right - 24) context.fillText(format(v, digits), x, bottom + 6);
    });
    context.textAlign = "right";
    context.textBaseline = "middle";
    lines(1, (v) => {
      const y = Math.round(plane.toPixels([0, v])[1]) + 0.5;
      stroke(context, left, y, right, y);
      if (y > top + 18) context.fillText(format(v, digits), left - 5, y);
    });
    context.fillStyle = colors.ink;
    context.fillText(labels[1], left - 5, top + 6);
    context.textBaseline = "top";
    context.fillText(labels[0], right, bottom + 6);
  }
  return plane;
}
function stroke(context, x1, y1, x2, y2) {
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x2, y2);
  context.stroke();
}

// One drag at a time: start(pixels, event) may return false to refuse; move and end follow the same pointer.
export function onDrag(plane, { start, move, end, hover }) {
  const { canvas } = plane;
  let pointer = null;
  canvas.addEventListener("pointerdown", (event) => {
    if (pointer !== null || event.button > 0) return;
    event.preventDefault();
    canvas.focus({ preventScroll: true, focusVisible: false });
    pointer = event.pointerId;
    canvas.setPointerCapture(pointer);
    start(plane.at(event), event);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId === pointer) move(plane.at(event), event);
    else if (pointer === null && event.pointerType === "mouse") hover(plane.at(event), event);
  });
  for (const type of ["pointerup", "pointercancel"])
    canvas.addEventListener(type, (event) => {
      if (event.pointerId !== pointer) return;
      pointer = null;
      end(plane.at(event), event);
    });
  canvas.addEventListener("pointerleave", () => hover(null));
}

export const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

// Fill or outline the ellipse of a ball; radius counts sigmas, at least half a pixel is drawn.
export function ellipse(context, plane, mu, logVar, radius = 1) {
  const [x, y] = plane.toPixels(mu), r = (k) => Math.max(0.5, radius * Math.exp(0.5 * logVar[k]) * plane.scale);
  context.beginPath();
  context.ellipse(x, y, r(0), r(1), 0, 0, 2 * Math.PI);
}
export function disk(context, [x, y], radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
}

// A point in hand: a dot with a rim that sets it off.
export function paintDot(context, at, radius, fill, rim, width = 2) {
  disk(context, at, radius);
  context.fillStyle = fill;
  context.fill();
  context.lineWidth = width;
  context.strokeStyle = rim;
  context.stroke();
}

// What the host says goes into the state now, where it is valid, and to `change` whenever it differs later.
export function followHost(host, state, valid, change) {
  for (const key of Object.keys(state)) {
    if (valid(key, host.get(key))) state[key] = host.get(key);
    host.on(key, () => {
      const value = host.get(key);
      if (valid(key, value) && String(value) !== String(state[key])) change({ [key]: value }, false);
    });
  }
}

// ---- the same mount in a notebook: values go to the kernel at most every 40 ms, and come from it at any time
export function renderLive(mount, { model, el }) {
  const stage = h("div", { class: "rv-stage" }), caption = h("figcaption");
  const { see, try_this } = model.get("_props");
  if (see) caption.append(h("b", {}, "See."), ` ${see} `);
  if (try_this) caption.append(h("b", {}, "Try."), ` ${try_this}`);
  const figure = h("figure", { class: "rv-figure rv-live" }, stage, caption);
  el.append(figure);
  stage.addEventListener("keydown", keepKeys);
  const waiting = {}, listeners = [];
  let timer = 0;
  const send = () => {
    timer = 0;
    for (const [key, value] of Object.entries(waiting)) { model.set(key, value); delete waiting[key]; }
    model.save_changes();
  };
  const host = {
    figure, props: model.get("_props"),
    asset: async (name) => unpack(model.get("_assets")[name]),
    get: (key) => model.get(key),
    set(patch) { Object.assign(waiting, patch); timer ||= setTimeout(send, 40); },
    on(key, callback) { listeners.push([`change:${key}`, callback]); model.on(`change:${key}`, callback); },
  };
  const mounted = mount(stage, host);
  return async () => {
    listeners.forEach(([event, callback]) => model.off(event, callback));
    clearTimeout(timer);
    (await mounted)();
  };
}
