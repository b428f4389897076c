// The one ball that is in hand: its handles, its picture in the plane, its bill.
import { format } from "../mathematics/numbers.js";
import { disk, ellipse, faint, h, paintDot } from "./stage.js";

export const STEM = 15; // pixels between the rim of the ball and the handle of a radius
const PARTS = { reconstruction: "reconstruction", pull: "β × pull", barrier: "β × barrier" };

// A ball's bill as a small table: two bars on one scale above two columns of numbers.
export function makeBill(parent) {
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

// Where the hand takes hold, in pixels: the center, and for each axis the rim and the handle beyond it.
export function handlesOf(plane, mu, logVar) {
  const [x, y] = plane.toPixels(mu), [a, b] = [0, 1].map((k) => Math.exp(0.5 * logVar[k]) * plane.scale);
  return { center: [x, y], rims: [[x + a, y], [x, y - b]], radii: [[x + a + STEM, y], [x, y - b - STEM]] };
}

// The ball with its draws and handles, and a dashed line where training left it.
export function paintSelected(c, plane, colors, { home, ball: [mu, logVar], draws }) {
  const { center, rims, radii } = handlesOf(plane, mu, logVar);
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
    paintDot(c, at, 4.5, colors.ground, colors.ink, 1.6);
  });
  paintDot(c, center, 5.5, colors.ink, colors.ground, 1.6);
}
