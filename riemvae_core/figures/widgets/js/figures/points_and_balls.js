// Chapter 1: one handle in every model's latent plane, at the same place relative to each cloud of codes.
import { makeButton } from "../stage/controls.js";
import { clamp, format, formatPoint, isPair, makeDecoder, nearestImage, nearestPoint } from "../mathematics/numbers.js";
import {
  ARROWS, disk, ellipse, faint, h, makeImage, makeLoop, makeNumbers, makePlane, makeVoice, newId, onDrag, paintDot,
  readPalette, renderLive, watchTheme,
} from "../stage/stage.js";

const LIMIT = 3; // standard deviations from the cloud's mean that the handle may go, on each axis
const CAUGHT = 9; // pixels within which a pointer means a code
const TITLES = { ae: "Autoencoder: an image is a point", vae: "VAE: an image is a ball" };

export async function mount(stage, host) {
  const { models, probes, side, classes, start, half } = host.props;
  const [shown, ...weights] = await Promise.all([host.asset(probes), ...models.map(({ asset }) => host.asset(asset))]);
  const images = Float32Array.from(shown.images, (v) => v / 255), pixels = side * side;
  const imageOf = (i) => images.subarray(i * pixels, (i + 1) * pixels);
  const classOf = (i) => classes[shown.labels[i]];
  let u = isPair(host.get("position")) ? [...host.get("position")] : [...start];
  let colors = readPalette(stage);

  const center = models.length > 1 ? "code" : "center"; // a lone VAE shows its balls, and no codes
  const hint = h("p", { class: "rv-hint", id: newId() });
  hint.textContent = `${models.length > 1 ? "Drag in a plane, or click a code" : "Drag the handle, or click a ball"}. ` +
    `Keys: arrows move (Shift: five times as far), Enter goes to the nearest ${center}, Home to the start. ` +
    "Std: standard deviations of the cloud of codes, on each axis; σ: a ball’s own radii.";
  const grid = h("div", { class: "rv-panels", style: `--rv-count: ${models.length}` });
  stage.append(grid);
  const panels = models.map((model, m) => makePanel(model, weights[m]));
  const reset = makeButton("Reset", () => move(start));
  if (models.length > 1) {
    hint.prepend("The handles move together: as many standard deviations from each cloud’s mean, on each axis. ");
  }
  stage.append(h("div", { class: "rv-actions" }, hint, reset));
  const voice = makeVoice(stage);
  const loop = makeLoop(draw);

  function makePanel({ name, kind, mean, std }, arrays) {
    const root = h("div", { class: "rv-panel" });
    const title = h("p", { class: "rv-title" }, TITLES[kind]);
    const left = h("div", { class: "rv-left" }), pictures = h("div", { class: "rv-pictures" });
    root.append(title, left, pictures);
    grid.append(root);
    const plane = makePlane(left, {
      name: `Latent plane of the ${kind === "ae" ? "autoencoder" : "VAE"}`, center: mean, half: half * Math.max(...std),
      describedby: hint.id, changed: () => loop.now(),
    });
    const tip = h("div", { class: "rv-tip", hidden: true }), tipImage = makeImage(tip, side, "code");
    plane.frame.append(tip);
    const panel = {
      name, kind, mean, std, plane, tip, tipImage, tipped: -1, mu: arrays.mu, logVar: arrays.log_var,
      decode: makeDecoder(arrays),
      decoded: makeImage(pictures, side, "decoded"), nearest: makeImage(pictures, side, "nearest real"),
      numbers: makeNumbers(root, {
        z: "z", code: `nearest ${center}`, ball: "nearest ball", image: "nearest real image",
      }),
    };
    listen(panel);
    return panel;
  }

  // ---- state
  const zOf = ({ mean, std }) => [mean[0] + u[0] * std[0], mean[1] + u[1] * std[1]];
  const uOf = ({ mean, std }, z) => [(z[0] - mean[0]) / std[0], (z[1] - mean[1]) / std[1]];
  function move(to, tell = true) {
    const next = to.map((v) => clamp(v, -LIMIT, LIMIT));
    if (next[0] === u[0] && next[1] === u[1]) return;
    u = next;
    if (tell) host.set({ position: [...u] });
    loop.invalidate();
    voice.say(() => panels.map(describe).join(" "));
  }
  host.on("position", () => { if (isPair(host.get("position"))) move(host.get("position"), false); });

  // everything that a panel says about its handle
  function measure(panel) {
    const z = zOf(panel), image = panel.decode(z);
    const code = nearestPoint(panel.mu, z, (_, axis) => panel.std[axis]);
    const ball = panel.logVar && nearestPoint(panel.mu, z, (i, axis) => Math.exp(0.5 * panel.logVar[2 * i + axis]));
    return { z, image, code, ball, real: nearestImage(images, image) };
  }
  function describe(panel) {
    const { z, code, real } = measure(panel);
    return `${TITLES[panel.kind].split(":")[0]}: z is ${formatPoint(z)}. ` +
      `Nearest code: ${classOf(code.index)}, ${format(code.distance)} standard deviations away. ` +
      `The decoded image is ${format(real.rms, 3)} from the nearest real one, ${classOf(real.index)}.`;
  }

  // ---- drawing
  function draw() {
    for (const panel of panels) {
      const now = (panel.now = measure(panel)), { plane } = panel;
      plane.draw(colors, (c) => paintCodes(c, panel), (c) => paintHandle(c, panel, now));
      panel.decoded.show(now.image, colors.ink);
      panel.nearest.show(imageOf(now.real.index), colors.ink);
      panel.nearest.label(`nearest real: ${classOf(now.real.index)}`);
      panel.numbers({
        z: formatPoint(now.z), code: `${format(now.code.distance)} std`,
        ball: now.ball ? `${format(now.ball.distance)} of its σ` : "none: no radius", image: `RMS ${format(now.real.rms, 3)}`,
      });
      plane.value(now.z, `z ${formatPoint(now.z)}, nearest ${center} ${classOf(now.code.index)}`);
    }
  }
  function paintCodes(c, { plane, mu, logVar }) {
    for (let i = 0; 2 * i < mu.length; i++) {
      const at = mu.subarray(2 * i, 2 * i + 2);
      if (logVar) {
        ellipse(c, plane, at, logVar.subarray(2 * i, 2 * i + 2));
        c.fillStyle = faint(colors.posterior, 0.16);
        c.fill();
        c.strokeStyle = faint(colors.posterior, 0.8);
        c.lineWidth = 0.8;
        c.stroke();
      } else {
        disk(c, plane.toPixels(at), 2.2);
        c.fillStyle = faint(colors.data, 0.75);
        c.fill();
      }
    }
  }
  function paintHandle(c, panel, { z, code }) {
    const { plane, mu, tipped } = panel, at = plane.toPixels(z);
    const to = plane.toPixels(mu.subarray(2 * code.index, 2 * code.index + 2));
    c.strokeStyle = colors.ink;
    c.lineWidth = 1.1;
    c.beginPath();
    c.moveTo(...at);
    c.lineTo(...to);
    c.stroke();
    if (tipped >= 0) {
      disk(c, plane.toPixels(mu.subarray(2 * tipped, 2 * tipped + 2)), 5);
      c.stroke();
    }
    paintDot(c, at, 7.5, colors.ink, colors.ground);
  }

  // ---- pointer and keys
  function codeAt(panel, [x, y], reach) {
    const { plane, mu } = panel, unit = reach / plane.scale;
    const hit = nearestPoint(mu, plane.toPlane(x, y), () => unit);
    return hit.distance <= 1 ? hit.index : -1;
  }
  function tip(panel, i) {
    if (panel.tipped === i) return;
    panel.tipped = i;
    panel.tip.hidden = i < 0;
    if (i >= 0) {
      const [x, y] = panel.plane.toPixels(panel.mu.subarray(2 * i, 2 * i + 2)), right = x > panel.plane.canvas.clientWidth / 2;
      panel.tip.style.left = `${x + (right ? -12 : 12)}px`;
      panel.tip.style.top = `${y}px`;
      panel.tip.classList.toggle("rv-tip-left", right);
      panel.tipImage.show(imageOf(i), colors.ink);
      panel.tipImage.label(classOf(i));
    }
    loop.invalidate();
  }
  function goToCode(panel, i) {
    move(uOf(panel, panel.mu.subarray(2 * i, 2 * i + 2)));
    tip(panel, i);
  }
  function listen(panel) {
    const { plane } = panel;
    let from = null, moved = false;
    onDrag(plane, {
      start(at) { from = at; moved = false; },
      move(at) {
        moved ||= Math.hypot(at[0] - from[0], at[1] - from[1]) > 3;
        if (moved) { tip(panel, -1); move(uOf(panel, plane.toPlane(...at))); }
      },
      end(at, event) {
        if (moved || event.type === "pointercancel") return;
        const hit = codeAt(panel, at, event.pointerType === "mouse" ? CAUGHT : 2 * CAUGHT);
        if (hit >= 0) goToCode(panel, hit);
        else { tip(panel, -1); move(uOf(panel, plane.toPlane(...at))); }
      },
      hover(at) { tip(panel, at ? codeAt(panel, at, CAUGHT) : -1); },
    });
    plane.canvas.addEventListener("keydown", (event) => {
      const step = event.shiftKey ? 0.25 : 0.05, arrow = ARROWS[event.key];
      if (arrow) { tip(panel, -1); move([u[0] + step * arrow[0], u[1] + step * arrow[1]]); }
      else if (event.key === "Home") move(start);
      else if (event.key === "Enter") goToCode(panel, measure(panel).code.index);
      else if (event.key === "Escape") tip(panel, -1);
      else return;
      event.preventDefault();
    });
    plane.canvas.addEventListener("blur", () => tip(panel, -1));
  }

  const unwatch = watchTheme(() => {
    colors = readPalette(stage);
    for (const panel of panels) panel.plane.repaint();
    loop.invalidate();
  });
  loop.invalidate();
  host.figure.__rv = {
    frames: loop.frames,
    decode: (name, z) => Float32Array.from(panels.find((p) => p.name === name).decode(z)),
    get state() {
      return { position: [...u], models: Object.fromEntries(panels.map((p) => [p.name, summary(measure(p))])) };
    },
  };
  const summary = ({ z, code, ball, real }) => ({ z, code, ball: ball ?? null, real });
  return () => { unwatch(); loop.stop(); voice.stop(); panels.forEach(({ plane }) => plane.stop()); };
}

export const render = (context) => renderLive(mount, context);
export default { render };
