// The state of a latent space in numbers and in words, as `latent_health` of the core reports it, with the draws of its seed 0.
// No DOM here.
import { logSumExp, makeMixture } from "./mixture.js";
import { format, klBarrier, significant } from "./numbers.js";
import { digitWarnings, examineRows, inGroups, listed, median, nearestOther, NEAR_LIMIT, rowSteps, rowWarnings } from "./rows.js";
import { makeTorchRandom } from "./torch_random.js";

export const ACTIVE_VARIANCE = 0.01, DEAD_NATS = 0.005; // of an axis's centers; of its mean KL
const MOMENT_TOLERANCE = 0.1, LONELY_SHARE = 0.9, PRIOR_GAP_NATS = 1, BACKGROUND_SHARE = 0.05;
const PROBES = 2048, STUDENT = 1.96112356; // 97.5% of Student's law with PROBES - 1 degrees of freedom
const QUANTILES = [0, 0.05, 0.5, 0.95, 1];

function interval(values) {
  const n = values.length, mean = values.reduce((a, b) => a + b, 0) / n;
  const half = STUDENT * Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (n - 1) / n);
  return { mean, low: mean - half, high: mean + half };
}

// Python's round: halves to the even neighbor
const rounded = (x) => (x % 1 === 0.5 ? 2 * Math.round(x / 2) : Math.round(x));

// What one axis of balls [n * d] is: KL in nats, variance of the centers, second moment, five quantiles of the radius.
export function axisFacts({ mu, logVar, n, d }, axis) {
  const centers = new Float64Array(n), logs = new Float64Array(n);
  for (let i = 0; i < n; i++) [centers[i], logs[i]] = [mu[i * d + axis], logVar[i * d + axis]];
  const square = centers.reduce((sum, m) => sum + m * m, 0) / n, mean = centers.reduce((a, b) => a + b, 0) / n;
  const kl = 0.5 * square + klBarrier(logs) / n, sorted = logs.slice().sort();
  const variance = centers.reduce((sum, m) => sum + (m - mean) ** 2, 0) / (n - 1);
  return {
    kl, variance, moment: square + logs.reduce((sum, v) => sum + Math.exp(v), 0) / n,
    radii: QUANTILES.map((q) => Math.exp(0.5 * sorted[rounded(q * (n - 1))])),
    dead: kl < DEAD_NATS, active: variance > ACTIVE_VARIANCE,
  };
}

function* atDraws({ mu, logVar, n, d, dtype }, random) {
  const probes = Int32Array.from({ length: PROBES }, () => random.below(n)), eps = random.normals(PROBES * d, dtype);
  const aggregate = makeMixture(mu, logVar, new Float64Array(n).fill(-Math.log(n)), d), z = new Float64Array(d);
  const information = [], share = [], gap = [];
  for (const [p, i] of probes.entries()) {
    let square = 0;
    for (let k = 0; k < d; k++) {
      z[k] = mu[i * d + k] + Math.exp(0.5 * logVar[i * d + k]) * eps[p * d + k];
      square += z[k] * z[k];
    }
    const q = aggregate.logDensity(z, 0, i), own = aggregate.logOf(i, z) + Math.log(n);
    information.push(own - q);
    share.push(Math.min(1, Math.exp(own - q - Math.log(n))));
    gap.push(q + 0.5 * (square + d * Math.log(2 * Math.PI)));
    yield;
  }
  return [information, share, gap].map(interval);
}

// The Bhattacharyya coefficient of balls i and j, from 0 to 1.
export function overlapOf({ mu, logVar, d }, i, j) {
  let distance = 0;
  for (let k = 0; k < d; k++) {
    const a = logVar[i * d + k], b = logVar[j * d + k], sum = logSumExp([a, b]), gap = mu[i * d + k] - mu[j * d + k];
    distance += 0.25 * gap * gap * Math.exp(-sum) + 0.5 * (sum - Math.log(2) - 0.5 * (a + b));
  }
  return Math.exp(-distance);
}

// `axes` holds the facts of each; `metric` is {n, share, balls, rows}: how many balls it has, the share of its uniform law
// in the background, the balls, and which rows they are (all, where that is undefined).
export const healthSteps = (latents, metric) => 2 * PROBES + rowSteps(latents, metric); // so many times this yields
export function* latentHealth(latents, axes, metric) {
  const { n, d } = latents, random = makeTorchRandom(0);
  const [information, own_share, prior_gap] = yield* atDraws(latents, random), overlaps = [];
  const probes = Array.from({ length: PROBES }, () => random.below(n));
  for (const i of probes) {
    overlaps.push(overlapOf(latents, i, nearestOther(latents.mu, i, n, d)));
    yield;
  }
  const rows = yield* examineRows(latents, axes.filter(({ active }) => active).length, metric);
  const report = { n_balls: n, axes, overlap: interval(overlaps), own_share, information, prior_gap, metric, rows };
  return { ...report, warnings: [...healthWarnings(report), ...digitWarnings(latents)] };
}

// Rows of a name and a value, in the order of the core's table.
export function healthRows({ n_balls: n, axes, overlap, own_share: own, information, prior_gap: gap, metric, rows }) {
  const d = axes.length, counted = (what) => `${axes.filter((axis) => axis[what]).length} of ${d}`;
  const span = ({ mean, low, high }, write) => `${write(mean)} [${write(low)}, ${write(high)}]`, two = (v) => format(v);
  const moments = axes.map(({ moment }) => moment), radius = (q) => significant(median(axes.map(({ radii }) => radii[q])));
  return [
    ["active axes", counted("active"), `variance of the centers above ${ACTIVE_VARIANCE}`],
    ["dead axes", counted("dead"), `KL below ${DEAD_NATS} nats`],
    ["KL of a ball, mean", `${two(axes.reduce((sum, { kl }) => sum + kl, 0))} nats`, "the sum of the next two"],
    ["information I(x; z)", `${span(information, two)} nats`, `at most log n, ${two(Math.log(n))}`],
    ["aggregate to prior", `${span(gap, two)} nats`, "KL of q(z) from N(0, I)"],
    ["second moment", `${two(Math.min(...moments))} to ${two(Math.max(...moments))}`, "of an axis, 1 at rest"],
    ["radius", [1, 2, 3].map(radius).join(" / "), "5%, 50% and 95%, of the median axis"],
    ["overlap", span(overlap, (v) => format(v, 3)), "with the nearest ball, 0 to 1"],
    ["own share", span(own, (v) => format(v, 3)), "of a ball in the density at its draws"],
    ["background", `${format(100 * metric.share)}%`, "of the uniform law, if balls are apart"],
    ["largest crowd", `${format(100 * rows.crowd.share)}%`, `of the uniform law in ${rows.crowd.rows.length} of ${metric.n} balls`],
    ["copies", inGroups(rows.same.length), "balls that repeat an earlier one"],
    ["near copies", rows.close ? inGroups(rows.close.length) : "–", `looked for among ${inGroups(NEAR_LIMIT)} balls at most`],
  ];
}

// What is wrong, in the core's own words; axes are counted from 0, as there.
export function healthWarnings({ n_balls: n, axes, own_share: own, prior_gap: gap, metric, rows }) {
  const where = (test) => axes.flatMap((axis, k) => (test(axis) ? [k] : [])), d = axes.length, said = [];
  const dead = where((axis) => axis.dead), off = where(({ moment }) => Math.abs(moment - 1) > MOMENT_TOLERANCE);
  if (dead.length === d) said.push("Every axis is dead: the posterior has collapsed, and all images decode to one.");
  else if (dead.length) said.push(`${dead.length} of ${d} axes are dead (${listed(dead)}): they bring the decoder nothing but noise.`);
  if (off.length)
    said.push(`E mu^2 + E sigma^2 is off 1 by more than ${MOMENT_TOLERANCE} on axes ${listed(off)}: draws of the prior are spread ` +
      "otherwise than what the decoder was trained on.");
  if (own.mean > LONELY_SHARE)
    said.push("The balls hardly touch: each image has a place of its own, and between them the decoder was never trained. The " +
      "latent space is a list of points.");
  if (gap.low > PRIOR_GAP_NATS)
    said.push(`The aggregate posterior is ${gap.mean.toFixed(1)} nats from the prior: draws of the prior often fall where no image is.`);
  if (metric.share > BACKGROUND_SHARE)
    said.push(`${(100 * metric.share).toFixed(0)}% of the uniform law lies in the empty background: raise tau, or fit the metric ` +
      "with a smaller background.");
  return [...said, ...rowWarnings(rows, n, d, dead.length === d)];
}
