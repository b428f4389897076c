// A page read from a folder may not save another file of the folder, a browser would show it. There the download links
// save the copy that stands beside the file as a script.
if (location.protocol === "file:") {
  globalThis.__rvSave = (name, text) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "application/octet-stream" }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  };
  addEventListener("click", (event) => {
    const link = event.target.closest("a[download]");
    if (link?.protocol !== "file:") return;
    event.preventDefault();
    const script = document.createElement("script");
    script.src = `${link.href}.js`;
    script.onload = () => script.remove();
    document.head.append(script);
  });
}
