// A small chart of equal cells side by side: bars for what was counted, lines for the laws.
import { h } from "./stage.js";

const LOW = 22, HIGH = 6; // pixels below the bars for the values of the axis, and above them

const highest = (lines) => Math.max(...lines.flatMap(({ values }) => [...values]));

// `bars` and each of `lines`, {values, dash}, hold one number for each cell; `ends` are the words below the first and the last.
// Of a bar's `color` and of the `top`, the value as high as the chart, the caller may have other ideas.
export function makeChart(parent, { name, ends }) {
  const canvas = h("canvas", { class: "rv-chart", role: "img", "aria-label": name }), c = canvas.getContext("2d");
  parent.append(canvas);
  return {
    draw(colors, bars, lines, { color = () => colors.data, top = 1.15 * highest(lines), below = ends } = {}) {
      const ratio = Math.min(3, devicePixelRatio || 1), { clientWidth: width, clientHeight: height } = canvas;
      if (canvas.width !== Math.round(width * ratio)) {
        canvas.width = Math.round(width * ratio);
        canvas.height = Math.round(height * ratio);
      }
      c.setTransform(ratio, 0, 0, ratio, 0, 0);
      c.clearRect(0, 0, width, height);
      const floor = height - LOW, cell = width / bars.length;
      const y = (v) => floor - Math.min(1, v / top) * (floor - HIGH);
      bars.forEach((v, k) => {
        c.fillStyle = color(k);
        c.fillRect(k * cell + 0.5, y(v), cell - 1, floor - y(v));
      });
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
      for (const [at, align, words] of [[0, "left", below[0]], [width / 2, "center", name], [width, "right", below[1]]]) {
        c.textAlign = align;
        c.fillText(words, at, floor + 6);
      }
    },
    label(text) { canvas.setAttribute("aria-label", text); },
  };
}
