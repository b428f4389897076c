// A field over a latent plane in the plots' own table of colors, its color bar, and what stands out on it. A field is the
// same in light and dark, and so are the lines on it.
import { clamp, format } from "../mathematics/numbers.js";
import { ARROWS, ellipse, h, LIGHT, onDrag, paintDot } from "./stage.js";

// `table` holds 256 colors, [r, g, b, r, g, b, ...]; `range` the values of the first and the last.
export function makeField(table, [low, high], { center, half }) {
  const canvas = document.createElement("canvas"), context = canvas.getContext("2d");
  const colors = Uint32Array.from({ length: 256 }, (_, k) =>
    (255 << 24) | (table[3 * k + 2] << 16) | (table[3 * k + 1] << 8) | table[3 * k]);
  let pixels = null;
  return {
    set(values, n) {
      if (canvas.width !== n || !pixels) {
        canvas.width = canvas.height = n;
        pixels = context.createImageData(n, n);
      }
      const words = new Uint32Array(pixels.data.buffer), scale = 256 / (high - low);
      for (let k = 0; k < n * n; k++) words[k] = colors[clamp((values[k] - low) * scale, 0, 255) | 0];
      context.putImageData(pixels, 0, 0);
    },
    paint(c, plane) {
      const [x, y] = plane.toPixels([center[0] - half, center[1] + half]), side = 2 * half * plane.scale;
      c.imageSmoothingEnabled = true;
      c.drawImage(canvas, x, y, side, side);
    },
  };
}

// The colors from left to right with values below; what lies beyond takes the color of the end.
export function makeColorBar(parent, table, [low, high], name) {
  const stops = Array.from({ length: 17 }, (_, k) => Math.round((255 * k) / 16));
  const gradient = stops.map((k) => `rgb(${table.subarray(3 * k, 3 * k + 3).join(" ")})`).join(", ");
  const ticks = [0, 1, 2, 3, 4].map((k) => low + ((high - low) * k) / 4);
  const words = ticks.map((v, k) => `${{ 0: "≤ ", 4: "≥ " }[k] ?? ""}${format(v, Number.isInteger(v) ? 0 : 1)}`);
  const bar = h("div", { class: "rv-colors", style: `background: linear-gradient(to right, ${gradient})` });
  const label = `Color bar of ${name}, dark blue to yellow: ${words[0]} to ${words[4]}`;
  parent.append(h("div", { class: "rv-colorbar", role: "img", "aria-label": label },
    h("span", {}, name), h("div", {}, bar, h("div", { class: "rv-ticks" }, ...words.map((w) => h("span", {}, w))))));
}

// Stroke what was traced twice, so that it stands out on any color: wide in white, then in its own.
export function outline(c, color, width) {
  for (const [style, w] of [[LIGHT.ground, width + 2], [color, width]]) {
    c.strokeStyle = style;
    c.lineWidth = w;
    c.stroke();
  }
}

// The outlines of all balls, [x, y, x, y, ...].
export function paintBalls(c, plane, { mu, logVar }) {
  c.lineWidth = 0.9;
  c.strokeStyle = LIGHT.posterior;
  for (let k = 0; k < mu.length; k += 2) {
    ellipse(c, plane, mu.subarray(k, k + 2), logVar.subarray(k, k + 2));
    c.stroke();
  }
}

// One path around all of some points, [x, y, x, y, ...]; `radius` is a number, or a function of a point's place in the list.
export function traceDots(c, plane, z, radius) {
  c.beginPath();
  for (let i = 0; i < z.length; i += 2) {
    const [x, y] = plane.toPixels([z[i], z[i + 1]]), r = typeof radius === "function" ? radius(i / 2) : radius;
    if (r === 0) continue;
    c.moveTo(x + r, y);
    c.arc(x, y, r, 0, 7);
  }
}

// Points on a field, in white with a dark rim.
export function paintWalkers(c, plane, z) {
  traceDots(c, plane, z, 2);
  c.fillStyle = LIGHT.ground;
  c.fill();
  c.lineWidth = 0.8;
  c.strokeStyle = LIGHT.ink;
  c.stroke();
}

// The point in hand.
export function paintKnob(c, at) {
  paintDot(c, at, 5.5, LIGHT.ink, LIGHT.ground, 1.6);
}

// A knob on the plane that may be away (`at()` is empty): the pointer brings it, arrows push it, from the middle at first,
// and Home sends it away.
export function holdKnob(plane, middle, at, put) {
  const hold = (pixel) => put(plane.toPlane(...pixel));
  onDrag(plane, { start: hold, move: hold, end() {}, hover() {} });
  plane.canvas.addEventListener("keydown", (event) => {
    const stride = event.shiftKey ? 0.25 : 0.05, arrow = ARROWS[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (arrow) put((at().length ? at() : middle).map((v, k) => v + stride * arrow[k]));
    else if (event.key === "Home") put([]);
    else return;
    event.preventDefault();
  });
}
