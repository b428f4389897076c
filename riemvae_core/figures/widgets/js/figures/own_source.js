// Where a reader's own latents come in: a button and a place to drop a file, and what was wrong with it.
import { makeButton } from "../stage/controls.js";
import { latentsOf, readLatents } from "../mathematics/npz.js";
import { h } from "../stage/stage.js";

// `shown` is called with latents that were read; an error leaves what is shown and says why.
export function makeSource(stage, { limit, shown, example }) {
  const input = h("input", { type: "file", accept: ".npz,.json", hidden: true, onchange: () => {
    if (input.files.length) read(input.files[0]);
    input.value = "";
  } });
  const message = h("p", { class: "rv-message", role: "status" });
  const zone = h("div", { class: "rv-drop" },
    h("p", {}, "Your own latents: drop a .npz or a .json with mu and log_var, each [n, d], anywhere on this figure. It is read in this " +
      "page and sent nowhere."),
    h("div", { class: "rv-actions" }, makeButton("Choose a file", () => input.click()), makeButton("Show the example", example), input), message);
  let turn = 0;
  async function read(file) {
    const mine = ++turn;
    say("", `Reading ${file.name} ...`);
    try {
      const latents = await readLatents(file, limit);
      if (mine === turn) shown(latents);
    } catch (error) {
      if (mine === turn) say("Not read; what was shown stays.", error.message);
    }
  }
  function say(strong, words) {
    const pieces = words.split("`").map((piece, k) => (k % 2 ? h("code", {}, piece) : piece));
    message.replaceChildren(...(strong ? [h("b", {}, strong), " "] : []), ...pieces);
  }
  const over = (on) => (event) => {
    if (on && ![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    zone.classList.toggle("rv-over", on);
  };
  stage.addEventListener("dragover", over(true));
  stage.addEventListener("dragleave", over(false));
  stage.addEventListener("drop", (event) => {
    over(false)(event);
    if (event.dataTransfer.files.length) read(event.dataTransfer.files[0]);
  });
  stage.append(zone);
  return { say };
}

// What is odd about latents that can be read all the same.
export function doubts({ logVar }) {
  const negative = logVar.some((v) => v < 0);
  return negative ? "" : "No log_var is below 0, so no ball is smaller than the prior: are these variances or standard deviations? " +
    "log_var is the log of the variance.";
}

// ---- the way to a kernel and back

const bytesOf = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
// Numbers as base64 of their bytes.
export function textOf(values) {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength), parts = [];
  for (let at = 0; at < bytes.length; at += 8192) parts.push(String.fromCharCode(...bytes.subarray(at, at + 8192)));
  return btoa(parts.join(""));
}

// Latents as a kernel has them, {name, dtype, shape, mu, log_var}, the numbers as base64 of little-endian bytes.
export function fromKernel({ name, dtype, shape, mu, log_var: logVar }, limit) {
  const array = (text) => {
    const numbers = dtype === "f8" ? new Float64Array(bytesOf(text)) : new Float32Array(bytesOf(text));
    return { values: Float64Array.from(numbers), shape, dtype };
  };
  return { name, ...latentsOf(array(mu), array(logVar), limit) };
}
export function forKernel({ name, dtype, n, d, mu, logVar }) {
  const text = (values) => textOf(dtype === "f8" ? values : Float32Array.from(values));
  return { name, dtype, shape: [n, d], mu: text(mu), log_var: text(logVar) };
}
