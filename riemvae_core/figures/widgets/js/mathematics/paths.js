// Shortest paths in the plane: a walk over a grid for a start, then descent of the energy, as the core does it. No DOM here.
import { curveLength, energyAndGradient, pieceLengths, plainLengths, respaced } from "./curves.js";

const JUMPS = [];
for (let i = -2; i <= 2; i++)
  for (let j = -2; j <= 2; j++) if ((i % 2 || j % 2) && (Math.abs(i) === 1 || Math.abs(j) === 1)) JUMPS.push([i, j]);

// A square grid of n x n nodes over [-half, half]^2. `tree(z)` holds the cheapest walk from every node to that nearest to z.
export function makeGraph(ruler, half, n) {
  const step = (2 * half) / (n - 1), g = [new Float64Array(n * n), new Float64Array(n * n)], out = new Float64Array(6);
  const node = (z) => {
    const [i, j] = z.map((v) => Math.min(n - 1, Math.max(0, Math.round((v + half) / step))));
    return j * n + i;
  };
  for (let j = 0, at = 0; j < n; j++)
    for (let i = 0; i < n; i++, at++) {
      ruler(i * step - half, j * step - half, out);
      g[0][at] = Math.exp(out[0]);
      g[1][at] = Math.exp(out[1]);
    }
  const ways = JUMPS.map(([i, j]) => ({ i, j, jump: j * n + i, xx: (i * step) ** 2, yy: (j * step) ** 2 }));
  function tree(z) { // Dijkstra (1959), with a binary heap of nodes
    const far = new Float64Array(n * n).fill(Infinity), next = new Int32Array(n * n).fill(-1), place = new Int32Array(n * n).fill(-1);
    const heap = new Int32Array(n * n);
    let size = 0;
    const put = (at, v) => { heap[at] = v; place[v] = at; };
    function rise(at) {
      for (const v = heap[at]; at > 0; ) {
        const up = (at - 1) >> 1;
        if (far[heap[up]] <= far[v]) break;
        put(at, heap[up]);
        put((at = up), v);
      }
    }
    function sink(at) {
      for (const v = heap[at]; ;) {
        let down = 2 * at + 1;
        if (down >= size) break;
        if (down + 1 < size && far[heap[down + 1]] < far[heap[down]]) down++;
        if (far[heap[down]] >= far[v]) break;
        put(at, heap[down]);
        put((at = down), v);
      }
    }
    const root = node(z);
    far[root] = 0;
    put(size++, root);
    while (size) {
      const v = heap[0], i = v % n, j = (v - i) / n;
      put(0, heap[--size]);
      if (size) sink(0);
      place[v] = -2; // done
      for (const way of ways) {
        if (i + way.i < 0 || i + way.i >= n || j + way.j < 0 || j + way.j >= n) continue;
        const w = v + way.jump;
        if (place[w] === -2) continue;
        const ends = Math.sqrt(g[0][v] * way.xx + g[1][v] * way.yy) + Math.sqrt(g[0][w] * way.xx + g[1][w] * way.yy);
        const length = far[v] + 0.5 * ends;
        if (length >= far[w]) continue;
        far[w] = length;
        next[w] = v;
        if (place[w] < 0) put(size++, w);
        rise(place[w]);
      }
    }
    return next;
  }
  return {
    tree,
    walk(next, a, b) { // a curve from a to b along a tree that was grown at b
      const curve = [...a];
      for (let v = next[node(a)]; v >= 0 && next[v] >= 0; v = next[v]) curve.push((v % n) * step - half, Math.floor(v / n) * step - half);
      return Float64Array.from([...curve, ...b]);
    },
  };
}

// P y = r for the P of frozen stiffnesses, both ends fixed: one chain of three terms for each axis, solved by elimination.
function solveFrozen(stiffness, right, out) {
  const n = right.length / 2, ratio = new Float64Array(n);
  out.fill(0);
  for (let axis = 0; axis < 2; axis++) {
    for (let i = 1; i < n - 1; i++) {
      const left = stiffness[2 * (i - 1) + axis], after = stiffness[2 * i + axis];
      const pivot = left + after - (i > 1 ? left * ratio[i - 1] : 0);
      ratio[i] = after / pivot;
      out[2 * i + axis] = (right[2 * i + axis] + (i > 1 ? left * out[2 * i - 2 + axis] : 0)) / pivot;
    }
    for (let i = n - 3; i >= 1; i--) out[2 * i + axis] += ratio[i] * out[2 * i + 2 + axis];
  }
  return out;
}

const dot = (x, y) => {
  let sum = 0;
  for (let k = 0; k < x.length; k++) sum += x[k] * y[k];
  return sum;
};

// L-BFGS around the frozen solve: at most `steps` evaluations; { curve, converged }. Converged: by the frozen metric a further
// step would win no more than a millionth of the energy.
export function descend(ruler, curve, times, steps, tolerance = 1e-6, memory = 10) {
  const room = () => new Float64Array(curve.length), trial = room(), after = room(), stiff = new Float64Array(2 * times.length);
  const pairs = [];
  let here = Float64Array.from(curve), grad = room(), energy = energyAndGradient(ruler, here, times, grad, stiff);
  let direction = aim(), size = 1;
  function aim() {
    const q = Float64Array.from(grad), shares = [];
    for (const { s, y, rate } of pairs) {
      const share = rate * dot(s, q);
      shares.push(share);
      for (let k = 0; k < q.length; k++) q[k] -= share * y[k];
    }
    const r = solveFrozen(stiff, q, room());
    for (let p = pairs.length - 1; p >= 0; p--) {
      const { s, y, rate } = pairs[p], gain = shares[p] - rate * dot(y, r);
      for (let k = 0; k < r.length; k++) r[k] += gain * s[k];
    }
    return r;
  }
  const settled = () => dot(grad, solveFrozen(stiff, grad, room())) <= tolerance * energy;
  for (let step = 1; step < steps; step++) {
    if (settled()) return { curve: here, converged: true };
    const slope = dot(direction, grad), before = Float64Array.from(stiff);
    for (let k = 0; k < trial.length; k++) trial[k] = here[k] - size * direction[k];
    const value = energyAndGradient(ruler, trial, times, after, stiff);
    if (!(value <= energy - 1e-4 * size * slope)) {
      stiff.set(before);
      size *= 0.5;
      if (size < 1e-9) break;
      continue;
    }
    const s = trial.map((v, k) => v - here[k]), y = after.map((v, k) => v - grad[k]), curvature = dot(s, y);
    if (curvature > 1e-12 * Math.sqrt(dot(s, s) * dot(y, y))) pairs.unshift({ s, y, rate: 1 / curvature });
    if (pairs.length > memory) pairs.pop();
    [here, grad, energy] = [Float64Array.from(trial), Float64Array.from(after), value];
    direction = aim();
    size = 1;
  }
  return { curve: here, converged: settled() };
}

export const POINTS = 64;

// n points at equal distances in half plain length, half length in the metric, so that neither a cheap nor a dear stretch is left
// without; with them the times of the pieces at constant speed.
function mixedSpacing(ruler, curve, n) {
  const share = (pieces) => { const total = pieces.reduce((a, b) => a + b, 0) || 1; return pieces.map((v) => v / total); };
  const plain = share(plainLengths(curve)), own = share(pieceLengths(ruler, curve));
  const points = respaced(curve, plain.map((v, k) => v + own[k]), n), times = share(pieceLengths(ruler, points));
  return { points, times: share(times.map((v) => v + 1e-6)) };
}

// The shortest of the paths found from some starts: { curve, length, converged }. `steps` evaluations for each of the rounds.
// Converged: the descent is at rest, or its last round, with points spaced anew, shortened the path by less than a thousandth.
export function shortestPath(ruler, starts, steps = 150, rounds = 3) {
  let best = null;
  for (const start of starts) {
    let found = { curve: respaced(start, plainLengths(start), 4 * POINTS) };
    for (let round = 0; round < rounds; round++) {
      const { points, times } = mixedSpacing(ruler, found.curve, POINTS), before = found.length ?? Infinity;
      found = descend(ruler, points, times, steps);
      found.length = curveLength(ruler, found.curve);
      found.converged ||= Math.abs(found.length - before) < 1e-3 * found.length;
    }
    if (!best || found.length < best.length) best = found;
  }
  return best;
}
