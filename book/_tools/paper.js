// Puts an open page of the book in order for paper: what a reader opens on the screen stands open or moves to the end.
// `pages` are the pages that are printed, `base` the address of the site.
({ pages, base }) => {
  const article = document.querySelector("article.bd-article"), body = article.querySelector("section") ?? article;
  const all = (selector) => [...article.querySelectorAll(selector)];
  const make = (tag, attributes, ...children) => {
    const made = Object.assign(document.createElement(tag), attributes);
    made.append(...children);
    return made;
  };
  const ending = (id, title, parts) => {
    if (!parts.length) return;
    body.append(make("section", { id, className: "rv-paper" }, make("h2", {}, title), ...parts));
  };
  const link = (id, text) => make("a", { href: `#${id}` }, text);
  const copy = (node) => make("span", {}, ...[...node.childNodes].map((child) => child.cloneNode(true)));

  // questions: letters for the buttons, answers at the end
  ending("paper-answers", "Answers to the questions", all("fieldset.rv-question").map((question, n) => {
    const name = `Question ${n + 1}`, answers = [...question.querySelectorAll(".rv-answer")];
    question.querySelector("legend strong").replaceWith(make("strong", {}, link(`paper-answer-${n}`, `${name}.`)));
    const said = answers.map((answer, k) => {
      const letter = `(${"abcde"[k]})`, why = answer.querySelector("details > div");
      answer.querySelector("input").replaceWith(make("span", {}, letter));
      answer.querySelector("details").remove();
      why.firstElementChild.prepend(`${letter} `);
      return why;
    });
    const head = make("p", { className: "admonition-title" }, link(question.id, name));
    return make("div", { id: `paper-answer-${n}`, className: "rv-paper-answer" }, head, ...said);
  }));

  // folded code: a word in the caption, the code at the end
  const folded = all("details.hide:has(.cell_input)");
  ending("paper-code", "Folded code", folded.map((fold, n) => {
    const id = `paper-code-${n + 1}`, name = `Code ${n + 1}`, code = fold.querySelector(".cell_input");
    const note = make("span", { id: `${id}-place`, className: "rv-paper-note" }, link(id, name));
    const caption = fold.closest("div.cell").querySelector("figcaption > :last-child, figcaption");
    if (caption) caption.append(" ", note);
    else fold.before(make("p", {}, note));
    fold.remove();
    return make("div", { id }, make("p", { className: "admonition-title" }, link(`${id}-place`, name)), code);
  }));
  all("details").forEach((fold) => (fold.open = true));
  all("[tabindex]").forEach((el) => el.removeAttribute("tabindex"));

  // links: to what is printed, or out into the world; files of the site are not on paper
  const page = (url) => decodeURI(url.href.slice(base.length + 1).split("#")[0]).replace(/\.html$/, "");
  for (const a of all("a[href]")) {
    const url = new URL(a.href);
    if (url.href.startsWith(base) ? !pages.includes(page(url)) : !/^https?:$/.test(url.protocol)) a.removeAttribute("href");
  }
  // Chromium gives a place a name only where a link of the same page leads to it, and other pages' links lead here too
  const named = all("[id]").filter((el) => !el.closest("svg, mjx-container, pre"));
  article.append(make("div", { hidden: true }, ...named.map((el) => link(el.id, ""))));
}
