// The metric that posterior balls draw, G(z) = sum_i w_i(z) / sigma_i^2 + lambda exp(-tau |z|^2) I with
// w_i = exp(-m_i^2 / rho^2) and m_i the Mahalanobis distance to ball i: diagonal, in any number of dimensions. No DOM here.

const FLOOR = -40; // weights below exp(-40) of the largest one change no digit that anyone sees

// {mu, logVar: [n * d], rho, lam, tau} -> what can be asked of the metric at a point z, an array of d numbers.
// Sums are taken relative to their largest term, so that nothing underflows far from all balls.
export function makeMetric({ mu, logVar, rho, lam, tau }, d = 2) {
  const n = mu.length / d, centers = Float64Array.from(mu), logLam = Math.log(lam);
  const precision = Float64Array.from(logVar, (v) => Math.exp(-v)), scaled = precision.map((p) => p / (rho * rho));
  const logs = new Float64Array(n), weights = new Float64Array(n), near = new Int32Array(n), diagonal = new Float64Array(d);
  let count = 0, background = 0; // of the point asked last: how many balls weigh at all, which, and what the void adds

  function measure(z) { // fills `diagonal` with G over exp(shift) and returns the shift
    let square = 0;
    for (let k = 0; k < d; k++) square += z[k] * z[k];
    const logBackground = logLam - tau * square;
    let shift = logBackground;
    if (d === 2) { // by far the most frequent case, without an inner loop
      const x = z[0], y = z[1];
      for (let i = 0, at = 0; i < n; i++, at += 2) {
        const across = x - centers[at], up = y - centers[at + 1];
        logs[i] = -scaled[at] * across * across - scaled[at + 1] * up * up;
        if (logs[i] > shift) shift = logs[i];
      }
    } else {
      for (let i = 0, at = 0; i < n; i++, at += d) {
        let sum = 0;
        for (let k = 0, j = at; k < d && sum - shift >= FLOOR; k++, j++) sum -= scaled[j] * (z[k] - centers[j]) * (z[k] - centers[j]);
        logs[i] = sum;
        if (sum > shift) shift = sum;
      }
    }
    background = Math.exp(logBackground - shift);
    diagonal.fill(background);
    count = 0;
    for (let i = 0; i < n; i++) {
      if (logs[i] - shift < FLOOR) continue;
      const weight = Math.exp(logs[i] - shift);
      near[count] = i;
      weights[count++] = weight;
      for (let k = 0; k < d; k++) diagonal[k] += weight * precision[i * d + k];
    }
    return shift;
  }
  function logVolume(z) {
    let sum = d * measure(z);
    for (let k = 0; k < d; k++) sum += Math.log(diagonal[k]);
    return 0.5 * sum;
  }
  return {
    n, d, logVolume,
    logDiagonal(z) {
      const shift = measure(z);
      return Array.from(diagonal, (g) => Math.log(g) + shift);
    },
    // log sqrt det G(z); writes its gradient into `gradient`
    logVolumeAndGradient(z, gradient) {
      const value = logVolume(z);
      let inverses = 0;
      for (let k = 0; k < d; k++) inverses += 1 / diagonal[k];
      for (let k = 0; k < d; k++) gradient[k] = -tau * z[k] * background * inverses;
      for (let j = 0; j < count; j++) {
        const first = near[j] * d;
        let share = 0;
        for (let k = 0; k < d; k++) share += precision[first + k] / diagonal[k];
        for (let k = 0; k < d; k++) gradient[k] -= share * weights[j] * scaled[first + k] * (z[k] - centers[first + k]);
      }
      return value;
    },
    // the ball nearest to z by its own Mahalanobis distance
    nearestBall(z) {
      let best = Infinity, index = -1;
      for (let i = 0, at = 0; i < n; i++) {
        let sum = 0;
        for (let k = 0; k < d; k++, at++) sum += precision[at] * (z[k] - centers[at]) ** 2;
        if (sum < best) [best, index] = [sum, i];
      }
      return { index, distance: Math.sqrt(best) };
    },
  };
}

// rho, lam and tau for all of some balls, by the rules of the core's `PosteriorMetric.fit`.
export function fitMetric({ mu, logVar }, d, background = 1e-3) {
  const n = mu.length / d, rho = Math.sqrt(d), spread = (background * n) ** (2 / d) * rho * rho; // spread: lam / tau
  const spent = logVar.reduce((sum, v) => sum + Math.exp(v), 0) / n, moment = mu.reduce((sum, m) => sum + m * m, 0) / n;
  const lam = Math.min(0.02 / spent, spread / (spent + moment));
  return { rho, lam, tau: lam / spread };
}

// The balls of a subset, [index, ...], as arrays of their own.
export function pickBalls({ mu, logVar }, indices, d = 2) {
  const pick = (array) => Float64Array.from({ length: indices.length * d }, (_, k) => array[indices[Math.floor(k / d)] * d + (k % d)]);
  return { mu: pick(mu), logVar: pick(logVar) };
}

// log sqrt det G at the n x n midpoints of a square of the plane, row by row from the top, into `out`.
// A diagonal ball is a function of z_1 times a function of z_2, so that exp is called n times for each ball and axis and
// the rest are sums of products, over no more than the part of the square where a ball weighs more than exp(-100).
export function volumeOnGrid({ mu, logVar, rho, lam, tau }, { center, half }, n, out = new Float32Array(n * n)) {
  const first = new Float64Array(n), second = new Float64Array(n), profile = new Float64Array(n), cell = (2 * half) / n;
  const across = (j) => center[0] - half + (j + 0.5) * cell, down = (j) => center[1] + half - (j + 0.5) * cell;
  const windows = ballWindows({ mu, logVar, rho }, { center, half }, n);
  const profiles = windows.map(({ left, right }, i) => Float64Array.from({ length: Math.max(0, right - left) },
    (_, j) => Math.exp(-((across(left + j) - mu[2 * i]) ** 2) * Math.exp(-logVar[2 * i]) / rho ** 2)));
  const precision = Float64Array.from(logVar, (v) => Math.exp(-v));
  for (let j = 0; j < n; j++) profile[j] = Math.exp(-tau * across(j) ** 2);
  for (let row = 0; row < n; row++) {
    const y = down(row), fade = lam * Math.exp(-tau * y * y);
    for (let j = 0; j < n; j++) first[j] = second[j] = fade * profile[j];
    for (let i = 0; i < windows.length; i++) {
      const { left, right, top, bottom } = windows[i];
      if (row < top || row >= bottom) continue;
      const weight = Math.exp((-((y - mu[2 * i + 1]) ** 2) * precision[2 * i + 1]) / (rho * rho));
      const a = weight * precision[2 * i], b = weight * precision[2 * i + 1], values = profiles[i];
      for (let j = left, k = 0; j < right; j++, k++) {
        first[j] += a * values[k];
        second[j] += b * values[k];
      }
    }
    for (let j = 0, at = row * n; j < n; j++, at++) out[at] = 0.5 * Math.log(first[j] * second[j]);
  }
  return out;
}

// The columns and rows of the grid within which each ball weighs more than exp(-100).
const REACH = 10;
export function ballWindows({ mu, logVar, rho }, { center, half }, n) {
  const scale = n / (2 * half), bound = (v) => Math.min(n, Math.max(0, v));
  return Array.from({ length: mu.length / 2 }, (_, i) => {
    const reach = [0, 1].map((k) => REACH * rho * Math.exp(0.5 * logVar[2 * i + k]));
    const x = mu[2 * i] - center[0] + half, y = half - mu[2 * i + 1] + center[1];
    return {
      left: bound(Math.floor((x - reach[0]) * scale)), right: bound(Math.ceil((x + reach[0]) * scale)),
      top: bound(Math.floor((y - reach[1]) * scale)), bottom: bound(Math.ceil((y + reach[1]) * scale)),
    };
  });
}

// The finest of some grids that `volumeOnGrid` fills with at most so many pairs of ball and midpoint; else the coarsest.
export function gridWithin(balls, frame, sizes, pairs) {
  const area = ({ left, right, top, bottom }) => Math.max(0, right - left) * Math.max(0, bottom - top);
  const cost = (n) => ballWindows(balls, frame, n).reduce((sum, window) => sum + area(window), n * n);
  return [...sizes].sort((a, b) => b - a).find((n) => cost(n) <= pairs) ?? Math.min(...sizes);
}
