// Moves through the runs of a trace. The tree is one tab stop; the chosen run is in the address.
import { onKey } from "./shortcuts.js";
import { showRun } from "./detail.js";
import { fold, isShown, reveal } from "./folding.js";

const tree = document.querySelector(".tree");
const runs = tree ? [...tree.querySelectorAll(".run")] : [];
const chosen = () => runs.find((run) => run.ariaSelected === "true");
const shown = () => runs.filter(isShown);

export function choose(run, { focus = true, jump = false } = {}) {
  if (!run) return;
  reveal(run);
  for (const other of runs) {
    other.ariaSelected = String(other === run);
    other.tabIndex = other === run ? 0 : -1;
  }
  if (focus) run.focus({ preventScroll: true });
  run.scrollIntoView({ block: "nearest" });
  showRun(run.dataset.run, run.dataset.kind, run.href);
  if (jump && !matchMedia("(min-width: 1000px)").matches) document.getElementById("detail").scrollIntoView();
}

function step(by) {
  const visible = shown();
  const at = visible.indexOf(chosen());
  choose(visible[Math.min(visible.length - 1, Math.max(0, at + by))]);
}

function stepProblem(by) {
  const problems = runs.filter((run) => "problem" in run.dataset);
  if (!problems.length) return;
  const at = runs.indexOf(chosen());
  const ahead = by > 0 ? problems.find((run) => runs.indexOf(run) > at) : problems.findLast((run) => runs.indexOf(run) < at);
  choose(ahead ?? (by > 0 ? problems[0] : problems.at(-1)));
}

function goOut() {
  const run = chosen();
  if (run.ariaExpanded === "true") fold(run, false);
  else choose(runs.slice(0, runs.indexOf(run)).findLast((each) => Number(each.ariaLevel) < Number(run.ariaLevel)));
}

function goIn() {
  const run = chosen();
  if (run.ariaExpanded === "false") fold(run, true);
  else if (run.ariaExpanded === "true") step(1);
}

/** Of very many runs a page holds some only; `elsewhere` is the address of a run on another one. */
function goTo(elsewhere, here) {
  if (elsewhere) location.assign(elsewhere);
  else choose(here);
}

if (runs.length) {
  for (const run of runs) run.tabIndex = run === chosen() ? 0 : -1;
  if (!chosen()) runs[0].tabIndex = 0;

  tree.addEventListener("click", (event) => {
    const run = event.target.closest(".run");
    if (!run || event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
    event.preventDefault();
    if (event.target.closest(".twist") && run.ariaExpanded) fold(run, run.ariaExpanded === "false");
    else choose(run, { jump: true });
  });
  document.querySelector(".findings")?.addEventListener("click", (event) => {
    const run = document.getElementById(`r-${event.target.closest("[data-run]")?.dataset.run}`);
    if (!run || event.metaKey || event.ctrlKey) return;
    event.preventDefault();
    choose(run, { jump: true });
  });

  onKey(["j", "ArrowDown"], "next run", () => step(1));
  onKey(["k", "ArrowUp"], "previous run", () => step(-1));
  onKey(["ArrowRight"], "unfold, or first child", goIn);
  onKey(["ArrowLeft"], "fold, or parent", goOut);
  onKey(["Home"], "first run", () => goTo(tree.dataset.firstRun, shown()[0]));
  onKey(["End"], "last run", () => goTo(tree.dataset.lastRun, shown().at(-1)));
  if (tree.querySelector("[data-problem]")) {
    onKey(["n"], "next problem", () => stepProblem(1));
    onKey(["N"], "previous problem", () => stepProblem(-1));
  }
  if (tree.querySelector(".on-path")) {
    const button = document.querySelector("[data-do=critical]");
    const toggle = () => { button.ariaPressed = String(tree.classList.toggle("only-critical")); };
    button.addEventListener("click", toggle);
    onKey(["c"], "critical path only", toggle);
  }

  // The chosen run is in view from the start; only its list scrolls, never the page.
  const list = document.querySelector(".runs");
  const run = chosen();
  const beyond = list.scrollHeight - list.clientHeight;
  if (run && beyond > 0) {
    const part = beyond % run.offsetHeight;
    // Room to scroll by whole rows, also to the very end.
    if (part) run.closest(".runs-all").style.paddingBottom = `${run.offsetHeight - part}px`;
    const rowsAbove = Math.round((run.offsetTop - list.clientHeight * 0.6) / run.offsetHeight);
    list.scrollTop = rowsAbove * run.offsetHeight; // no row is cut at the top
  }
}

for (const link of document.querySelectorAll("a[data-key]")) {
  onKey([link.dataset.key], link.getAttribute("aria-label").toLowerCase(), () => link.click());
}
