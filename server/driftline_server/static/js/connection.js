// Says under the header that the server is away, for as long as it is.
const EVERY_MS = 2500; // twice this is the longest that it takes to notice
const line = document.querySelector(".connection");
const dot = document.querySelector(".rail-foot .dot");

function show(isThere) {
  line.hidden = isThere;
  dot?.classList.toggle("good", isThere);
  dot?.classList.toggle("bad", !isThere);
}

async function ask() {
  if (document.visibilityState === "visible") {
    const answer = await fetch("/healthz", { cache: "no-store", signal: AbortSignal.timeout(EVERY_MS) }).catch(() => null);
    show(answer !== null && answer.ok);
  }
}

async function keepAsking() {
  await ask();
  setTimeout(keepAsking, EVERY_MS);
}

if (line) {
  setTimeout(keepAsking, EVERY_MS);
  addEventListener("offline", () => show(false));
  for (const sign of ["online", "visibilitychange"]) addEventListener(sign, ask);
}
