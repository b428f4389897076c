// What single rows do to a latent space, as `space/crowds.py` of the core finds it: duplicates, a crowd, rows of unusual
// leverage, log variances that are something else. No DOM here.
import { logSumExp } from "./mixture.js";

export const NEAR_LIMIT = 10_000; // balls among which near duplicates are looked for: pairs grow with their square
const CROWD_SHARE = 0.5, NEAR_CHANCE = 1e-7, RING = 16, FAR = 10, SMALL_OR_LARGE = 8, TINY = 2 ** -1022;
const COARSE_SHARE = 0.01, FORMATS = { f4: ["float32", 2 ** -23], f8: ["float64", 2 ** -52] }; // their names and steps at 1
const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
export const median = (values) => [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)]; // torch's: the lower

const column = (values, k, d) => Float64Array.from({ length: values.length / d }, (_, i) => values[i * d + k]);
const range = (n) => Array.from({ length: n }, (_, i) => i);

// The squared distance of rows i and j, or a part of it that is enough already.
function squareUpTo(most, mu, i, j, d) {
  let sum = 0;
  for (let k = 0; k < d && sum < most; k++) sum += (mu[i * d + k] - mu[j * d + k]) ** 2;
  return sum;
}

export function nearestOther(mu, i, n, d) {
  let least = Infinity, nearest = -1;
  for (let j = 0; j < n; j++) {
    const square = j === i ? Infinity : squareUpTo(least, mu, i, j, d);
    if (square < least) [least, nearest] = [square, j];
  }
  return nearest;
}

// Rows that repeat an earlier one, center and log variances.
function duplicates({ mu, logVar, n, d }) {
  const seen = new Set(), words = (i) => [mu, logVar].map((values) => values.subarray(i * d, (i + 1) * d).join()).join();
  return range(n).filter((i) => seen.size === seen.add(words(i)).size);
}

// The distances from row i to the `count` nearest of some other rows, in order.
function nearestDistances(mu, i, rows, d, count) {
  const found = new Float64Array(count).fill(Infinity);
  for (const j of rows) {
    if (j === i) continue;
    let at = count - 1;
    const square = squareUpTo(found[at], mu, i, j, d);
    if (!(square < found[at])) continue;
    for (; at > 0 && found[at - 1] > square; at--) found[at] = found[at - 1];
    found[at] = square;
  }
  return found.map(Math.sqrt);
}

// How far the nearest row is, were each there once, and how many dimensions the rows fill: `_spacing` of the core.
function spacing(distances, active) {
  const k = distances[0].length, axes = Math.max(active, 1), growth = (near, far) =>
    median(distances.map((own) => Math.log2(Math.max(own[far - 1], TINY) / Math.max(own[near - 1], TINY))));
  const dimension = k < RING ? axes : Math.min(axes, Math.max(1, ...[2, 4, 8].map((near) => 1 / growth(near, 2 * near))));
  return { dimension, scale: median(distances.map((own) => own[k - 1])) * k ** (-1 / dimension) };
}

// Rows whose center is much nearer to another one than by chance, though not the same.
function* nearDuplicates({ mu, n, d }, same, active) {
  const skip = new Set(same), kept = range(n).filter((i) => !skip.has(i)), count = Math.min(RING, kept.length - 1), distances = [];
  for (let i = 0; i < n; i++) {
    if (!skip.has(i)) distances.push(nearestDistances(mu, i, kept, d, count));
    yield;
  }
  if (kept.length < 3) return [];
  const { dimension, scale } = spacing(distances, active), limit = Math.min(0.1, NEAR_CHANCE ** (1 / dimension)) * scale;
  return kept.filter((_, at) => distances[at][0] < limit);
}

// Rows far from all others by center or by radii, measured by medians; the farthest first.
function unusualRows({ mu, logVar, n, d }) {
  if (n < 5) return [];
  const centers = range(d).map((k) => median(column(mu, k, d))), middle = range(d).map((k) => median(column(logVar, k, d)));
  const away = mu.map((m, at) => Math.abs(m - centers[at % d]));
  const spread = range(d).map((k) => 1.4826 * median(column(away, k, d)));
  const least = 0.1 * Math.sqrt(mean(spread.map((s) => s * s))), scale = spread.map((s) => Math.max(s, least, TINY));
  const of = (i, value) => mean(range(d).map((k) => value(i * d + k, k)));
  const turn = range(n).map((i) => Math.abs(of(i, (at, k) => logVar[at] - middle[k]))), most = SMALL_OR_LARGE + 10 * median(turn);
  const score = turn.map((t, i) => Math.max(t / most, Math.sqrt(of(i, (at, k) => (away[at] / scale[k]) ** 2)) / FAR));
  const rows = range(n).filter((i) => score[i] > 1);
  return rows.length <= 0.05 * n ? rows.sort((a, b) => score[b] - score[a]) : [];
}

// What the log variances look like instead, by their signs and the second moment that each reading gives; or null.
function readWrongly({ mu, logVar, d }) {
  const readings = { log_var: Math.exp, "log sigma": (v) => Math.exp(2 * v), sigma: (v) => v * v, "sigma^2": (v) => v };
  const squares = range(d).map((k) => mean(column(mu, k, d).map((m) => m * m)));
  const off = (name) => squares.map((s, k) => Math.abs(s + mean(column(logVar, k, d).map(readings[name])) - 1));
  if (logVar.every((v) => v >= 0) && logVar.some((v) => v > 0)) {
    return median(off("sigma")) <= median(off("sigma^2")) ? "sigma" : "sigma^2";
  }
  return median(off("log_var")) > 0.15 && off("log sigma").every((x) => x < 0.05) ? "log sigma" : null;
}

// The balls about one place with the largest share of the volume that balls take, of a metric's balls; `rows` names them.
function* largestCrowd({ mu, logVar, rho }, d, rows) {
  const n = mu.length / d, logMass = [], precision = logVar.map((v) => Math.exp(-v)), square = (i, j) => {
    let sum = 0;
    for (let k = 0; k < d; k++) sum += (mu[i * d + k] - mu[j * d + k]) ** 2 * precision[j * d + k];
    return sum;
  };
  for (let i = 0; i < n; i++) {
    const there = new Float64Array(d);
    for (let j = 0; j < n; j++) {
      const weight = Math.exp(-square(i, j) / rho ** 2);
      if (weight > 1e-35) for (let k = 0; k < d; k++) there[k] += weight * precision[j * d + k];
    }
    const relative = there.map((g, k) => Math.log(g) + logVar[i * d + k]);
    logMass.push(0.5 * relative.reduce((a, b) => a + b, 0) - logSumExp(relative));
    yield;
  }
  const total = logSumExp(logMass), order = range(n).sort((i, j) => logMass[j] - logMass[i]).slice(0, 64);
  let crowd = { share: -1, rows: [] };
  for (const i of order) {
    const members = range(n).filter((j) => j === i || square(i, j) < Math.LN2 * rho ** 2);
    const share = members.reduce((sum, j) => sum + Math.exp(logMass[j] - total), 0);
    if (share > crowd.share + 1e-12) crowd = { share, rows: members };
  }
  return { share: crowd.share, rows: crowd.rows.map((i) => (rows ? rows[i] : i)) };
}

// How often `examineRows` yields, with a metric of so many balls.
export const rowSteps = ({ n }, metric) => (n <= NEAR_LIMIT ? n : 0) + metric.n;

// `metric` is {n, balls, rows}: of how many balls, which, and which rows of the latents they are (all, if undefined).
export function* examineRows(latents, active, metric) {
  const same = duplicates(latents), few = latents.n <= NEAR_LIMIT;
  return {
    same, close: few ? yield* nearDuplicates(latents, same, active) : null, unusual: unusualRows(latents),
    crowd: yield* largestCrowd(metric.balls, latents.d, metric.rows), looks: readWrongly(latents),
  };
}

export const inGroups = (n) => n.toLocaleString("en-US");
const counted = (n, noun) => `${inGroups(n)} ${noun}${n === 1 ? "" : "s"}`;

// The first eight in words, and how many there are more.
export function listed(found) {
  const shown = found.slice(0, 8).join(", ");
  return found.length <= 8 ? shown : `${shown} and ${found.length - 8} more`;
}

// What rows do, and what so few can't tell, in the core's own words.
export function rowWarnings({ same, close, unusual, crowd, looks }, n, d, collapsed) {
  const said = [], near = close ?? [];
  if (looks) said.push(`log_var looks like ${looks}, not log sigma^2: convert it, or every radius is wrong.`);
  if (unusual.length)
    said.push(`${counted(unusual.length, "row")} of unusual leverage (${listed(unusual)}): so far from all others that one may move ` +
      "every number here. Look at the images, and at their range.");
  if (same.length + near.length && !collapsed)
    said.push(`${counted(same.length, "ball")} repeat an earlier one (${listed(same) || "none"}), ${near.length} lie next to another ` +
      `(${listed(near) || "none"}): the uniform law counts B copies about B^${d / 2} times. Encode each image once.`);
  if (crowd.share > CROWD_SHARE && crowd.rows.length < 0.5 * n)
    said.push(`${(100 * crowd.share).toFixed(0)}% of the uniform law lies in one crowd of ${crowd.rows.length} of ${n} balls ` +
      `(${listed(crowd.rows)}).`);
  if (n <= d)
    said.push(`${counted(n, "ball")} in ${counted(d, "dimension")} can't tell axes in use from idle ones, nor how the balls are ` +
      "spread: encode more images than axes.");
  return said;
}

// What a format, in which the latents came, can't hold: radii of a few steps from one number to the next.
export function digitWarnings({ mu, logVar, dtype }) {
  const [name, step] = FORMATS[dtype], share = mean(mu.map((m, at) => Math.exp(0.5 * logVar[at]) <= 4 * step * Math.abs(m) ? 1 : 0));
  const remedy = dtype === "f8" ? "subtract their mean" : "encode in float64, or subtract the mean";
  return share > COARSE_SHARE ? [`${(100 * share).toFixed(0)}% of the radii are below the digits of ${name} at these centers: a draw ` +
    `is one of few points. Remedy: ${remedy}.`] : [];
}
