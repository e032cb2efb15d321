// The panel of the chosen run: fetched when the choice rests, with its tab kept per kind of run.
import { remember } from "./cookies.js";
import { copy } from "./copying.js";
import { onKey } from "./shortcuts.js";

const panel = document.getElementById("detail");
const tabs = () => [...(panel?.querySelectorAll("[role=tab]") ?? [])];
const currentTab = () => tabs().find((tab) => tab.ariaSelected === "true");
const REST_MS = 70;
const PATIENCE_MS = 150;
let underway = null;

const tabOf = (kind) => sessionStorage.getItem(`tab-${kind}`) ?? "";

export function showRun(id, kind, href) {
  const address = new URL(href);
  address.searchParams.set("run", id);
  if (tabOf(kind)) address.searchParams.set("tab", tabOf(kind));
  history.replaceState(history.state, "", address);
  underway?.abort();
  if (panel.querySelector(".d-all")?.dataset.detailRun === id) {
    panel.querySelector(".part-failed")?.remove();
    panel.classList.remove("busy");
    return;
  }
  underway = new AbortController();
  load(id, address, underway.signal);
}

async function load(id, address, signal) {
  await new Promise((done) => setTimeout(done, REST_MS));
  if (signal.aborted) return;
  const late = setTimeout(() => panel.classList.add("busy"), PATIENCE_MS);
  try {
    const answer = await fetch(`${address.pathname}/runs/${id}${address.search}`, { signal });
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    const html = await answer.text();
    if (signal.aborted) return;
    panel.replaceChildren(document.createRange().createContextualFragment(html));
    panel.scrollTop = 0;
    keepInView(currentTab());
  } catch (error) {
    if (signal.aborted) return;
    sayFailed(error instanceof TypeError ? "No connection to the server" : `The run could not be read: ${error.message}`, () => {
      underway = new AbortController();
      load(id, address, underway.signal);
    });
  } finally {
    clearTimeout(late);
    if (!signal.aborted) panel.classList.remove("busy");
  }
}

/** What was shown before stays; the line above it says what failed, and since when that stands there. */
function sayFailed(words, again) {
  const since = panel.querySelector(".part-failed")?.dataset.since ?? new Date().toTimeString().slice(0, 8);
  panel.querySelector(".part-failed")?.remove();
  const line = document.createElement("p");
  line.className = "part-failed";
  line.dataset.since = since;
  line.setAttribute("role", "alert");
  const text = document.createElement("span");
  const what = document.createElement("b");
  what.textContent = words;
  const rest = panel.querySelector(".d-all") ? "; below is still the run before" : "";
  text.append(what, ` since ${since}${rest}`);
  const button = document.createElement("button");
  button.type = "button";
  button.className = "act";
  button.textContent = "Try again";
  button.addEventListener("click", again);
  line.append(warningIcon(), text, button);
  panel.prepend(line);
}

function warningIcon() {
  return document.getElementById("failed-icon").content.firstElementChild.cloneNode(true);
}

/** Where the tabs are wider than the window, the current one is in view. */
function keepInView(tab) {
  const list = tab.parentElement;
  list.scrollLeft = tab.offsetLeft - list.offsetLeft - (list.clientWidth - tab.offsetWidth) / 2;
}

function showTab(tab, { focus = false } = {}) {
  if (!tab) return;
  for (const other of tabs()) other.ariaSelected = String(other === tab);
  for (const pane of panel.querySelectorAll("[role=tabpanel]")) pane.hidden = pane.id !== tab.getAttribute("aria-controls");
  sessionStorage.setItem(`tab-${panel.querySelector(".d-all").dataset.detailKind}`, tab.dataset.tab);
  history.replaceState(history.state, "", tab.href);
  keepInView(tab);
  if (focus) tab.focus();
}

function showText(choice) {
  document.documentElement.dataset.text = choice;
  remember("driftline_text", choice);
  for (const button of panel.querySelectorAll("[data-text-choice]")) {
    button.ariaPressed = String(button.dataset.textChoice === choice);
  }
}

/** What was unfolded by its beginning is folded by its end; then that beginning is in view again. */
function foldAgain(details) {
  details.open = false;
  const summary = details.querySelector("summary");
  summary.focus({ preventScroll: true });
  summary.scrollIntoView({ block: "nearest" });
}

panel?.addEventListener("click", (event) => {
  const tab = event.target.closest("[role=tab]");
  const button = event.target.closest("button");
  if (tab && !event.metaKey && !event.ctrlKey) {
    event.preventDefault();
    showTab(tab);
  }
  if (button?.dataset.do === "text") showText(button.dataset.textChoice);
  if (button?.dataset.do === "fold") foldAgain(button.closest("details"));
  if (button?.dataset.do === "copy-link") copy(button, location.href);
});

panel?.addEventListener("keydown", (event) => {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!by || event.target.role !== "tab") return;
  event.preventDefault();
  const at = tabs().indexOf(event.target);
  showTab(tabs()[(at + by + tabs().length) % tabs().length], { focus: true });
});

if (panel) {
  if (currentTab()) keepInView(currentTab());
  onKey(() => tabs().map((_, at) => String(at + 1)), "views of the run", (event) => showTab(tabs()[Number(event.key) - 1]));
  onKey(["y"], "copy the link to this run", () => panel.querySelector("[data-do=copy-link]")?.click());
}
