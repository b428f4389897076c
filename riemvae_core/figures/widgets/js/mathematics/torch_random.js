// The very numbers that torch's generator on the CPU draws from a seed: MT19937 (Matsumoto and Nishimura, 1998), and torch's
// ways from its bits to a draw, so that a page and the core report the same, digit for digit. No DOM here.

const N = 624, M = 397;

export function makeTorchRandom(seed) {
  const state = new Uint32Array(N);
  let at = N;
  state[0] = seed;
  for (let i = 1; i < N; i++) state[i] = Math.imul(1812433253, state[i - 1] ^ (state[i - 1] >>> 30)) + i;
  function refill() {
    for (let i = 0; i < N; i++) {
      const y = (state[i] & 0x80000000) | (state[(i + 1) % N] & 0x7fffffff);
      state[i] = state[(i + M) % N] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    at = 0;
  }
  function bits() { // the next 32 of them
    if (at === N) refill();
    let y = state[at++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }
  const single = () => (bits() & 0xffffff) / 16777216; // in [0, 1), 24 bits as in float32
  function uniform() { // in [0, 1), 53 bits as in float64
    const high = bits(), low = bits();
    return ((high & 0x1fffff) * 4294967296 + low) / 9007199254740992;
  }
  const below = (n) => bits() % n;
  return {
    bits, uniform, below,
    // torch.randn of 16 numbers or more, in float64 or float32: Box and Muller's pairs stand eight apart
    normals(count, dtype) {
      const out = new Float64Array(count), next = dtype === "f4" ? single : uniform;
      const turn = (from) => {
        for (let j = from; j < from + 8; j++) {
          const radius = Math.sqrt(-2 * Math.log(1 - out[j])), angle = 2 * Math.PI * out[j + 8];
          out[j] = radius * Math.cos(angle);
          out[j + 8] = radius * Math.sin(angle);
        }
      };
      for (let i = 0; i < count; i++) out[i] = next();
      for (let from = 0; from + 16 <= count; from += 16) turn(from);
      if (count % 16) { // the last sixteen are drawn again
        for (let i = count - 16; i < count; i++) out[i] = next();
        turn(count - 16);
      }
      return out;
    },
    // torch.multinomial with replacement: `count` indices, each as often as its weight says
    multinomial(weights, count) {
      const ends = Float64Array.from(weights);
      for (let i = 1; i < ends.length; i++) ends[i] += ends[i - 1];
      const total = ends[ends.length - 1];
      return Int32Array.from({ length: count }, () => Math.min(firstAtLeast(ends, uniform() * total), ends.length - 1));
    },
    // torch.randperm
    permutation(n) {
      const order = Int32Array.from({ length: n }, (_, i) => i);
      for (let i = 0; i < n - 1; i++) {
        const j = i + below(n - i);
        [order[i], order[j]] = [order[j], order[i]];
      }
      return order;
    },
  };
}

// The first of rising numbers that is not below a value; their number if there is none.
export function firstAtLeast(rising, value) {
  let left = 0, right = rising.length;
  while (left < right) {
    const middle = (left + right) >> 1;
    if (rising[middle] < value) left = middle + 1;
    else right = middle;
  }
  return left;
}
