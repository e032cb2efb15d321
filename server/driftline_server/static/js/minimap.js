// The map of all runs: it stands above the lanes where some are out of view, with a frame around those in view.
import { isShown } from "./folding.js";

const map = document.querySelector(".minimap");
const list = document.querySelector(".runs");
const all = [...document.querySelectorAll(".tree .run")];
const rows = all.filter((run) => !run.classList.contains("context"));
const TOP = 2; // of the box of 46, and how much of its height the lines fill
const FILLED = 42;

if (map && rows.length) {
  const frame = map.querySelector(".mini-view");
  const first = Number(map.dataset.first);
  const count = Number(map.dataset.count);
  const heightOf = () => rows.find(isShown)?.offsetHeight || 1;
  const placeOf = (row) => TOP + (FILLED * (first + row)) / count;

  function draw() {
    const shown = rows.filter(isShown);
    map.classList.toggle("idle", !shown.length || (list.scrollHeight <= list.clientHeight && rows.length === count));
    if (map.classList.contains("idle")) return;
    const above = Math.round(list.scrollTop / heightOf()) - (all.length - rows.length);
    const inView = shown.slice(Math.max(0, above), Math.max(1, above + Math.floor(list.clientHeight / heightOf())));
    const top = placeOf(rows.indexOf(inView[0] ?? shown.at(-1)));
    frame.setAttribute("y", top);
    frame.setAttribute("height", Math.max(2, placeOf(rows.indexOf(inView.at(-1) ?? shown.at(-1)) + 1) - top));
  }

  /** A press brings the run of that height, or the next one that is not folded, into the middle. */
  function goTo(event) {
    const box = map.getBoundingClientRect();
    const wanted = Math.floor((((event.clientY - box.top) / box.height) * (TOP + FILLED + TOP) - TOP) / FILLED * count) - first;
    const row = Math.min(count - 1 - first, Math.max(-first, wanted));
    if (row >= 0 && row < rows.length) center(row);
    else turnTo(first + row);
  }

  function center(row) {
    const shown = rows.filter(isShown);
    const target = shown.find((run) => rows.indexOf(run) >= row) ?? shown.at(-1);
    list.scrollTop = target.offsetTop - Math.floor(list.clientHeight / heightOf() / 2) * heightOf();
  }

  /** The row stands on another page of runs, which then brings it into the middle. */
  function turnTo(row) {
    const address = new URL(location.href);
    address.searchParams.set("from", row + 1);
    location.assign(address);
  }

  map.addEventListener("click", goTo);
  list.addEventListener("scroll", draw, { passive: true });
  new ResizeObserver(draw).observe(list);
  new ResizeObserver(draw).observe(list.firstElementChild);
  const asked = Number(new URLSearchParams(location.search).get("from")) - 1;
  if (asked > first && asked < first + rows.length) center(asked - first);
  draw();
}
