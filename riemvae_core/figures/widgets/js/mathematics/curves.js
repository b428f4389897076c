// Curves in the plane and their lengths under a diagonal metric. A ruler measures at a point: measure(x, y, out) fills out with
// log G_11, log G_22 and the slopes d1 log G_11, d2 log G_11, d1 log G_22, d2 log G_22. A curve is [x0, y0, x1, y1, ...]. No DOM.

const GAUSS = { // points and weights on [0, 1]
  2: [[0.21132486540518708, 0.7886751345948129], [0.5, 0.5]],
  8: [[0.019855071751231912, 0.10166676129318664, 0.2372337950418355, 0.4082826787521751,
    0.5917173212478248, 0.7627662049581645, 0.8983332387068134, 0.9801449282487681],
  [0.05061426814518853, 0.11119051722668721, 0.15685332293894344, 0.18134189168918083,
    0.18134189168918083, 0.15685332293894344, 0.11119051722668721, 0.05061426814518853]],
};

// A metric of balls as it is, without slopes: for the numbers that are reported.
export const exactRuler = (metric) => (x, y, out) => { [out[0], out[1]] = metric.logDiagonal([x, y]); };

// The same from a table of n x n points over [-half, half]^2, by cubic interpolation (Catmull and Rom, 1974): one
// hundredth of the work, continuous slopes. Beyond its edge the metric stays what it is there.
export function tableRuler(metric, half, n) {
  const tables = [new Float64Array(n * n), new Float64Array(n * n)], step = (2 * half) / (n - 1);
  for (let j = 0, at = 0; j < n; j++)
    for (let i = 0; i < n; i++, at++) [tables[0][at], tables[1][at]] = metric.logDiagonal([i * step - half, j * step - half]);
  const w = new Float64Array(4), dw = new Float64Array(4), u = new Float64Array(4), du = new Float64Array(4);
  function weigh(t, values, slopes) {
    values[0] = ((2 - t) * t - 1) * t / 2; values[1] = ((3 * t - 5) * t * t + 2) / 2;
    values[2] = ((4 - 3 * t) * t + 1) * t / 2; values[3] = (t - 1) * t * t / 2;
    slopes[0] = ((4 - 3 * t) * t - 1) / 2; slopes[1] = (9 * t - 10) * t / 2;
    slopes[2] = ((8 - 9 * t) * t + 1) / 2; slopes[3] = (3 * t - 2) * t / 2;
  }
  return (x, y, out) => {
    const p = Math.min(n - 2.001, Math.max(1.001, (x + half) / step)), q = Math.min(n - 2.001, Math.max(1.001, (y + half) / step));
    const i = Math.floor(p), j = Math.floor(q);
    weigh(p - i, w, dw);
    weigh(q - j, u, du);
    for (let k = 0; k < 2; k++) {
      let value = 0, across = 0, up = 0;
      for (let row = 0; row < 4; row++) {
        let sum = 0, slope = 0;
        for (let c = 0, at = (j + row - 1) * n + i - 1; c < 4; c++, at++) {
          sum += w[c] * tables[k][at];
          slope += dw[c] * tables[k][at];
        }
        value += u[row] * sum;
        across += u[row] * slope;
        up += du[row] * sum;
      }
      out[k] = value;
      out[2 + 2 * k] = across / step;
      out[3 + 2 * k] = up / step;
    }
  };
}

// The metric V^2 I of low cost, V = 1 / sqrt det G: lengths in it are the integral of V |dz|.
export const cheapRuler = (ruler) => (x, y, out) => {
  ruler(x, y, out);
  out[0] = out[1] = -(out[0] + out[1]);
  out[2] = out[4] = -(out[2] + out[4]);
  out[3] = out[5] = -(out[3] + out[5]);
};

const seen = new Float64Array(6);

// The length of each straight piece.
export function pieceLengths(ruler, curve, order = 2) {
  const [places, weights] = GAUSS[order];
  return Float64Array.from({ length: curve.length / 2 - 1 }, (_, k) => {
    const x = curve[2 * k], y = curve[2 * k + 1], dx = curve[2 * k + 2] - x, dy = curve[2 * k + 3] - y;
    let sum = 0;
    for (let q = 0; q < places.length; q++) {
      ruler(x + places[q] * dx, y + places[q] * dy, seen);
      sum += weights[q] * Math.sqrt(Math.exp(seen[0]) * dx * dx + Math.exp(seen[1]) * dy * dy);
    }
    return sum;
  });
}
export const curveLength = (ruler, curve) => pieceLengths(ruler, curve, 8).reduce((a, b) => a + b, 0);
export const plainLengths = (curve) =>
  Float64Array.from({ length: curve.length / 2 - 1 }, (_, k) =>
    Math.hypot(curve[2 * k + 2] - curve[2 * k], curve[2 * k + 3] - curve[2 * k + 1]));

export const straightLine = (a, b, n) =>
  Float64Array.from({ length: 2 * n }, (_, k) => a[k % 2] + ((b[k % 2] - a[k % 2]) * Math.floor(k / 2)) / (n - 1));

// n points at equal distances along a curve whose pieces have the given lengths; the ends stay.
export function respaced(curve, pieces, n) {
  const last = pieces.length - 1, total = pieces.reduce((a, b) => a + b, 0), out = new Float64Array(2 * n);
  if (!(total > 0)) return straightLine(curve.subarray(0, 2), curve.subarray(curve.length - 2), n);
  for (let i = 0, k = 0, before = 0; i < n; i++) {
    const wanted = (total * i) / (n - 1);
    while (k < last && before + pieces[k] < wanted) before += pieces[k++];
    const t = Math.min(1, Math.max(0, pieces[k] > 0 ? (wanted - before) / pieces[k] : 0));
    for (let axis = 0; axis < 2; axis++)
      out[2 * i + axis] = curve[2 * k + axis] + t * (curve[2 * k + 2 + axis] - curve[2 * k + axis]);
  }
  out.set(curve.subarray(0, 2));
  out.set(curve.subarray(curve.length - 2), 2 * n - 2);
  return out;
}

// The energy of a curve whose pieces take the given times. Writes its gradient (0 at the ends) and, for each piece and axis, the
// mean metric over the time, twice: the second derivative for a metric that stays as it is.
export function energyAndGradient(ruler, curve, times, gradient, stiffness) {
  const [places, weights] = GAUSS[2];
  let energy = 0;
  gradient.fill(0);
  for (let k = 0; k < times.length; k++) {
    const x = curve[2 * k], y = curve[2 * k + 1], dx = curve[2 * k + 2] - x, dy = curve[2 * k + 3] - y;
    let [first, second] = [0, 0];
    for (let q = 0; q < 2; q++) {
      const t = places[q], w = weights[q] / times[k];
      ruler(x + t * dx, y + t * dy, seen);
      const g = w * Math.exp(seen[0]), f = w * Math.exp(seen[1]), across = g * dx * dx, up = f * dy * dy;
      energy += across + up;
      first += 2 * g;
      second += 2 * f;
      for (let axis = 0; axis < 2; axis++) {
        const slope = across * seen[2 + axis] + up * seen[4 + axis];
        gradient[2 * k + axis] += (1 - t) * slope;
        gradient[2 * k + 2 + axis] += t * slope;
      }
    }
    stiffness[2 * k] = first;
    stiffness[2 * k + 1] = second;
    gradient[2 * k] -= first * dx;
    gradient[2 * k + 1] -= second * dy;
    gradient[2 * k + 2] += first * dx;
    gradient[2 * k + 3] += second * dy;
  }
  gradient[0] = gradient[1] = gradient[curve.length - 2] = gradient[curve.length - 1] = 0;
  return energy;
}
