// Drag over the ribbon to look at that stretch of time only; Back undoes it, and so does a double press.
const ribbon = document.querySelector(".ribbon[data-since]");
const SMALLEST_PX = 6;

if (ribbon) {
  const brush = ribbon.querySelector(".rb-brush");
  const since = Date.parse(ribbon.dataset.since);
  const until = Date.parse(ribbon.dataset.until);
  let from = null;

  const placeOf = (event) => {
    const box = ribbon.getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  };
  const momentAt = (place) => new Date(since + (until - since) * place).toISOString();

  function draw(event) {
    if (from === null) return;
    const to = placeOf(event);
    brush.setAttribute("x", `${Math.min(from, to) * 100}%`);
    brush.setAttribute("width", `${Math.abs(to - from) * 100}%`);
    ribbon.classList.add("dragging");
  }

  function finish(event) {
    if (from === null) return;
    const [first, last] = [from, placeOf(event)].sort((a, b) => a - b);
    from = null;
    if ((last - first) * ribbon.clientWidth < SMALLEST_PX) {
      ribbon.classList.remove("dragging");
      return;
    }
    const address = new URL("/traces", location.href);
    for (const [key, value] of new URLSearchParams(location.search)) address.searchParams.set(key, value);
    for (const key of ["after", "run", "tab", "from"]) address.searchParams.delete(key);
    address.searchParams.set("range", "custom");
    address.searchParams.set("since", momentAt(first));
    address.searchParams.set("until", momentAt(last));
    location.assign(address);
  }

  ribbon.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    from = placeOf(event);
    ribbon.setPointerCapture(event.pointerId);
  });
  ribbon.addEventListener("dblclick", () => document.querySelector("[data-do=whole-range]")?.click());
  ribbon.addEventListener("pointermove", draw);
  ribbon.addEventListener("pointerup", finish);
  ribbon.addEventListener("pointercancel", () => {
    from = null;
    ribbon.classList.remove("dragging");
  });
}
