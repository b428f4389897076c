// What the stock theme leaves inaccessible, mended in the page.
addEventListener("DOMContentLoaded", () => {
  const all = (selector, mend) => document.querySelectorAll(selector).forEach(mend);
  // names that contradict the text one sees
  all("button.search-button-field[aria-label], summary[aria-label]", (el) => el.removeAttribute("aria-label"));
  // the table of contents is a landmark
  all(".bd-sidebar-primary:not([role])", (el) => {
    el.setAttribute("role", "navigation");
    el.setAttribute("aria-label", "Book");
  });
  // the search page holds two fields of one id: its own and the dialog's
  all(".search-button__search-container [id=search-input]", (el) => (el.id = "search-dialog-input"));
  // a list's children are its items
  all(".citation-list[role=list] [role=doc-biblioentry]", (el) => el.setAttribute("role", "listitem"));
});

// A formula, table or plot that scrolls sideways can be reached, and scrolled, from the keyboard.
addEventListener("load", async () => {
  await globalThis.MathJax?.startup?.promise;
  const wide = "div.math, div.math > mjx-container, .pst-scrollable-table-container, figure, .rv-needs";
  const reach = () => {
    document.querySelectorAll(wide).forEach((el) => {
      if (el.scrollWidth > el.clientWidth + 1) el.tabIndex = 0;
      else el.removeAttribute("tabindex");
    });
    // what is read aloud of a formula lies beside it, unseen, and makes it seem wider: what is seen is measured
    document.querySelectorAll("div.math > mjx-container, span.math").forEach((el) => {
      const goesOn = el.querySelector("mjx-math")?.getBoundingClientRect().width > el.clientWidth + 1;
      el.classList.toggle("rv-wide", goesOn);
      if (goesOn) el.tabIndex = 0;
      else if (el.matches("span")) el.removeAttribute("tabindex");
    });
  };
  reach();
  addEventListener("resize", reach);
});
