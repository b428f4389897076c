// The log volume of a metric of balls over a plane through a point, along two of its axes, in any number of dimensions.
// A point's coordinates beyond the two stay what they are; along an axis of -1 nothing changes. No DOM here.
import { ballWindows } from "./metric.js";

const UNSEEN = 30; // nats below the background, from which on a ball changes no digit that anyone sees

// [x, y] of each row of z, [n * d]; 0 along an axis of -1.
export const projected = (z, d, axes) =>
  Float64Array.from({ length: (2 * z.length) / d }, (_, k) => (axes[k % 2] < 0 ? 0 : z[Math.floor(k / 2) * d + axes[k % 2]]));

// The square that holds all balls to one and a half radii.
export function frameOf({ mu, logVar }, d, axes) {
  const center = [0, 0];
  let half = 0;
  axes.forEach((axis, side) => {
    if (axis < 0) return;
    let low = Infinity, high = -Infinity;
    for (let at = axis; at < mu.length; at += d) {
      const reach = 1.5 * Math.exp(0.5 * logVar[at]);
      low = Math.min(low, mu[at] - reach);
      high = Math.max(high, mu[at] + reach);
    }
    center[side] = (low + high) / 2;
    half = Math.max(half, (high - low) / 2);
  });
  return { center, half };
}

// The balls that matter on the plane, as functions of its two coordinates.
export function makeSlice({ mu, logVar, rho, lam, tau }, d, { point, axes, frame }) {
  const beyond = [...point.keys()].filter((k) => !axes.includes(k)), flat = axes.map((axis) => axis < 0), log = Math.log(lam);
  const edge = axes.reduce((sum, axis, k) => sum + (flat[k] ? 0 : (Math.abs(frame.center[k]) + frame.half) ** 2), 0);
  const background = log - tau * beyond.reduce((sum, k) => sum + point[k] ** 2, 0), least = background - tau * edge - UNSEEN;
  const kept = [], logs = [], finest = [];
  for (let i = 0; i < mu.length / d; i++) {
    let away = 0, sharpest = 0;
    for (const k of beyond) away -= ((point[k] - mu[i * d + k]) ** 2 * Math.exp(-logVar[i * d + k])) / (rho * rho);
    for (let k = 0; k < d; k++) sharpest = Math.max(sharpest, -logVar[i * d + k]);
    if (away + sharpest < least) continue;
    kept.push(i);
    logs.push(away);
    finest.push(sharpest);
  }
  const pick = (values, k, i) => (flat[k] ? 0 : values[i * d + axes[k]]);
  return {
    d, flat, frame, tau, background, least, logs, finest, rho,
    mu: Float64Array.from(kept.flatMap((i) => [pick(mu, 0, i), pick(mu, 1, i)])),
    logVar: Float64Array.from(kept.flatMap((i) => [0, 1].map((k) => (flat[k] ? 80 : pick(logVar, k, i))))), // 80: no end in sight
    precision: Float64Array.from({ length: kept.length * d }, (_, at) => Math.exp(-logVar[kept[Math.floor(at / d)] * d + (at % d)])),
  };
}

// log sqrt det G at the n x n midpoints of the plane's square, row by row from the top; yields after each row.
export function* volumeOnSlice(slice, n, out = new Float32Array(n * n)) {
  const { d, flat, frame, tau, background, least, logs, finest, rho, mu, logVar, precision } = slice;
  const cell = (2 * frame.half) / n, windows = ballWindows(slice, frame, n), sums = new Float64Array(n * d);
  const across = (j) => frame.center[0] - frame.half + (j + 0.5) * cell, down = (j) => frame.center[1] + frame.half - (j + 0.5) * cell;
  const fade = (v, k) => (flat[k] ? 0 : tau * v * v), reach = Float64Array.from(logVar, (v) => Math.exp(-v) / (rho * rho));
  const profiles = windows.map(({ left, right }, i) => Float64Array.from({ length: Math.max(0, right - left) },
    (_, j) => Math.exp(-((across(left + j) - mu[2 * i]) ** 2) * reach[2 * i])));
  for (let row = 0; row < n; row++) {
    const y = down(row);
    for (let j = 0; j < n; j++) sums.fill(Math.exp(background - fade(y, 1) - fade(across(j), 0)), j * d, (j + 1) * d);
    for (let i = 0; i < windows.length; i++) {
      const { left, right, top, bottom } = windows[i], log = logs[i] - (y - mu[2 * i + 1]) ** 2 * reach[2 * i + 1];
      if (row < top || row >= bottom || log + finest[i] < least) continue;
      const height = Math.exp(log), profile = profiles[i], first = i * d;
      for (let j = left, at = left * d; j < right; j++) {
        const weight = height * profile[j - left];
        for (let k = first; k < first + d; k++, at++) sums[at] += weight * precision[k];
      }
    }
    for (let j = 0, at = 0; j < n; j++) {
      let sum = 0;
      for (let k = 0; k < d; k++, at++) sum += Math.log(sums[at]);
      out[row * n + j] = 0.5 * sum;
    }
    yield;
  }
  return out;
}

// A range for colors in four round steps, from what all but 5% of a field exceed to its largest value.
export function colorRange(values) {
  const sorted = Float64Array.from(values.filter(Number.isFinite)).sort(), most = sorted[sorted.length - 1];
  const low = sorted[Math.floor(0.05 * (sorted.length - 1))];
  if (!sorted.length) return [0, 2];
  for (let power = 1; ; power *= 10)
    for (const step of [0.5, 1, 1.5, 2, 3, 4, 5, 6, 8].map((s) => s * power)) {
      const from = Math.floor(low / step) * step;
      if (from + 4 * step >= most) return [from, from + 4 * step];
    }
}
