// `?` and the button in the header show the keys that work on this page.
import { listShortcuts, onKey } from "./shortcuts.js";

const NAMES = { ArrowDown: "↓", ArrowUp: "↑", ArrowLeft: "←", ArrowRight: "→", Enter: "↵", Escape: "Esc" };

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function makeDialog() {
  const dialog = element("dialog", "", "keymap");
  dialog.setAttribute("aria-labelledby", "keymap-title");
  const header = element("header");
  const title = element("h2", "Keys that work here");
  title.id = "keymap-title";
  const close = element("button", "×", "plain key-sign");
  close.type = "button";
  close.setAttribute("aria-label", "Close");
  close.addEventListener("click", () => dialog.close());
  header.append(title, close);
  dialog.append(header, element("dl"));
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  document.body.append(dialog);
  return dialog;
}

/** Which keys work depends on the chosen run. */
function fill(list) {
  list.replaceChildren();
  for (const { keys, meaning } of listShortcuts()) {
    const term = element("dt");
    term.append(...keys.map((key) => element("kbd", NAMES[key] ?? key)));
    list.append(term, element("dd", meaning));
  }
}

let dialog;
function show() {
  dialog ??= makeDialog();
  fill(dialog.querySelector("dl"));
  dialog.showModal();
}

onKey(["?"], "show these keys", show);
document.querySelector("[data-do=keys]")?.addEventListener("click", show);
