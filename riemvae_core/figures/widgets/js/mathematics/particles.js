// Particles that sequential Monte Carlo leads from a mixture of balls to the volume element sqrt det G, as `sample_by_smc` of
// the core does, in its order, so that a seed gives the same particles. All is seen in a plane: of `axes` axes the balls
// differ on two, and on every other one all have center 0 and radius 1. There mixture and volume element are the same
// Gaussian function, which stays what it is at each temperature, so that the plane alone tells all. No DOM here.
import { makeChains, moveChains } from "./hmc.js";
import { importanceEss, PARETO_LIMIT, paretoK, resample } from "./importance.js";
import { LOG_2PI, logSumExp, makeMixture, NEGLIGIBLE } from "./mixture.js";

const MOST_TEMPERATURES = 300;
const ERROR_LIMIT = 0.1, R_HAT_LIMIT = 1.05, LEAST_ESS = 400, LEAST_WITNESSES = 25;

// Sums of exp(log_i) times some factors for each ball, and their gradients, at a point of the plane. `set` fills logs and pulls.
function makeSums(n, count) {
  const logs = new Float64Array(n), sums = new Float64Array(count), slopes = new Float64Array(2 * count);
  return {
    logs, sums, slopes,
    add(top, factor, pull) { // `factor(c, i)` of the sum c, `pull(k, i)`: the gradient of log_i
      sums.fill(0);
      slopes.fill(0);
      for (let i = 0; i < n; i++) {
        if (logs[i] - top < NEGLIGIBLE) continue;
        const w = Math.exp(logs[i] - top), a = pull(0, i), b = pull(1, i);
        for (let c = 0; c < count; c++) {
          const share = w * factor(c, i);
          sums[c] += share;
          slopes[2 * c] += share * a;
          slopes[2 * c + 1] += share * b;
        }
      }
    },
  };
}

// The volume element of balls {mu, logVar: [n * 2], rho} in `axes` axes, integrated over those that are not seen: at(z, g)
// returns its log at a point of the plane and writes the gradient into g.
export function makeVolume({ mu, logVar, rho }, axes) {
  const n = mu.length / 2, idle = axes / 2 - 1, sums = makeSums(n, 3), powers = [0.5, 0.5, idle];
  const precision = Float64Array.from(logVar, (v) => Math.exp(-v)), tight = precision.map((p) => p / rho ** 2);
  const constant = idle * (LOG_2PI + 2 * Math.log(rho) - Math.log(axes));
  let x = 0, y = 0;
  const factor = (c, i) => (c < 2 ? precision[2 * i + c] : 1);
  const pull = (k, i) => 2 * tight[2 * i + k] * (mu[2 * i + k] - (k ? y : x));
  return {
    at(z, g) {
      [x, y] = z;
      let top = -Infinity, value = constant;
      for (let i = 0; i < n; i++) {
        sums.logs[i] = -tight[2 * i] * (x - mu[2 * i]) ** 2 - tight[2 * i + 1] * (y - mu[2 * i + 1]) ** 2;
        if (sums.logs[i] > top) top = sums.logs[i];
      }
      sums.add(top, factor, pull);
      g.fill(0);
      for (let c = 0; c < 3; c++) {
        value += powers[c] * (Math.log(sums.sums[c]) + top);
        for (let k = 0; k < 2; k++) g[k] += (powers[c] * sums.slopes[2 * c + k]) / sums.sums[c];
      }
      return value;
    },
  };
}

// A mixture in the plane with the gradient of its log.
export function makeDensity({ mu, logVar, logMass }) {
  const n = logMass.length, sums = makeSums(n, 1), precision = Float64Array.from(logVar, (v) => Math.exp(-v));
  const offset = Float64Array.from(logMass, (a, i) => a - LOG_2PI - 0.5 * (logVar[2 * i] + logVar[2 * i + 1]));
  let x = 0, y = 0;
  const pull = (k, i) => precision[2 * i + k] * (mu[2 * i + k] - (k ? y : x));
  return {
    at(z, g) {
      [x, y] = z;
      let top = -Infinity;
      for (let i = 0; i < n; i++) {
        sums.logs[i] = offset[i] - 0.5 * (precision[2 * i] * (x - mu[2 * i]) ** 2 + precision[2 * i + 1] * (y - mu[2 * i + 1]) ** 2);
        if (sums.logs[i] > top) top = sums.logs[i];
      }
      sums.add(top, () => 1, pull);
      for (let k = 0; k < 2; k++) g[k] = sums.slopes[k] / sums.sums[0];
      return Math.log(sums.sums[0]) + top;
    },
  };
}

// Where particles begin: balls as each is alone, as heavy as the crowd at its center makes it, or `places` between and these.
export function makeStart(kind, { mu, logVar, rho }, axes, places) {
  const n = mu.length / 2, widen = 2 * Math.log(rho) - Math.log(axes), unseen = new Float64Array(2);
  const wide = Float64Array.from(logVar, (v) => v + widen), alone = new Float64Array(n).fill(0.5 * axes * (LOG_2PI + widen));
  if (kind === "alone") return makeMixture(Float64Array.from(mu), wide, alone, 2);
  const volume = makeVolume({ mu, logVar, rho }, axes), base = makeDensity({ mu, logVar: wide, logMass: alone });
  const crowded = alone.map((a, i) => {
    const center = mu.slice(2 * i, 2 * i + 2);
    return a + volume.at(center, unseen) - base.at(center, unseen);
  });
  if (kind === "crowded") return makeMixture(Float64Array.from(mu), wide, crowded, 2);
  const joined = (first, second) => Float64Array.from([...first, ...second]);
  return makeMixture(joined(places.mu, mu), joined(places.logVar, wide), joined(places.logMass, crowded), 2);
}

// The farthest temperature, at most 1, that leaves a share of the particles effective; by bisection.
export function nextTemperature(logRatio, temperature, share = 0.5) {
  const wanted = share * logRatio.length, enough = (step) => importanceEss(logRatio.map((v) => step * v)) >= wanted;
  let low = 0, high = 1 - temperature;
  if (enough(high)) return 1;
  for (let k = 0; k < 50; k++) {
    const middle = 0.5 * (low + high);
    if (enough(middle)) low = middle;
    else high = middle;
  }
  return temperature + low;
}

// Frames of the way from `start`, a mixture, to `volume`: where particles are, their weights (1 on average in an island; null
// if equal), which one of the frame before each came `from` (null: itself). The last one also says what may be said of them.
export function* temper({ volume, start, scale, islands, per, sweeps, random }) {
  const m = islands * per, base = makeDensity(start), unused = new Float64Array(2), logZ = new Float64Array(islands);
  let { z } = start.sample(m, random, "f8"), temperature = 0, step = 0.5 * 2 ** -0.25, first = null, accepted = NaN, effective = m;
  const frame = (kind, more) => ({
    kind, temperature, z, weights: null, from: null, sweep: 0, logZ: [...logZ], effective, accepted, ...more,
  });
  const ratios = () => Float64Array.from({ length: m }, (_, i) => {
    const at = z.subarray(2 * i, 2 * i + 2);
    return volume.at(at, unused) - base.at(at, unused);
  });
  yield frame("start");
  for (let count = 1, last; temperature < 1; count++) {
    const logRatio = ratios(), before = temperature;
    first ??= logRatio;
    temperature = count < MOST_TEMPERATURES ? nextTemperature(logRatio, before) : 1;
    const gain = logRatio.map((v) => (temperature - before) * v), weights = new Float64Array(m), from = new Int32Array(m);
    effective = importanceEss(gain);
    for (let k = 0; k < islands; k++) {
      const mine = gain.subarray(k * per, (k + 1) * per), total = logSumExp(mine);
      logZ[k] += total - Math.log(per);
      weights.set(mine.map((v) => per * Math.exp(v - total)), k * per);
    }
    yield frame("weighed", { weights });
    for (let k = 0; k < islands; k++) {
      const chosen = resample(weights.subarray(k * per, (k + 1) * per).map((w) => w / per), per, random);
      from.set(chosen.map((i) => i + k * per), k * per);
    }
    z = Float64Array.from({ length: 2 * m }, (_, at) => z[2 * from[at >> 1] + (at & 1)]);
    const done = temperature === 1, rules = rulesAt(temperature, volume, base, scale);
    const chains = makeChains(rules, z.map((v, at) => v / scale[at & 1]));
    const report = () => (done ? { report: summary(z, chains.value, logZ, start.logTotal, first) } : {});
    last = sweeps === 0 ? report() : {};
    yield frame("resampled", { from, ...last });
    for (let sweep = 1; sweep <= sweeps; sweep++) {
      const probability = moveChains(chains, { step, nSteps: 6, random: inOrder(random, 2 * m) });
      accepted = probability.reduce((sum, p) => sum + p, 0) / m;
      step *= Math.exp(accepted - 0.75);
      z = chains.z.map((v, at) => v * scale[at & 1]);
      yield frame("moved", { sweep, ...(sweep === sweeps ? report() : {}) });
    }
  }
}

// Hamiltonian moves at a temperature, in units of `scale`.
function rulesAt(temperature, volume, base, scale) {
  const at = new Float64Array(2), slope = new Float64Array(2);
  return {
    price: null, momentumStd: 1, jitter: 0.2,
    force(y, g) {
      for (let k = 0; k < 2; k++) at[k] = y[k] * scale[k];
      let value = volume.at(at, g);
      if (temperature < 1) {
        const other = base.at(at, slope);
        value = other + temperature * (value - other);
        for (let k = 0; k < 2; k++) g[k] = slope[k] + temperature * (g[k] - slope[k]);
      }
      for (let k = 0; k < 2; k++) g[k] *= scale[k];
      return value;
    },
  };
}
// torch draws all momenta at once.
function inOrder(random, count) {
  const normals = random.normals(count, "f8");
  let at = 0;
  return { normal: () => normals[at++], uniform: random.uniform };
}

const meanOf = (values) => values.reduce((sum, v) => sum + v, 0) / values.length;
function varianceOf(values) {
  const mean = meanOf(values);
  return values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (values.length - 1);
}
const chunks = (values, size) =>
  Array.from({ length: values.length / size }, (_, k) => values.subarray(k * size, (k + 1) * size));

// Islands as chains, each cut into halves.
function splitRHat(values, per) {
  const half = per >> 1, halves = chunks(values, per).flatMap((one) => [one.subarray(0, half), one.subarray(per - half)]);
  const within = meanOf(halves.map(varianceOf));
  return Math.sqrt((within * (half - 1) / half + varianceOf(halves.map(meanOf))) / within);
}

// The estimate of the log volume after some temperatures, and its standard error, from how far the islands' own differ.
export function volumeOf(logZ, logTotal) {
  const total = logSumExp(logZ), n = logZ.length, share = [...logZ].map((v) => n * Math.exp(v - total));
  return { log_volume: logTotal + total - Math.log(n), error: Math.sqrt(varianceOf(share) / n) };
}

// What the core says of the particles, from themselves alone: `first` are the log weights of the first ones.
function summary(z, logDensity, logZ, logTotal, first) {
  const islands = logZ.length, m = logDensity.length, per = m / islands, found = volumeOf(logZ, logTotal);
  const features = [z.filter((_, at) => !(at & 1)), z.filter((_, at) => at & 1), logDensity];
  const spread = meanOf(features.map((f) => varianceOf(chunks(f, per).map(meanOf)) / Math.max(varianceOf(f), 1e-300)));
  const share = logZ.map((v) => Math.exp(v - logSumExp(logZ)));
  const ess = Math.min(m, islands / Math.max(spread, 1e-300)) / share.reduce((sum, s) => sum + s * s, 0) / islands;
  const r_hat = Math.max(...features.map((f) => splitRHat(f, per)));
  const against = contradicted(first, found.log_volume - logTotal, found.error);
  return { ...found, ess, r_hat, converged: found.error <= ERROR_LIMIT && r_hat <= R_HAT_LIMIT && ess >= LEAST_ESS && !against };
}

// Whether weights of independent proposals speak against another's estimate of their log mean.
function contradicted(logWeights, value, error) {
  const ess = importanceEss(logWeights), n = logWeights.length, gap = logSumExp(logWeights) - Math.log(n) - value;
  if (ess < LEAST_WITNESSES || n < LEAST_WITNESSES) return gap > Math.log(20);
  const bound = 4 * Math.hypot(error, Math.sqrt(Math.max(1 / ess - 1 / n, 0))) + 0.05;
  return gap > bound || (gap < -bound && paretoK(logWeights) < PARETO_LIMIT);
}
