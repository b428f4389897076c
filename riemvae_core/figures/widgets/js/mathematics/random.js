// Random numbers that anyone can have again: xoshiro128++ (Blackman and Vigna, 2019), seeded by splitmix32. No DOM here.

export function makeRandom(seed, state = seeded(seed)) {
  let [a, b, c, d] = state, spare = null;
  const rotate = (x, k) => (x << k) | (x >>> (32 - k));
  function bits() { // the next 32 of them
    const result = (rotate((a + d) | 0, 7) + a) >>> 0, t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = rotate(d, 11);
    return result;
  }
  const uniform = () => ((bits() >>> 5) * 67108864 + (bits() >>> 6) + 0.5) / 9007199254740992; // in (0, 1), never an end
  function normal() { // Box and Muller (1958), two at a time
    if (spare !== null) {
      const kept = spare;
      spare = null;
      return kept;
    }
    const radius = Math.sqrt(-2 * Math.log(uniform())), angle = 2 * Math.PI * uniform();
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }
  return { bits, uniform, normal, below: (n) => Math.floor(n * uniform()) };
}

function seeded(seed) {
  let x = seed >>> 0;
  return Array.from({ length: 4 }, () => {
    x = (x + 0x9e3779b9) >>> 0;
    let t = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
    t = Math.imul(t ^ (t >>> 15), 0x735a2d97);
    return (t ^ (t >>> 15)) >>> 0;
  });
}
