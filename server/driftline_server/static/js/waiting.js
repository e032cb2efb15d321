// The empty page shows the first trace as soon as it arrives.
const EVERY_MS = 2000;

async function look() {
  if (document.visibilityState === "visible") {
    try {
      const answer = await fetch("/api/v1/traces?limit=1");
      if (answer.ok && (await answer.json()).traces.length) {
        location.reload();
        return;
      }
    } catch {
      // The server is away; it is asked again, and the page stays as it was.
    }
  }
  setTimeout(look, EVERY_MS);
}

if (document.querySelector("[data-waiting]")) setTimeout(look, EVERY_MS);
