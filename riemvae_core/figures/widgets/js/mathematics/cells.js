// Codes in a plane: their cells, who goes to which, how a codebook learns. Points lie flat, [x, y, x, y, ...]. No DOM here.

// The part of a box [left, low, right, high] that is nearer to code k than to any other, a polygon [[x, y], ...]: the box
// cut by a half-plane for each other code. Of codes at one place the first has the cell.
export function cellOf(codebook, k, [left, low, right, high]) {
  const x = codebook[2 * k], y = codebook[2 * k + 1];
  let cell = [[left, low], [right, low], [right, high], [left, high]];
  for (let j = 0; 2 * j < codebook.length && cell.length; j++) {
    const a = codebook[2 * j] - x, b = codebook[2 * j + 1] - y;
    if (a !== 0 || b !== 0) cell = cut(cell, a, b, a * (x + a / 2) + b * (y + b / 2));
    else if (j < k) cell = [];
  }
  return cell;
}

// The part of a convex polygon where a x + b y <= c. Sutherland and Hodgman (1974).
function cut(polygon, a, b, c) {
  const over = polygon.map(([x, y]) => a * x + b * y - c), kept = [];
  if (over.every((value) => value <= 0)) return polygon;
  polygon.forEach((corner, i) => {
    const before = (i + polygon.length - 1) % polygon.length;
    if (over[i] > 0 !== over[before] > 0) {
      const t = over[before] / (over[before] - over[i]);
      kept.push([0, 1].map((axis) => polygon[before][axis] + t * (corner[axis] - polygon[before][axis])));
    }
    if (over[i] <= 0) kept.push(corner);
  });
  return kept;
}

// What every point makes of a codebook. A code's weight in a point is what equally likely balls N(e, softness^2 I) say of a
// draw there; with softness 0 the nearest code has all of it, and of codes equally near the first.
// For each point: `nearest` code and the weighted mean of the codes, `means`. For each code: the `counts` and `sums` of its
// points by weight, the `hits` by nearest code. Over all: codes with a hit, `used`, the `perplexity` of the counts, and the
// `error`: mean squared distance to the nearest code, or -2 softness^2 log of the mean over codes of
// exp(-|z - e|^2 / (2 softness^2)), which tends to it.
export function assign(points, codebook, softness) {
  const n = points.length / 2, k = codebook.length / 2, unit = 2 * softness * softness, weights = new Float64Array(k);
  const nearest = new Int32Array(n), means = new Float64Array(2 * n);
  const counts = new Float64Array(k), sums = new Float64Array(2 * k), hits = new Float64Array(k);
  let error = 0;
  for (let i = 0; i < n; i++) {
    const x = points[2 * i], y = points[2 * i + 1];
    let least = Infinity, first = 0, total = 1;
    for (let j = 0; j < k; j++) {
      const square = (weights[j] = (x - codebook[2 * j]) ** 2 + (y - codebook[2 * j + 1]) ** 2);
      if (square < least) [least, first] = [square, j];
    }
    if (unit > 0) {
      total = 0;
      for (let j = 0; j < k; j++) total += weights[j] = Math.exp((least - weights[j]) / unit);
      error -= unit * Math.log(total / k);
    } else for (let j = 0; j < k; j++) weights[j] = j === first ? 1 : 0;
    error += least;
    nearest[i] = first;
    hits[first]++;
    for (let j = 0; j < k; j++) {
      const weight = weights[j] / total;
      counts[j] += weight;
      for (const axis of [0, 1]) {
        sums[2 * j + axis] += weight * points[2 * i + axis];
        means[2 * i + axis] += weight * codebook[2 * j + axis];
      }
    }
  }
  const used = hits.reduce((sum, hit) => sum + (hit > 0), 0);
  return { nearest, means, counts, sums, hits, used, perplexity: perplexity(counts), error: error / n };
}

function perplexity(counts) {
  const total = counts.reduce((sum, count) => sum + count, 0);
  return Math.exp(counts.reduce((sum, count) => sum - (count > 0 ? (count / total) * Math.log(count / total) : 0), 0));
}

// Every code at the mean of its points by weight: a step of k-means, or with a softness of EM. A code without any stays.
export const stepped = (codebook, { counts, sums }) =>
  codebook.map((old, i) => (counts[i >> 1] > 0 ? sums[i] / counts[i >> 1] : old));

// Every code without a hit on a point of its own: those with the largest noise, one number for each point.
export function revived(codebook, { hits }, points, noise) {
  const order = Array.from(noise.keys()).sort((a, b) => noise[b] - noise[a]), moved = codebook.slice();
  let next = 0;
  for (let k = 0; k < hits.length && next < order.length; k++)
    if (hits[k] === 0) moved.set(points.subarray(2 * order[next], 2 * order[next++] + 2), 2 * k);
  return moved;
}
