// The search page: accents are optional, words that no page has (a reader's own numbers and names in an error message) are
// left out, and messages and boxes are found by their texts (book/_ext/riemvae_book/finder.py). From a folder, too.
addEventListener("DOMContentLoaded", () => {
  if (typeof Search === "undefined") return;
  const fold = (text) => text.toLowerCase().normalize("NFD").replace(/\p{M}/gu, "");
  const words = (text) => fold(text).split(/[^\p{L}\p{N}_]+/u).filter((word) => /\p{L}/u.test(word));
  let listed = [], known = null;
  globalThis.__rvFinder = (entries) => { listed = entries.map((entry) => [...entry, words(entry[2])]); };
  const script = document.createElement("script");
  script.src = `${document.documentElement.dataset.content_root}_static/finder.js`;
  const loaded = new Promise((go) => { script.onload = script.onerror = go; });
  document.head.append(script);

  // the words that pages have, by how they are asked for
  function knownWords(index) {
    if (known) return known;
    index.indexentries = Object.fromEntries(Object.entries(index.indexentries).map(([name, at]) => [fold(name), at]));
    const terms = [...Object.keys(index.terms), ...Object.keys(index.titleterms)];
    return (known = new Map(terms.map((term) => [fold(term), term])));
  }
  const parse = Search._parseQuery;
  Search._parseQuery = (query) => {
    const [, asked, ...rest] = parse(query), all = knownWords(Search._index), found = new Set();
    for (const word of asked) {
      const same = all.get(fold(word));
      if (same) found.add(same);
      else if (asked.size === 1 || [...all.keys()].some((term) => term.includes(fold(word)))) found.add(fold(word));
    }
    return [fold(query), found.size ? found : asked, ...rest];
  };

  // Of a title all asked words must occur, of a message three in four of its own: the rest of what is asked are values.
  function fits(own, asked) {
    const shared = own.filter((word) => asked.has(word)).length;
    if (asked.size >= 5) return shared / own.length >= 0.75 ? shared / own.length : 0;
    const first = own.filter((word) => [...asked].some((one) => word.startsWith(one)));
    return [...asked].every((one) => own.some((word) => word.startsWith(one))) ? first.length / own.length : 0;
  }
  const perform = Search._performSearch;
  Search._performSearch = (query, ...rest) => {
    const { docnames, filenames, titles } = Search._index, asked = new Set(words(query));
    const named = asked.size ? listed.map(([page, anchor, text, own]) => [page, anchor, text, fits(own, asked)]) : [];
    const best = named.filter(([, , , fit]) => fit > 0).sort((a, b) => a[3] - b[3]).slice(-12);
    const extra = best.map(([page, anchor, text, fit]) => {
      const at = docnames.indexOf(page);
      return [page, text, `#${anchor}`, titles[at], 20 + Math.round(60 * fit), filenames[at]];
    });
    const results = perform(query, ...rest).map((result) => {
      const term = /^#term-(.*)$/.exec(result[2])?.[1];
      return term ? result.with(1, `${decodeURIComponent(term).replaceAll("-", " ")}: ${result[1]}`) : result;
    });
    return [...results, ...extra].sort((a, b) => a[4] - b[4]);
  };
  const ask = Search.query;
  Search.query = (query) => loaded.then(() => ask(query));
});
