// Mixtures of diagonal Gaussians with masses, and what a posterior metric's uniform law would be if no two balls overlapped. What
// takes long is a generator that yields now and then, so that a page stays awake. No DOM here.

export const LOG_2PI = Math.log(2 * Math.PI);
export const NEGLIGIBLE = -40; // components below exp(-40) of the largest one change no digit that anyone sees

export function logSumExp(values) {
  let top = -Infinity, sum = 0;
  for (const v of values) top = Math.max(top, v);
  for (const v of values) sum += Math.exp(v - top);
  return top + Math.log(sum);
}

// The axes along which centers differ most in units of their balls come first: there a far component shows first that it is far.
function tellingAxes(mu, logVar, d) {
  const n = mu.length / d, mean = new Float64Array(d), spread = new Float64Array(d);
  mu.forEach((m, at) => { mean[at % d] += m / n; });
  mu.forEach((m, at) => { spread[at % d] += (m - mean[at % d]) ** 2 * Math.exp(-logVar[at]); });
  return [...spread.keys()].sort((a, b) => spread[b] - spread[a]);
}

// q(z) = sum_i exp(a_i) N(z; mu_i, diag exp logVar_i): mu and logVar are [k * d], logMass holds the a_i.
export function makeMixture(mu, logVar, logMass, d) {
  const k = logMass.length, logTotal = logSumExp(logMass), logs = new Float64Array(k), axes = tellingAxes(mu, logVar, d);
  const arranged = (values) => Float64Array.from(values, (_, at) => values[at - (at % d) + axes[at % d]]);
  const centers = arranged(mu), precision = arranged(logVar).map((v) => Math.exp(-v));
  const offset = Float64Array.from(logMass, (a, i) => {
    for (let j = i * d; j < (i + 1) * d; j++) a -= 0.5 * (logVar[j] + LOG_2PI);
    return a;
  });
  function logOf(i, z, start, least) { // of component i at z[start ...], or something below `least`
    let log = offset[i];
    for (let j = 0, at = i * d; j < d && log >= least; j++, at++) {
      const gap = z[start + axes[j]] - centers[at];
      log -= 0.5 * precision[at] * gap * gap;
    }
    return log;
  }
  return {
    d, k, mu, logVar, logMass, logTotal, logOf: (i, z, start = 0) => logOf(i, z, start, -Infinity),
    // log q at z[start ...]; `guess` is a component that is near, if one is known
    logDensity(z, start = 0, guess = 0) {
      let top = logOf(guess, z, start, -Infinity), sum = 0;
      for (let i = 0; i < k; i++) {
        logs[i] = logOf(i, z, start, top + NEGLIGIBLE);
        if (logs[i] > top) top = logs[i];
      }
      for (let i = 0; i < k; i++) if (logs[i] > top + NEGLIGIBLE) sum += Math.exp(logs[i] - top);
      return top + Math.log(sum);
    },
    // independent draws [n * d] and the component that each came from
    sample(n, random, dtype) {
      const index = random.multinomial(logMass.map((a) => Math.exp(a - logTotal)), n), eps = random.normals(n * d, dtype);
      return { index, z: eps.map((e, at) => {
        const j = index[Math.floor(at / d)] * d + (at % d);
        return mu[j] + Math.exp(0.5 * logVar[j]) * e;
      }) };
    },
  };
}

// The balls of a metric, each with the volume it has alone, and last its background.
export function mixtureOfMetric({ mu, logVar, rho, lam, tau }, d) {
  const n = mu.length / d, widen = 2 * Math.log(rho) - Math.log(d), fade = -Math.log(tau * d);
  const join = (values, count, last) => {
    const all = new Float64Array(values.length + count).fill(last);
    all.set(values);
    return all;
  };
  const masses = new Float64Array(n).fill(0.5 * d * (LOG_2PI + widen));
  return makeMixture(join(mu, d, 0), join(Float64Array.from(logVar, (v) => v + widen), d, fade),
    join(masses, 1, 0.5 * d * (LOG_2PI + Math.log(lam) + fade)), d);
}
export const backgroundShare = ({ logMass, logTotal }) => Math.exp(logMass[logMass.length - 1] - logTotal);

// The same with the mass of each ball as large as the crowd at its center makes it.
export function* proposalOfMetric(balls, metric) {
  const { d, n } = metric, plain = mixtureOfMetric(balls, d), masses = plain.logMass.slice();
  for (let i = 0; i < n; i++) {
    const volume = metric.logVolume(balls.mu.subarray(i * d, (i + 1) * d));
    if (!Number.isFinite(volume)) throw new Error(`log √det G is ${volume} at the center of ball ${i}`);
    masses[i] += volume - plain.logDensity(plain.mu, i * d, i);
    yield;
  }
  return makeMixture(plain.mu, plain.logVar, masses, d);
}
