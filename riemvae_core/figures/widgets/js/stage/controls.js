// What a reader sets a figure with: sliders, menus of numbers, buttons.
import { h, newId } from "./stage.js";

// A slider with a name and a value; native, so keys, touch and screen readers are the browser's
export function makeSlider(parent, { name, min, max, step, text, oninput }) {
  const id = newId();
  const input = h("input", { type: "range", id, min, max, step, oninput: () => oninput(Number(input.value)) });
  const output = h("output", { for: id });
  parent.append(h("div", { class: "rv-slider" }, h("label", { for: id }, name), input, output));
  return {
    input,
    set(value) {
      input.value = value;
      const words = text(value);
      if (output.textContent !== words) { output.textContent = words; input.setAttribute("aria-valuetext", words); }
    },
  };
}

// `options` are the menu's numbers; their words can be changed afterwards.
export function makeMenu(parent, name, onchange, options = []) {
  const id = newId(), menu = h("select", { id, onchange: () => onchange(Number(menu.value)) },
    ...options.map((value) => h("option", { value }, value)));
  parent.append(h("div", { class: "rv-menu" }, h("label", { for: id }, name), menu));
  return menu;
}

export const makeButton = (words, onclick) => h("button", { type: "button", class: "rv-button", onclick }, words);
