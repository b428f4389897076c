// Tiles out of one picture: gray ones as ink on the page's ground, colored ones as they are.
import { h } from "./stage.js";

const GAP = 2, BETWEEN = 14, TILE = 56; // canvas pixels

// The picture in a file's bytes, whose tiles are `shape` [channels, height, width] and `columns` a row.
export async function readSheet(bytes, { shape, columns }) {
  const bitmap = await createImageBitmap(new Blob([bytes])), [channels, height, width] = shape;
  const canvas = document.createElement("canvas");
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height), gray = pixels.data.filter((_, i) => i % 4 === 0);
  return {
    value: (tile, y, x) => gray[(height * Math.floor(tile / columns) + y) * canvas.width + width * (tile % columns) + x] / 255,
    ink(hex) {
      if (channels > 1) return;
      const rgb = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
      gray.forEach((v, i) => { pixels.data.set(rgb, 4 * i); pixels.data[4 * i + 3] = v; });
      context.putImageData(pixels, 0, 0);
    },
    paint(target, tile, left, top) {
      target.imageSmoothingEnabled = false;
      target.drawImage(canvas, width * (tile % columns), height * Math.floor(tile / columns), width, height, left, top, TILE, TILE);
    },
  };
}

// A board of pairs: in each row of pairs a tile, and below it another one.
export function makePairs(parent, { rows, columns }) {
  const canvas = h("canvas", {
    class: "rv-board", role: "img", width: columns * (TILE + GAP) - GAP, height: rows * (2 * TILE + GAP + BETWEEN) - BETWEEN,
  });
  const context = canvas.getContext("2d");
  parent.append(canvas);
  return {
    canvas,
    draw(sheet, pairs) {
      context.clearRect(0, 0, canvas.width, canvas.height);
      pairs.forEach((pair, k) => pair.forEach((tile, second) => sheet.paint(context, tile, (k % columns) * (TILE + GAP),
        Math.floor(k / columns) * (2 * TILE + GAP + BETWEEN) + second * (TILE + GAP))));
    },
    label(words) { canvas.setAttribute("aria-label", words); },
  };
}
