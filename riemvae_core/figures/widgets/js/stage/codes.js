// What a codebook looks like in its plane: cells, balls, codes, and where each image's point is read.
import { disk, faint, paintDot } from "./stage.js";

const at = (plane, array, k) => plane.toPixels(array.subarray(2 * k, 2 * k + 2));

export function paintPoints(c, plane, colors, points, without) {
  c.fillStyle = faint(colors.data, 0.75);
  for (let i = 0; 2 * i < points.length; i++) {
    if (i === without) continue;
    disk(c, at(plane, points, i), 2.2);
    c.fill();
  }
}

// Cells with one of them tinted, and the codes' balls of radius `softness`.
export function paintCells(c, plane, colors, { cells, tinted, codebook, softness }) {
  const outline = (cell) => {
    c.beginPath();
    for (const corner of cell) c.lineTo(...plane.toPixels(corner));
    c.closePath();
  };
  outline(cells[tinted]);
  c.fillStyle = faint(colors.codes, 0.16);
  c.fill();
  c.strokeStyle = colors.codes;
  c.lineWidth = 0.9;
  for (const cell of cells) {
    outline(cell);
    c.stroke();
  }
  if (softness === 0) return;
  c.strokeStyle = faint(colors.codes, 0.4);
  for (let k = 0; k < cells.length; k++) {
    disk(c, at(plane, codebook, k), softness * plane.scale);
    c.stroke();
  }
}

// The codes, with thin lines that lead each point to where it is read; what is in hand is left out.
export function paintCodes(c, plane, colors, { points, read, selected, codebook, hand }) {
  c.strokeStyle = faint(colors.data, 0.45);
  c.lineWidth = 0.7;
  for (let i = 0; 2 * i < points.length; i++) if (i !== selected) line(c, at(plane, points, i), at(plane, read, i));
  for (let k = 0; 2 * k < codebook.length; k++)
    if (k !== hand) paintDot(c, at(plane, codebook, k), 4.5, colors.codes, colors.ground, 1.4);
}

// The chosen image's point with a line to where it is read and a dashed one from its home; the code in hand, if any.
export function paintInHand(c, plane, colors, { point, read, home, code }) {
  const [to, from, base] = [read, point, home].map(plane.toPixels);
  if (Math.hypot(from[0] - base[0], from[1] - base[1]) > 1) {
    c.strokeStyle = colors.data;
    c.lineWidth = 1.2;
    c.setLineDash([4, 3]);
    line(c, base, from);
    c.setLineDash([]);
    disk(c, base, 3);
    c.stroke();
  }
  c.strokeStyle = colors.ink;
  c.lineWidth = 1.1;
  line(c, from, to);
  disk(c, to, 7.5);
  c.stroke();
  if (code) paintDot(c, plane.toPixels(code), 7.5, colors.codes, colors.ink);
  paintDot(c, from, code ? 5.5 : 7.5, colors.ink, colors.ground);
}

function line(c, from, to) {
  c.beginPath();
  c.moveTo(...from);
  c.lineTo(...to);
  c.stroke();
}
