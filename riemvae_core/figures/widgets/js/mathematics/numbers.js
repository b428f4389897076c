// What every live figure computes: packed arrays, the decoder, balls and their price. No DOM here.

export const halfToFloat = (bits) => {
  const sign = bits >> 15 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
};

// {header: [{name, dtype, shape}], data: bytes} -> {name: Float32Array or Uint8Array}, as packed by assets.py
export function unpack({ header, data }) {
  const arrays = {};
  let offset = data.byteOffset;
  for (const { name, dtype, shape } of header) {
    const n = shape.reduce((a, b) => a * b, 1), size = Number(dtype[1]);
    const bytes = data.buffer.slice(offset, (offset += n * size));
    if (dtype === "u1") arrays[name] = new Uint8Array(bytes);
    else if (dtype === "f4") arrays[name] = new Float32Array(bytes);
    else arrays[name] = Float32Array.from(new Uint16Array(bytes), halfToFloat);
  }
  return arrays;
}

// An MLP with SiLU between its layers and a sigmoid at its end. decode(z) overwrites and returns one buffer of pixels.
export function makeDecoder(arrays) {
  const layers = [];
  for (let l = 0; arrays[`weight.${l}`]; l++) {
    const weight = arrays[`weight.${l}`], bias = arrays[`bias.${l}`], m = bias.length;
    layers.push({ weight, bias, m, n: weight.length / m, out: new Float32Array(m) });
  }
  return (z) => {
    let x = z;
    layers.forEach(({ weight, bias, m, n, out }, l) => {
      const last = l === layers.length - 1;
      for (let row = 0, k = 0; row < m; row++) {
        let a = bias[row], b = 0, c = 0, d = 0, i = 0;
        for (; i + 3 < n; i += 4, k += 4) {
          a += weight[k] * x[i];
          b += weight[k + 1] * x[i + 1];
          c += weight[k + 2] * x[i + 2];
          d += weight[k + 3] * x[i + 3];
        }
        for (; i < n; i++, k++) a += weight[k] * x[i];
        const s = a + b + c + d, gate = 1 / (1 + Math.exp(-s));
        out[row] = last ? gate : s * gate;
      }
      x = out;
    });
    return x;
  };
}

// The two halves of KL(N(mu, diag exp logVar) || N(0, I)), in nats.
export const klPull = (mu) => 0.5 * mu.reduce((sum, m) => sum + m * m, 0);
export const klBarrier = (logVar) => 0.5 * logVar.reduce((sum, v) => sum + Math.expm1(v) - v, 0);

// The point of a list of 2-D points that is nearest to z, with each axis measured in its own unit:
// unit(i, axis) is the length that counts as 1.
export function nearestPoint(points, z, unit) {
  let best = Infinity, index = -1;
  for (let i = 0; 2 * i < points.length; i++) {
    const a = (z[0] - points[2 * i]) / unit(i, 0), b = (z[1] - points[2 * i + 1]) / unit(i, 1);
    if (a * a + b * b < best) [best, index] = [a * a + b * b, i];
  }
  return { index, distance: Math.sqrt(best) };
}

// The image (rows of `images`, values in [0, 1]) with the least root mean squared pixel difference from y.
export function nearestImage(images, y) {
  const pixels = y.length;
  let best = Infinity, index = -1;
  for (let i = 0, k = 0; k < images.length; i++, k = i * pixels) {
    let sum = 0;
    for (let p = 0; p < pixels && sum < best; p += 4) {
      const a = images[k + p] - y[p], b = images[k + p + 1] - y[p + 1];
      const c = images[k + p + 2] - y[p + 2], d = images[k + p + 3] - y[p + 3];
      sum += a * a + b * b + c * c + d * d;
    }
    if (sum < best) [best, index] = [sum, i];
  }
  return { index, rms: Math.sqrt(best / pixels) };
}

// Five Gauss-Hermite nodes of N(0, 1) with their weights.
export const NODES = [-2.8569700138728056, -1.355626179974266, 0, 1.355626179974266, 2.8569700138728056];
export const WEIGHTS = [
  0.011257411327720691, 0.22207592200561266, 0.5333333333333333, 0.22207592200561266, 0.011257411327720691,
];

// E |x - g(mu + sigma eps)|^2 over eps from N(0, I), by 5 x 5 quadrature: what a ball's reconstruction costs.
export function expectedSquaredError(decode, x, mu, logVar) {
  const sigma = logVar.map((v) => Math.exp(0.5 * v)), z = [0, 0];
  let total = 0;
  for (let i = 0; i < 5; i++)
    for (let j = 0; j < 5; j++) {
      z[0] = mu[0] + sigma[0] * NODES[i];
      z[1] = mu[1] + sigma[1] * NODES[j];
      const y = decode(z);
      let sum = 0;
      for (let p = 0; p < x.length; p++) sum += (x[p] - y[p]) ** 2;
      total += WEIGHTS[i] * WEIGHTS[j] * sum;
    }
  return total;
}

// Means over all balls of a plane, [x0, y0, x1, y1, ...]: KL and its halves in nats, E mu^2 + E sigma^2 of each axis,
// and how many axes carry more than 0.05 nats of barrier.
export function aggregate(mu, logVar) {
  const n = mu.length / 2, onAxis = (k) => (_, i) => i % 2 === k, pull = klPull(mu) / n;
  const barrier = [0, 1].map((k) => klBarrier(logVar.filter(onAxis(k))) / n);
  const moment = [0, 1].map((k) =>
    (2 * klPull(mu.filter(onAxis(k))) + logVar.filter(onAxis(k)).reduce((sum, v) => sum + Math.exp(v), 0)) / n);
  const total = barrier[0] + barrier[1];
  return { pull, barrier: total, kl: pull + total, moment, used: barrier.filter((v) => v > 0.05).length };
}

// A number with fixed decimals and a real minus sign; a dash where there is none.
export const format = (value, digits = 2) =>
  Number.isFinite(value) ? value.toFixed(digits).replace(/^-(?=0\.?0*$)/, "").replace("-", "−") : "–";
// Three significant digits.
export const significant = (value) => (value >= 100 ? value.toFixed(0) : value.toPrecision(3)).replace("-", "−");
export const formatPoint = (z, digits = 2) => `(${format(z[0], digits)}, ${format(z[1], digits)})`;
export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
export const isPair = (value) => Array.isArray(value) && value.length === 2 && value.every(Number.isFinite);
