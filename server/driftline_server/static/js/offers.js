// Values that occur are offered while one fills in the fields; they are counted when the form is opened first.
const form = document.querySelector(".more-fields");

async function fill() {
  const answer = await fetch(`/traces/offers${location.search}`).catch(() => null);
  if (!answer?.ok) return; // the fields work without offers
  form.querySelector(".offers").replaceChildren(document.createRange().createContextualFragment(await answer.text()));
}

form?.addEventListener("toggle", fill, { once: true });
