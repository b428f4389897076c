// Draws from a metric's uniform law, sqrt det G, by weighing draws from the mixture of its balls, and how far they can be
// trusted: what `sample_by_importance` of the core does, in its order, so that a seed gives the same draws. No DOM here.
import { logSumExp, proposalOfMetric } from "./mixture.js";
import { firstAtLeast } from "./torch_random.js";

export const PARETO_LIMIT = 0.7;
const MOST = 64; // times the effective size that is wanted
const ROOM = 2 ** 24; // numbers that all proposals may hold

export const importanceEss = (logWeights) => Math.exp(2 * logSumExp(logWeights) - logSumExp(logWeights.map((w) => 2 * w)));

// Shape k of the Pareto tail of weights (Zhang and Stephens, 2009): from 0.7 on an estimate can't be trusted.
export function paretoK(logWeights) {
  const sorted = Float64Array.from(logWeights).sort(), n = sorted.length, top = sorted[n - 1];
  const tail = Math.ceil(Math.min(0.2 * n, 3 * Math.sqrt(n))), cut = Math.exp(sorted[n - tail - 1] - top);
  const x = sorted.subarray(n - tail).map((w) => Math.exp(w - top) - cut), grid = 30 + Math.floor(Math.sqrt(tail));
  if (x[tail - 1] <= 0.01) return 0;
  for (let i = 0; i < tail; i++) x[i] = Math.max(x[i], 1e-30);
  const shape = (b) => x.reduce((sum, v) => sum + Math.log1p(-b * v), 0) / tail;
  const quarter = 3 * x[Math.floor(tail / 4 + 0.5) - 1];
  const rates = Float64Array.from({ length: grid }, (_, i) => 1 / x[tail - 1] + (1 - Math.sqrt(grid / (i + 0.5))) / quarter);
  const profile = rates.map((b) => {
    const k = shape(b);
    return tail * (Math.log(-b / k) - k - 1);
  });
  const total = logSumExp(profile), rate = rates.reduce((sum, b, i) => sum + b * Math.exp(profile[i] - total), 0);
  return (tail * shape(rate) + 5) / (tail + 10);
}

// Systematic resampling in random order: index i comes n times its weight, rounded up or down.
export function resample(weights, n, random) {
  const shuffled = (count) => {
    const keys = Float64Array.from({ length: count }, random.uniform);
    return Array.from(keys.keys()).sort((a, b) => keys[a] - keys[b]);
  };
  const order = shuffled(weights.length), ends = Float64Array.from(order, (i) => weights[i]);
  for (let i = 1; i < ends.length; i++) ends[i] += ends[i - 1];
  const total = ends[ends.length - 1], first = random.uniform();
  const index = Array.from({ length: n }, (_, i) => order[Math.min(firstAtLeast(ends, ((i + first) / n) * total), ends.length - 1)]);
  return shuffled(n).map((i) => index[i]);
}

// n draws with what is known of them. `dtype`, "f4" or "f8", is that of the tensors whose draws the core would make.
export function* sampleByImportance(balls, metric, n, random, dtype) {
  const { d } = metric, mixture = yield* proposalOfMetric(balls, metric), wanted = Math.max(4 * n, 2000);
  const most = wanted * Math.max(1, Math.min(MOST, Math.floor(ROOM / (wanted * d)))), last = mixture.k - 1;
  const z = [], logWeights = [], shares = [];
  function* propose(count) {
    const drawn = mixture.sample(count, random, dtype);
    for (let i = 0; i < count; i++) {
      const point = drawn.z.subarray(i * d, (i + 1) * d), base = mixture.logDensity(point, 0, drawn.index[i]);
      z.push(point);
      logWeights.push(metric.logVolume(point) - base);
      shares.push(Math.exp(mixture.logOf(last, point) - base));
      yield;
    }
  }
  yield* propose(wanted);
  let ess = importanceEss(logWeights);
  while (ess < wanted && z.length < most && ((1.2 * wanted) / ess) * z.length <= most) {
    yield* propose(Math.ceil(((1.2 * wanted) / ess - 1) * z.length));
    ess = importanceEss(logWeights);
  }
  const total = logSumExp(logWeights), weights = Float64Array.from(logWeights, (w) => Math.exp(w - total)), k = paretoK(logWeights);
  const points = resample(weights, n, random).map((i) => z[i]);
  return {
    n, d, wanted, proposals: z.length, ess, pareto: k,
    z: Float64Array.from({ length: n * d }, (_, at) => points[Math.floor(at / d)][at % d]),
    log_volume: mixture.logTotal + total - Math.log(z.length),
    log_volume_error: Math.sqrt(Math.max(1 / ess - 1 / z.length, 0)),
    acceptance: ess / z.length,
    background_share: weights.reduce((sum, w, i) => sum + w * shares[i], 0),
    largest: weights.reduce((a, b) => Math.max(a, b), 0),
    converged: ess >= wanted && (ess >= 0.9 * z.length || k < PARETO_LIMIT),
  };
}

// Whether draws can be trusted, and why, in words.
export function verdict({ converged, ess, wanted, proposals, pareto, largest }) {
  const count = (v) => Math.floor(v).toLocaleString("en-US");
  if (converged)
    return `${count(proposals)} proposals are worth ${count(ess)}, and ${count(wanted)} were wanted. ` +
      (ess >= 0.9 * proposals ? "Their weights are nearly even." : `Their weights’ tail is light: Pareto k is ${pareto.toFixed(2)}.`);
  const caution = "Don’t trust these draws; sample_uniform of the core tempers where this fails.";
  if (ess >= wanted)
    return `The weights’ tail is too heavy: Pareto k is ${pareto.toFixed(2)}, and ${PARETO_LIMIT} is the limit. ${caution}`;
  return `The mixture proposes what the law rarely wants: ${count(proposals)} proposals are worth ${count(ess)}, ${count(wanted)} ` +
    `were wanted, and the largest weight holds ${(100 * largest).toFixed(0)}%. ${caution}`;
}
