// Finds runs by what their rows say, and narrows the rows to models or problems.
import { onKey } from "./shortcuts.js";
import { choose } from "./tree.js";

const tree = document.querySelector(".tree");
const input = document.querySelector(".find input");
const hits = document.querySelector(".hits");
const runs = tree ? [...tree.querySelectorAll(".run")] : [];
let found = [];

function search() {
  const wanted = input.value.trim().toLowerCase();
  found = wanted ? runs.filter((run) => run.querySelector(".run-name").textContent.toLowerCase().includes(wanted)) : [];
  for (const run of runs) {
    run.classList.toggle("hit", found.includes(run));
    run.classList.toggle("miss", found.length > 0 && !found.includes(run));
  }
  hits.textContent = wanted ? `${found.length.toLocaleString("en")} ${found.length === 1 ? "hit" : "hits"}` : "";
}

function goToHit(by) {
  if (!found.length) return;
  const at = found.findIndex((run) => run.ariaSelected === "true");
  const next = at === -1 ? (by > 0 ? 0 : found.length - 1) : (at + by + found.length) % found.length;
  choose(found[next], { focus: false });
}

if (input && tree) {
  input.addEventListener("input", search);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") goToHit(event.shiftKey ? -1 : 1);
    if (event.key === "Escape" && input.value) {
      input.value = "";
      search();
    }
  });
  onKey(["/"], "find in these runs; Enter goes from hit to hit", () => {
    input.focus();
    input.select();
  });
  for (const button of document.querySelectorAll("[data-only]:is(button)")) {
    button.addEventListener("click", () => {
      tree.dataset.only = button.dataset.only;
      for (const other of button.parentElement.children) other.ariaPressed = String(other === button);
    });
  }
}
