// The laws between a mixture and the volume element on a grid of the plane: exact, where particles only estimate. No DOM here.
import { logSumAround } from "./histogram.js";
import { LOG_2PI, logSumExp } from "./mixture.js";

const LEAST = 1e-300; // below it a sum of products has no logarithm worth having

// exp(-(t - center)^2 * rate) at the n midpoints of one axis, from the left or from the top
function profile(n, low, high, center, rate) {
  return Float64Array.from({ length: n }, (_, j) => Math.exp(-rate * (low + ((j + 0.5) / n) * (high - low) - center) ** 2));
}

// log of the mixture and of the volume element (as in `makeVolume`) at n x n midpoints, row by row from the top.
export function lawsOnGrid({ mu, logVar, rho }, start, axes, { center, half }, n) {
  const [left, right, top, bottom] = [center[0] - half, center[0] + half, center[1] + half, center[1] - half];
  const base = new Float64Array(n * n), sums = [0, 1, 2].map(() => new Float64Array(n * n));
  const spread = (into, across, down, factors) => { // a diagonal ball is a product of its profiles
    for (let row = 0, at = 0; row < n; row++)
      for (let column = 0; column < n; column++, at++) {
        const w = across[column] * down[row];
        for (let c = 0; c < into.length; c++) into[c][at] += factors[c] * w;
      }
  };
  for (let i = 0; i < mu.length; i += 2) {
    const tight = [0, 1].map((k) => Math.exp(-logVar[i + k])), [a, b] = tight.map((p) => p / rho ** 2);
    spread(sums, profile(n, left, right, mu[i], a), profile(n, top, bottom, mu[i + 1], b), [...tight, 1]);
  }
  const most = Math.max(...start.logMass);
  start.logMass.forEach((mass, k) => {
    const logs = [0, 1].map((c) => start.logVar[2 * k + c]), [a, b] = logs.map((v) => 0.5 * Math.exp(-v));
    const factor = Math.exp(mass - most - LOG_2PI - 0.5 * (logs[0] + logs[1]));
    spread([base], profile(n, left, right, start.mu[2 * k], a), profile(n, top, bottom, start.mu[2 * k + 1], b), [factor]);
  });
  const log = (v) => Math.log(Math.max(v, LEAST)), idle = axes / 2 - 1;
  const constant = idle * (LOG_2PI + 2 * Math.log(rho) - Math.log(axes));
  const goal = base.map((_, at) => 0.5 * (log(sums[0][at]) + log(sums[1][at])) + idle * log(sums[2][at]) + constant);
  return { base: base.map((v) => log(v) + most), goal, cell: 2 * Math.log((2 * half) / n) };
}

// The laws of all temperatures: at(t) gives the log density on the grid, not normalized, the log of its integral, and the log
// of what lies around the square, by a coarser grid of twice its side, in cells of the finer one.
export function makeTempered(balls, start, axes, frame, n) {
  const wide = { ...frame, half: 2 * frame.half };
  const [inner, outer] = [[frame, n], [wide, n / 2]].map(([place, k]) => lawsOnGrid(balls, start, axes, place, k));
  const mixed = ({ base, goal }, t) => base.map((v, at) => v + t * (goal[at] - v));
  return {
    at(temperature) {
      const values = mixed(inner, temperature), beyond = logSumAround(mixed(outer, temperature)) + outer.cell - inner.cell;
      return { values, beyond, exact: logSumExp([logSumExp(values), beyond]) + inner.cell };
    },
  };
}

// Weights (null: 1 each) of points [x, y, x, y, ...] in equal cells of one axis, as shares of all.
export function sharesOfCells(z, weights, { center, half }, cells, axis) {
  const shares = new Float64Array(cells), m = z.length / 2;
  for (let i = 0; i < m; i++) {
    const k = Math.floor(((z[2 * i + axis] - center[axis] + half) / (2 * half)) * cells);
    if (k >= 0 && k < cells) shares[k] += (weights ? weights[i] : 1) / m;
  }
  return shares;
}
