// Histograms over a square of the plane, and the masses that a density has in their cells. No DOM here.

// cells x cells counts, row by row from the top, and one count more for what lies outside.
export function makeHistogram({ center, half }, cells) {
  const counts = new Float64Array(cells * cells + 1), cell = (2 * half) / cells;
  const histogram = {
    counts, cells, total: 0,
    add(points) { // [x, y, x, y, ...]
      for (let i = 0; i + 1 < points.length; i += 2) {
        const column = Math.floor((points[i] - center[0] + half) / cell), row = Math.floor((half - points[i + 1] + center[1]) / cell);
        const inside = column >= 0 && column < cells && row >= 0 && row < cells;
        counts[inside ? row * cells + column : cells * cells]++;
      }
      histogram.total += points.length / 2;
    },
    clear() { counts.fill(0); histogram.total = 0; },
  };
  return histogram;
}

// Mass of each of cells x cells cells under a log density known at the (cells * fine)^2 midpoints of a finer grid, and
// last the mass outside: `beyond` is the log of the integral out there, in units of the fine grid's cell area.
export function cellMasses(logDensity, cells, beyond = -Infinity) {
  const n = Math.sqrt(logDensity.length), fine = n / cells, masses = new Float64Array(cells * cells + 1);
  let shift = beyond;
  for (const value of logDensity) if (value > shift) shift = value;
  for (let row = 0, at = 0; row < n; row++) {
    const first = Math.floor(row / fine) * cells;
    for (let column = 0; column < n; column++, at++) masses[first + Math.floor(column / fine)] += Math.exp(logDensity[at] - shift);
  }
  masses[cells * cells] = Math.exp(beyond - shift);
  let total = 0;
  for (const mass of masses) total += mass;
  return masses.map((mass) => mass / total);
}

// The log of the integral of a log density, known at midpoints, over all cells but those in the middle half of the square,
// in units of one cell's area.
export function logSumAround(logDensity) {
  const n = Math.sqrt(logDensity.length), inner = (k) => k >= n / 4 && k < (3 * n) / 4;
  let shift = -Infinity, sum = 0;
  logDensity.forEach((value, at) => { if (!(inner(Math.floor(at / n)) && inner(at % n))) shift = Math.max(shift, value); });
  logDensity.forEach((value, at) => { if (!(inner(Math.floor(at / n)) && inner(at % n))) sum += Math.exp(value - shift); });
  return Math.log(sum) + shift;
}

// Sums along the other axis, from left to right or from bottom to top; what lies outside is left out.
export function marginal(masses, cells, axis) {
  const sums = new Float64Array(cells);
  for (let row = 0, at = 0; row < cells; row++)
    for (let column = 0; column < cells; column++, at++) sums[axis === 0 ? column : cells - 1 - row] += masses[at];
  return sums;
}

// Half the sum of |counts / total - masses|: 0 for the same law, 1 for laws that never meet.
export function totalVariation(counts, total, masses) {
  let sum = 0;
  for (let k = 0; k < masses.length; k++) sum += Math.abs(counts[k] / total - masses[k]);
  return 0.5 * sum;
}

// What `total` independent draws from the masses themselves would show on average, each count taken as normal.
export function samplingNoise(masses, total) {
  let sum = 0;
  for (const p of masses) sum += Math.sqrt((2 * p * (1 - p)) / (Math.PI * total));
  return 0.5 * sum;
}
