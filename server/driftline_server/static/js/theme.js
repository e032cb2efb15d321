// Light or dark: the choice goes into a cookie, and from there into `data-theme` before the next page is drawn.
import { remember } from "./cookies.js";
import { onKey } from "./shortcuts.js";

const root = document.documentElement;

function isDark() {
  return root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function change() {
  root.dataset.theme = isDark() ? "light" : "dark";
  remember("driftline_theme", root.dataset.theme);
}

for (const button of document.querySelectorAll("[data-do=theme]")) button.addEventListener("click", change);
onKey(["t"], "light or dark", change);
