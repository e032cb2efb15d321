// Folding of the tree: a run is hidden while any of its ancestors is folded.
const runs = [...document.querySelectorAll(".tree .run")];
const levelOf = (run) => Number(run.ariaLevel);

export function isShown(run) {
  return run.offsetParent !== null;
}

export function fold(run, open) {
  run.ariaExpanded = String(open);
  draw();
}

/** Unfold whatever hides a run. */
export function reveal(run) {
  if (!run.hidden) return;
  let level = levelOf(run);
  for (const before of runs.slice(0, runs.indexOf(run)).reverse()) {
    if (levelOf(before) >= level) continue;
    level = levelOf(before);
    if (before.ariaExpanded === "false") before.ariaExpanded = "true";
  }
  draw();
}

function draw() {
  let foldedAt = Infinity;
  for (const run of runs) {
    if (levelOf(run) <= foldedAt) foldedAt = Infinity;
    run.hidden = levelOf(run) > foldedAt;
    if (foldedAt === Infinity && run.ariaExpanded === "false") foldedAt = levelOf(run);
  }
}
