// The search page: accents are optional, words that no page has (a reader's own numbers and names in an error message) are
// left out, and messages and boxes are found by their texts (book/_ext/riemvae_book/finder.py). From a folder, too.
document.addEventListener("DOMContentLoaded", () => {  // before the search's own listener, which begins it
  if (typeof Search === "undefined") return;
  if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false; // it would fetch each page
  const fold = (text) => text.toLowerCase().normalize("NFD").replace(/\p{M}/gu, "");
  const words = (text) => fold(text).split(/[^\p{L}\p{N}_]+/u).filter((word) => /\p{L}/u.test(word));
  let listed = [], known = null;
  globalThis.__rvFinder = (entries) => {
    listed = entries.map(([page, anchor, text, where]) =>
      [page, anchor, where ? `${text} (${where})` : text, [...new Set(words(text))]]);
  };
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
    const [, marked] = rest;  // on the page found; a single letter would be marked in every word
    for (const word of [...marked]) if (word.length < 2 && marked.size > 1) marked.delete(word);
    return [fold(query), found.size ? found : asked, ...rest];
  };

  // Of a name all asked words must occur. A message is asked for as it was printed, so with values that its text lacks.
  function fits(page, own, asked) {
    if (page === "book/messages") {
      const fit = 2 * own.filter((word) => asked.has(word)).length / (own.length + asked.size);
      return asked.size > 4 && fit > 0.6 ? fit : 0;
    }
    const begin = (word) => (one) => word.startsWith(one);
    if (![...asked].every((one) => own.some((word) => word.startsWith(one)))) return 0;
    return own.filter((word) => [...asked].some(begin(word))).length / own.length;
  }
  const perform = Search._performSearch;
  Search._performSearch = (query, ...rest) => {
    const { docnames, filenames, titles } = Search._index, asked = new Set(words(query));
    const named = asked.size ? listed.map(([page, anchor, text, own]) => [page, anchor, text, fits(page, own, asked)]) : [];
    const best = named.filter(([, , , fit]) => fit > 0).sort((a, b) => a[3] - b[3]).slice(-12);
    const extra = best.map(([page, anchor, text, fit]) => {
      const at = docnames.indexOf(page);
      return [page, text, `#${anchor}`, titles[at], 20 + Math.round(60 * fit), filenames[at]];
    });
    const places = new Map();  // of two results for one place the one that tells more
    for (const result of [...perform(query, ...rest), ...extra]) {
      const place = result[0] + result[2], other = places.get(place);
      const score = Math.max(result[4], other?.[4] ?? 0);
      places.set(place, result[2] && other ? result.with(4, score) : result);
    }
    return [...places.values()].sort((a, b) => a[4] - b[4]);
  };
  const ask = Search.query;
  Search.query = (query) => loaded.then(() => ask(query));
});
