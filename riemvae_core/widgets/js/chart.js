// A small chart of one coordinate: bars for what was counted, lines for the laws.
import { format } from "./numbers.js";
import { h } from "./stage.js";

const LOW = 22, HIGH = 6; // pixels below the bars for the values of the axis, and above them

// `bars` and each of `lines`, {values, dash}, hold one number for each of equal cells from `from` to `to`.
export function makeChart(parent, { name, from, to }) {
  const canvas = h("canvas", { class: "rv-chart", role: "img", "aria-label": name }), c = canvas.getContext("2d");
  parent.append(canvas);
  return {
    draw(colors, bars, lines) {
      const ratio = Math.min(3, devicePixelRatio || 1), { clientWidth: width, clientHeight: height } = canvas;
      if (canvas.width !== Math.round(width * ratio)) {
        canvas.width = Math.round(width * ratio);
        canvas.height = Math.round(height * ratio);
      }
      c.setTransform(ratio, 0, 0, ratio, 0, 0);
      c.clearRect(0, 0, width, height);
      const floor = height - LOW, cell = width / bars.length;
      const top = 1.15 * Math.max(...lines.flatMap(({ values }) => [...values]));
      const y = (v) => floor - Math.min(1, v / top) * (floor - HIGH);
      c.fillStyle = colors.data;
      bars.forEach((v, k) => c.fillRect(k * cell + 0.5, y(v), cell - 1, floor - y(v)));
      c.strokeStyle = colors.ink;
      for (const { values, dash } of lines) {
        c.lineWidth = 1.6;
        c.setLineDash(dash ? [4, 3] : []);
        c.beginPath();
        values.forEach((v, k) => { c.lineTo(k * cell, y(v)); c.lineTo((k + 1) * cell, y(v)); });
        c.stroke();
      }
      c.setLineDash([]);
      c.strokeStyle = colors.grid;
      c.lineWidth = 1;
      c.beginPath();
      c.moveTo(0, floor + 0.5);
      c.lineTo(width, floor + 0.5);
      c.stroke();
      c.font = `11.5px ${getComputedStyle(canvas).fontFamily}`;
      c.fillStyle = colors.muted;
      c.textBaseline = "top";
      for (const [at, align, words] of [[0, "left", format(from, 1)], [width / 2, "center", name], [width, "right", format(to, 1)]]) {
        c.textAlign = align;
        c.fillText(words, at, floor + 6);
      }
    },
    label(text) { canvas.setAttribute("aria-label", text); },
  };
}
