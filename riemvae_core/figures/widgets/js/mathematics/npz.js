// Latents out of a file that a reader gives: mu and log_var, [n, d], in a .npz (numpy's zip of .npy arrays, stored or deflated)
// or a .json. Of a large .npz only these two members are read. What is wrong is said in words, code in them between backticks.
// No DOM here.
import { halfToFloat } from "./numbers.js";

const SIZES = { f2: 2, f4: 4, f8: 8 };
const KINDS = {
  i: "integers", u: "integers", b: "true and false", c: "complex numbers", O: "Python objects", U: "text", S: "bytes", V: "records",
};
const HEAD = 4096; // bytes within which an array's header ends
const DIRECTORY = 2 ** 24; // bytes of a zip's directory, which is read whole
const NAMES = ["mu", "log_var"];
const count = (n) => n.toLocaleString("en-US");

// A file's latents: {name, mu, logVar: [n * d], n, d, dtype: "f4" or "f8"}, at most `limit` numbers in mu.
export async function readLatents(file, limit) {
  const start = new Uint8Array(await file.slice(0, 6).arrayBuffer()), text = String.fromCharCode(...start);
  if (file.size === 0) throw new Error(`${file.name} is empty.`);
  if (text === "\x93NUMPY")
    throw new Error(`${file.name} is one array alone: \`np.savez("latents.npz", mu=mu, log_var=log_var)\` writes both.`);
  const json = /\.json$/i.test(file.name) || /^\s*[[{]/.test(text);
  const arrays = await (json ? readJson(file, limit) : readNpz(file, limit));
  return { name: file.name, ...latentsOf(arrays.mu, arrays.log_var, limit) };
}

// Two arrays {values, shape, dtype} as latents, once they fit each other.
export function latentsOf(mu, logVar, limit) {
  const shape = (array) => `[${array.shape.join(", ")}]`;
  checkShape("mu", mu.shape, limit);
  if (String(logVar.shape) !== String(mu.shape))
    throw new Error(`log_var must have mu’s shape ${shape(mu)}, got ${shape(logVar)}.`);
  for (const [name, { values }] of [["mu", mu], ["log_var", logVar]]) {
    const bad = values.reduce((sum, v) => sum + !Number.isFinite(v), 0);
    if (bad) throw new Error(`${name} must be finite, got ${count(bad)} of ${count(values.length)} numbers NaN or infinite.`);
  }
  const [n, d] = mu.shape, dtype = mu.dtype === "f8" && logVar.dtype === "f8" ? "f8" : "f4";
  return { mu: mu.values, logVar: logVar.values, n, d, dtype };
}

function checkShape(name, shape, limit) {
  const [n, d] = shape, total = shape.reduce((a, b) => a * b, 1);
  if (shape.length !== 2)
    throw new Error(`${name} must be [n, d], got [${shape.join(", ")}]: \`${name}.reshape(len(${name}), -1)\` makes it so.`);
  if (!shape.every(Number.isSafeInteger)) throw damaged(`the header of ${name} has the sides ${shape.join(", ").slice(0, 40)}`);
  if (n < 2 || d < 1) throw new Error(`${name} must be [n, d] with n at least 2 and d at least 1, got [${n}, ${d}].`);
  if (total <= limit) return;
  const most = Math.floor(limit / d);
  const said = `${name} holds ${count(n)} × ${count(d)} numbers, and this page takes ${count(limit)}. `;
  throw new Error(said + (most < 2 ? "It can’t show so many axes." :
    `Thin it: \`i = np.random.default_rng(0).permutation(len(mu))[:${most}]; np.savez("thin.npz", mu=mu[i], log_var=log_var[i])\``));
}

// ---- JSON

async function readJson(file, limit) {
  if (file.size > 40 * limit) throw new Error(`${file.name} has ${count(file.size)} bytes, too many for text: save it as .npz.`);
  let found;
  try {
    found = JSON.parse(await file.text());
  } catch (error) {
    throw new Error(`${file.name} can’t be read as JSON (NaN and Infinity are no JSON): ${error.message}.`);
  }
  return Object.fromEntries(NAMES.map((name) => [name, fromRows(name, found?.[name], Object.keys(found ?? {}))]));
}

function fromRows(name, rows, keys) {
  if (!Array.isArray(rows)) throw new Error(missing(name, keys, `{"mu": [[...], ...], "log_var": [[...], ...]}`));
  const d = rows[0]?.length ?? 0;
  rows.forEach((row, i) => {
    if (!Array.isArray(row))
      throw new Error(`${name} must be a list of rows of numbers, got ${JSON.stringify(row)?.slice(0, 40)} for row ${i}.`);
    if (row.length !== d)
      throw new Error(`${name}’s rows must be of one length: row 0 has ${d} numbers, row ${i} has ${row.length}.`);
    const bad = row.find((v) => typeof v !== "number");
    if (bad !== undefined) throw new Error(`${name} must hold numbers, got ${JSON.stringify(bad).slice(0, 40)} in row ${i}.`);
  });
  return { values: Float64Array.from(rows.flat()), shape: [rows.length, d], dtype: "f8" };
}

function missing(name, keys, how) {
  const found = `${keys.slice(0, 6).join(", ")}${keys.length > 6 ? " ..." : ""}`;
  return `There is no ${name} in it${found && `, only ${found}`}: it should be \`${how}\`.`;
}

// ---- .npz

async function readNpz(file, limit) {
  const members = await directory(file), arrays = {};
  const keys = [...members.keys()].map((key) => key.replace(/\.npy$/, ""));
  for (const name of NAMES) {
    const member = members.get(`${name}.npy`);
    if (!member) throw new Error(missing(name, keys, "np.savez(path, mu=mu, log_var=log_var)"));
    const { dtype, shape } = header(name, await contents(file, member, HEAD));
    checkShape(name, shape, limit);
    if (member.size > HEAD + shape[0] * shape[1] * SIZES[dtype.slice(1)]) throw damaged(`${name} is longer than its header says`);
    const bytes = await contents(file, member);
    if (crc32(bytes) !== member.crc) throw damaged(`the checksum of ${name} doesn’t match`);
    arrays[name] = array(name, bytes);
  }
  return arrays;
}

const damaged = (what) => new Error(`The file is damaged or cut short: ${what}.`);

async function view(file, from, length) {
  if (from < 0 || from + length > file.size) throw damaged("a part lies beyond its end");
  return new DataView(await file.slice(from, from + length).arrayBuffer());
}

// The members of a zip by name, {method, crc, packed, size, from}, as its directory at the end has them: also where the
// members themselves tell their sizes only afterwards, and in zip64 form.
async function directory(file) {
  const length = Math.min(file.size, 65557), base = file.size - length, tail = await view(file, base, length);
  let at = length - 22;
  while (at >= 0 && tail.getUint32(at, true) !== 0x06054b50) at--;
  if (at < 0) throw new Error(`${file.name} is no .npz: either no zip archive or one that is cut short.`);
  let [entries, size, from] = [tail.getUint16(at + 10, true), tail.getUint32(at + 12, true), tail.getUint32(at + 16, true)];
  if (at >= 20 && tail.getUint32(at - 20, true) === 0x07064b50) {
    const wide = await view(file, Number(tail.getBigUint64(at - 12, true)), 56);
    [entries, size, from] = [32, 40, 48].map((k) => Number(wide.getBigUint64(k, true)));
  }
  if (size > DIRECTORY) throw damaged(`its directory takes ${count(size)} bytes`);
  const list = await view(file, from, size), members = new Map();
  for (let i = 0, p = 0; i < entries; i++) {
    if (p + 46 > size || list.getUint32(p, true) !== 0x02014b50) throw damaged("its directory is broken");
    const [named, extra, comment] = [28, 30, 32].map((k) => list.getUint16(p + k, true));
    const name = new TextDecoder().decode(new Uint8Array(list.buffer, p + 46, named));
    members.set(name, {
      name, flags: list.getUint16(p + 8, true), method: list.getUint16(p + 10, true), crc: list.getUint32(p + 16, true),
      ...sizes(list, p, p + 46 + named, extra),
    });
    p += 46 + named + extra + comment;
  }
  return members;
}

// A member's sizes and its place: 32 bits each, or where these are all ones 64 bits among the extra fields.
function sizes(list, p, from, extra) {
  const found = { size: list.getUint32(p + 24, true), packed: list.getUint32(p + 20, true), from: list.getUint32(p + 42, true) };
  for (let at = from; at + 4 <= from + extra; at += 4 + list.getUint16(at + 2, true)) {
    if (list.getUint16(at, true) !== 1) continue;
    let next = at + 4;
    for (const key of Object.keys(found))
      if (found[key] === 0xffffffff) {
        found[key] = Number(list.getBigUint64(next, true));
        next += 8;
      }
  }
  return found;
}

// A member's bytes, all of them or, from the front, at least `enough`.
async function contents(file, { name, flags, method, packed, size, from }, enough = Infinity) {
  if (flags & 1) throw new Error(`${name} is encrypted.`);
  if (method !== 0 && method !== 8)
    throw new Error(`${name} is packed by method ${method}; np.savez and np.savez_compressed are read.`);
  const head = await view(file, from, 30);
  if (head.getUint32(0, true) !== 0x04034b50) throw damaged(`${name} isn’t where the directory says`);
  const begin = from + 30 + head.getUint16(26, true) + head.getUint16(28, true);
  if (begin + packed > file.size) throw damaged(`${name} is not all there`);
  const blob = file.slice(begin, begin + packed), parts = [];
  const reader = (method ? blob.stream().pipeThrough(new DecompressionStream("deflate-raw")) : blob.stream()).getReader();
  let length = 0;
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      parts.push(part.value);
      length += part.value.length;
      if (length > size || length >= enough) break;
    }
  } catch {
    throw damaged(`${name} can’t be inflated`);
  }
  reader.cancel().catch(() => {}); // a stream left early, or one that failed already
  if (length !== size && length < enough) throw damaged(`${name} has other bytes than the directory says`);
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});
export function crc32(bytes) {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = CRC[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

// ---- .npy

// {dtype: "<f4", fortran, shape, from} of an array's first bytes.
function header(name, bytes) {
  const data = new DataView(bytes.buffer), wide = bytes[6] > 1, from = (wide ? 12 : 10);
  if (bytes.length < from || String.fromCharCode(...bytes.subarray(0, 6)) !== "\x93NUMPY")
    throw damaged(`${name} is no .npy array`);
  const length = wide ? data.getUint32(8, true) : data.getUint16(8, true);
  const text = new TextDecoder("latin1").decode(bytes.subarray(from, from + length));
  const dtype = /'descr':\s*'([^']*)'/.exec(text)?.[1] ?? "|V", shape = /'shape':\s*\(([^)]*)\)/.exec(text)?.[1];
  if (from + length > bytes.length || shape === undefined) throw damaged(`the header of ${name} can’t be read`);
  if (!(dtype.slice(1) in SIZES)) {
    const kind = KINDS[dtype[1]] ?? "numbers of an unknown kind";
    throw new Error(`${name} must hold floats of 16, 32 or 64 bits, got ${kind} (${dtype}): ` +
      `\`np.asarray(${name}, dtype=np.float32)\` helps.`);
  }
  const sides = shape.split(",").map((v) => v.trim()).filter(Boolean).map(Number);
  return { dtype, fortran: /'fortran_order':\s*True/.test(text), shape: sides, from: from + length };
}

function array(name, bytes) {
  const { dtype, fortran, shape, from } = header(name, bytes), [n, d] = shape, code = dtype.slice(1), size = SIZES[code];
  if (bytes.length !== from + n * d * size) throw damaged(`${name} has not the ${n} × ${d} numbers that its header says`);
  const data = new DataView(bytes.buffer, from), little = dtype[0] !== ">", values = new Float64Array(n * d);
  const read = {
    f2: (at) => halfToFloat(data.getUint16(at, little)), f4: (at) => data.getFloat32(at, little), f8: (at) => data.getFloat64(at, little),
  }[code];
  for (let at = 0; at < n * d; at++) values[at] = read(size * (fortran ? (at % d) * n + Math.floor(at / d) : at));
  return { values, shape, dtype: code };
}
