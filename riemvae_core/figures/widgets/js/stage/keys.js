// In a notebook, keys belong to the figure that has the focus: JupyterLab would move between cells with the arrows, which
// then no slider gets, and cut the cell at an x. Its own remain those with Ctrl, Alt or Meta, Escape and Shift + Enter.
export function keepKeys(event) {
  const { key, ctrlKey, altKey, metaKey, shiftKey } = event;
  if (!(ctrlKey || altKey || metaKey || key === "Escape" || (key === "Enter" && shiftKey))) event.stopPropagation();
}
