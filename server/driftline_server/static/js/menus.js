// Menus are <details>: they open without scripts; this closes them by Esc, or by a press elsewhere.
const open = () => document.querySelectorAll("details.menu[open]");

addEventListener("pointerdown", (event) => {
  for (const menu of open()) if (!menu.contains(event.target)) menu.open = false;
});

addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of open()) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

for (const menu of document.querySelectorAll("details.menu")) {
  menu.addEventListener("toggle", () => {
    if (!menu.open) return;
    for (const other of open()) if (other !== menu) other.open = false;
  });
}
