// A world with one code and one pixel: z ~ N(0, 1), x = g(z) + noise with g(z) = a z^2 + b z. What a Gaussian q costs is
// closed, log p(x) an integral over the line. The noise has variance 1 / (2 pi), so no constant is left. No DOM here.
const LINE_END = 8, ON_LINE = 1601; // the line that is summed over, where the prior's mass lies

// `curve` is [a, b]. All numbers are nats; `logVar` is log sigma^2.
export function makeWorld([a, b]) {
  const decode = (z) => a * z * z + b * z;
  const error = (x, z) => Math.PI * (x - decode(z)) ** 2;
  const joint = (x, z) => -0.5 * (z * z + Math.log(2 * Math.PI)) - error(x, z);
  // E_q of the error: squared distance of the mean drawing, and the variance of the drawings
  function price(x, mu, logVar) {
    const v = Math.exp(logVar), mean = a * (mu * mu + v) + b * mu, slope = 2 * a * mu + b;
    const reconstruction = Math.PI * ((x - mean) ** 2 + slope * slope * v + 2 * a * a * v * v);
    const kl = 0.5 * (mu * mu + v - 1 - logVar);
    return { reconstruction, kl, price: reconstruction + kl };
  }
  function surprisal(x) { // -log p(x)
    const step = (2 * LINE_END) / (ON_LINE - 1);
    let sum = 0;
    for (let k = 0; k < ON_LINE; k++) sum += Math.exp(joint(x, -LINE_END + k * step));
    return -Math.log(sum * step);
  }
  return { decode, joint, price, surprisal };
}

// Midpoints of n x n cells, row by row from the top: how far the bound lies below log p(x), as a negative number.
export function landscape(world, x, { center, half }, n) {
  const values = new Float64Array(n * n), surprisal = world.surprisal(x), at = (k) => half * ((2 * k + 1) / n - 1);
  for (let row = 0, k = 0; row < n; row++)
    for (let column = 0; column < n; column++, k++)
      values[k] = surprisal - world.price(x, center[0] + at(column), 2 * (center[1] - at(row))).price;
  return values;
}
