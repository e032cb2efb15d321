// Tells the server in which zone the viewer lives; moments are written by the server, in one zone for the whole page.
import { recall, remember } from "./cookies.js";

const root = document.documentElement;
const own = Intl.DateTimeFormat().resolvedOptions().timeZone ?? "";

if (own && own !== recall("driftline_zone")) {
  remember("driftline_zone", own);
  // Only where the cookie was kept, and the server wrote this page without knowing: else it would reload for ever.
  const isNews = recall("driftline_zone") === own && root.dataset.zone !== own;
  if (isNews && !("utc" in root.dataset) && own !== "UTC") location.reload();
}

for (const button of document.querySelectorAll("[data-do=zone]")) {
  button.addEventListener("click", () => {
    remember("driftline_clock", button.dataset.zoneChoice);
    location.reload();
  });
}
