// The page's first picture is in the reader's colors, not white until the theme's own script has run.
{
  const { dataset } = document.documentElement;
  if (dataset.theme === "auto") dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}
