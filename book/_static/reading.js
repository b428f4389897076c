// How many minutes a chapter has left, by the words below the middle of the window and the minutes that it says it takes.
addEventListener("DOMContentLoaded", () => {
  const bar = document.querySelector(".header-article-items__start");
  const facts = document.querySelector(".chapter-facts")?.textContent ?? "";
  const minutes = Number(/About (\d+) minutes to read/.exec(facts)?.[1]);
  if (!bar || !minutes) return;
  const left = document.createElement("div");
  left.className = "header-article-item rv-minutes";
  bar.append(left);

  const prose = [...document.querySelectorAll("article p")].map((p) => [p, p.textContent.split(/\s+/).length]);
  const all = prose.reduce((sum, [, words]) => sum + words, 0);
  function tell() {
    const below = () => prose.reduce((sum, [p, words]) => sum + (p.getBoundingClientRect().top > innerHeight / 2 ? words : 0), 0);
    const rest = scrollY === 0 ? minutes : Math.round(minutes * below() / all); // at the top nothing needs a place yet
    left.textContent = rest ? `${rest} min left` : "";
  }
  let due = 0;
  addEventListener("scroll", () => { due ||= setTimeout(() => { due = 0; tell(); }, 200); }, { passive: true });
  tell();
});
