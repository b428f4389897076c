// Hamiltonian Monte Carlo on many chains, and the rules of the sampler released with the paper. No DOM here.
import { makeMetric } from "./metric.js";

const LOST = 1000; // nats of energy by which a path may miss its start before it is given up

// What a sampler does: `force(z, gradient)` is the log density whose gradient pulls, `price(z)` the one that the acceptance
// sees (null: the same), momenta have standard deviation `momentumStd`, and a step is jittered by up to a fifth or not.
export function uniformRules(balls) {
  const { logVolumeAndGradient } = makeMetric(balls);
  return { force: logVolumeAndGradient, price: null, momentumStd: 1, jitter: 0.2 };
}
const MAX_DET = 1e10;
export function releasedRules(balls) {
  const n = balls.mu.length / 2, priced = makeMetric({ ...balls, tau: 0 });
  const forced = makeMetric({ ...balls, tau: 0, lam: n * balls.lam });
  return {
    force(z, gradient) { // of log det, where log sqrt det was meant, with lambda counted n times
      const value = forced.logVolumeAndGradient(z, gradient);
      for (let k = 0; k < gradient.length; k++) gradient[k] *= 2;
      return 2 * value;
    },
    price: (z) => clampedVolume(priced.logVolume(z)),
    momentumStd: 0.5, jitter: 0,
  };
}
export const clampedVolume = (logVolume) => Math.min(logVolume, 0.5 * Math.log(MAX_DET));

// m chains at `start`, [m * d]: where they are, what the acceptance sees there, the pulling density and its gradient.
export function makeChains(rules, start, d = 2) {
  const z = Float64Array.from(start), m = z.length / d, vector = () => new Float64Array(m * d), scalar = () => new Float64Array(m);
  const chains = { rules, d, m, z, gradient: vector(), value: scalar(), priced: scalar(), moves: 0, acceptance: 0 };
  for (let i = 0; i < m; i++) {
    const at = z.subarray(i * d, (i + 1) * d);
    chains.value[i] = rules.force(at, chains.gradient.subarray(i * d, (i + 1) * d));
    chains.priced[i] = rules.price ? rules.price(at) : chains.value[i];
  }
  return chains;
}

// nSteps of the leapfrog. `path` is {z, v, g, value}: point, momentum, gradient and log density, all changed in place;
// value ends as minus infinity where the path was given up. `visit` is shown each point.
export function leapfrog(force, path, step, nSteps, visit) {
  const { z, v, g } = path, d = z.length, before = path.value - kinetic(v);
  for (let s = 0; s < nSteps; s++) {
    for (let k = 0; k < d; k++) {
      v[k] += 0.5 * step * g[k];
      z[k] += step * v[k];
    }
    path.value = force(z, g);
    for (let k = 0; k < d; k++) v[k] += 0.5 * step * g[k];
    visit?.(z);
    if (!(before - path.value + kinetic(v) < LOST)) {
      path.value = -Infinity;
      return;
    }
  }
}
function kinetic(v) {
  let sum = 0;
  for (let k = 0; k < v.length; k++) sum += v[k] * v[k];
  return 0.5 * sum;
}

// One move of every chain, with the randomness of `random`: all momenta, then all jitters, then what decides. Returns for
// each chain the probability with which it was accepted. `visit` is shown the first chain's path.
export function moveChains(chains, { step, nSteps, random, visit }) {
  const { rules, d, m } = chains, accepted = new Float64Array(m);
  const momenta = Float64Array.from({ length: m * d }, () => rules.momentumStd * random.normal());
  const jitter = () => (rules.jitter ? 1 - rules.jitter + 2 * rules.jitter * random.uniform() : 1);
  const steps = Float64Array.from({ length: m }, () => step * jitter());
  const path = { z: new Float64Array(d), g: new Float64Array(d) };
  let moved = 0;
  for (let i = 0; i < m; i++) {
    path.z.set(chains.z.subarray(i * d, (i + 1) * d));
    path.g.set(chains.gradient.subarray(i * d, (i + 1) * d));
    path.v = momenta.subarray(i * d, (i + 1) * d);
    path.value = chains.value[i];
    const before = kinetic(path.v);
    leapfrog(rules.force, path, steps[i], nSteps, i === 0 ? visit : undefined);
    const priced = rules.price && path.value > -Infinity ? rules.price(path.z) : path.value;
    const logRatio = priced - chains.priced[i] + before - kinetic(path.v);
    accepted[i] = Math.exp(Math.min(0, logRatio));
    if (!(Math.log(random.uniform()) < logRatio)) continue;
    moved++;
    chains.z.set(path.z, i * d);
    chains.gradient.set(path.g, i * d);
    chains.value[i] = path.value;
    chains.priced[i] = priced;
  }
  chains.moves++;
  chains.acceptance += (moved / m - chains.acceptance) / chains.moves;
  return accepted;
}
