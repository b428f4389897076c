// What is said of a reader's latents in tables: their health, the axes in view; and their draws as files to save.
import { healthRows } from "../mathematics/health.js";
import { format, significant } from "../mathematics/numbers.js";
import { h } from "../stage/stage.js";
import { makeTable } from "../stage/table.js";

// The health of all balls: a table, and what is wrong in words.
export function makeHealth(parent) {
  const caption = h("caption"), body = h("tbody"), warnings = h("ul");
  parent.append(h("div", { class: "rv-state" }, h("table", { class: "rv-bill rv-health" }, caption, body), warnings));
  function show(report) {
    const d = report.axes.length;
    caption.textContent = `Health of ${report.n_balls.toLocaleString("en-US")} balls in ${d} dimension${d === 1 ? "" : "s"}. ` +
      "In brackets: 95% intervals over 2,048 draws, each from a ball at random. What needs the decoder, such as a reconstruction’s error, is not in it.";
    body.replaceChildren(...healthRows(report).map(([name, value, note]) =>
      h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, value, " ", h("span", {}, note)))));
    const said = report.warnings.length ? report.warnings : ["Nothing to warn of."];
    warnings.replaceChildren(...said.map((words) => h("li", {}, words)));
  }
  function wait(share) { // no number of other balls stays
    caption.textContent = `The health of these balls is being computed: ${format(100 * share, 0)}%.`;
    if (share === 0) for (const cell of [...body.querySelectorAll("td"), ...warnings.children]) cell.textContent = "…";
  }
  return { show, wait };
}

const AXIS_ROWS = {
  kl: "KL, nats", variance: "variance of centers", moment: "second moment", low: "radius, 5%", middle: "50%", high: "95%", word: "state",
};

// The two axes in view, side by side.
export function makeAxes(parent) {
  const heads = [h("span"), h("span")], cells = makeTable(parent, {
    caption: "The axes in view", heads, kind: "rv-errors",
    rows: Object.fromEntries(Object.entries(AXIS_ROWS).map(([key, name]) => [key, [name]])),
  });
  return (all, axes) => axes.forEach((axis, k) => {
    heads[k].textContent = axis < 0 ? "none" : `axis ${axis}`;
    const facts = all[axis];
    const [, low, middle, high] = facts?.radii ?? [];
    const words = facts && {
      kl: format(facts.kl, 3), variance: format(facts.variance, 3), moment: format(facts.moment, 3), low: significant(low),
      middle: significant(middle), high: significant(high), word: facts.dead ? "dead" : facts.active ? "active" : "inactive",
    };
    for (const key of Object.keys(AXIS_ROWS)) cells[key][k].textContent = words?.[key] ?? "–";
  });
}

// Draws as text, with all that anyone needs to make them again.
export function drawsAsText(kind, { latents, balls, keep, draws, seed }) {
  const { n, d, z, ess, proposals, log_volume, log_volume_error, background_share, converged } = draws;
  const rows = Array.from({ length: n }, (_, i) => [...z.subarray(i * d, (i + 1) * d)]);
  const facts = {
    law: "uniform, sqrt det G", method: "importance", latents: latents.name, n_balls: latents.n,
    balls_in_metric: keep?.length ?? latents.n,
    subset: keep ? `torch.randperm(${latents.n}, generator=torch.Generator().manual_seed(0))[:${keep.length}].sort().values` : null,
    rho: balls.rho, lam: balls.lam, tau: balls.tau, seed, dtype: latents.dtype === "f8" ? "float64" : "float32", n_draws: n, converged,
    ess, proposals, log_volume, log_volume_error, background_share,
  };
  if (kind === "json") return `${JSON.stringify({ ...facts, z: rows })}\n`;
  const head = Object.entries(facts).map(([key, value]) => `# ${key}: ${value}`);
  const names = rows[0].map((_, k) => `z${k}`).join(",");
  return [...head, `# ${names}`, ...rows.map((row) => row.join(",")), ""].join("\n");
}

// Let the browser save a text as a file.
export function saveText(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  h("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}
