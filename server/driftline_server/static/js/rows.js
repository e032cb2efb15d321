// The trace list: the chosen row is the one whose link has the focus, so Enter opens it by itself.
import { onKey } from "./shortcuts.js";

const links = [...document.querySelectorAll(".row .asked a")];
const search = document.querySelector(".filter input");

function chosen() {
  return links.findIndex((link) => link.closest(".row").contains(document.activeElement));
}

function choose(index) {
  const link = links[Math.min(links.length - 1, Math.max(0, index))];
  link.focus({ preventScroll: true });
  link.closest(".row").scrollIntoView({ block: "nearest" });
  history.replaceState({ ...history.state, row: link.closest(".row").id }, "");
}

function openRow(event) {
  const row = event.target.closest(".row");
  // A press that ends a selection of text is not a wish to leave.
  if (!row || event.target.closest("a, button") || !getSelection().isCollapsed) return;
  const link = row.querySelector(".asked a");
  history.replaceState({ ...history.state, row: row.id }, "");
  if (event.metaKey || event.ctrlKey) open(link.href, "_blank", "noopener");
  else location.assign(link.href);
}

if (links.length) {
  onKey(["j", "ArrowDown"], "next trace", () => choose(chosen() + 1));
  onKey(["k", "ArrowUp"], "previous trace", () => choose(chosen() === -1 ? 0 : chosen() - 1));
  onKey(["Enter"], "open the chosen trace", () => false);
  document.querySelector(".list tbody").addEventListener("click", openRow);
  for (const link of links) {
    link.addEventListener("click", () => history.replaceState({ ...history.state, row: link.closest(".row").id }, ""));
  }
  const before = document.getElementById(history.state?.row ?? "");
  before?.querySelector(".asked a")?.focus({ preventScroll: true });
  // The way up from a trace names its row in the address; going there, the browser takes the focus away until then.
  const named = links.findIndex((link) => link.closest(".row").id === location.hash.slice(1));
  if (!before && named !== -1) {
    addEventListener("load", () => requestAnimationFrame(() => {
      choose(named);
      links[named].closest(".row").scrollIntoView({ block: "center" });
    }));
  }
}

if (search) {
  onKey(["/"], "search", () => {
    search.focus();
    search.select();
  });
}
