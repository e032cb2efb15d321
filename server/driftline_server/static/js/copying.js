// Copies what a button names: a text of the page, or what its address gives, which is the original to the byte.
export async function copy(button, text) {
  try {
    await navigator.clipboard.writeText(await text);
    button.classList.add("done");
    say("Copied");
  } catch {
    say("The browser did not allow copying");
  }
  setTimeout(() => button.classList.remove("done"), 1500);
}

function say(words) {
  document.querySelector(".says")?.remove();
  const line = document.createElement("p");
  line.className = "says";
  line.setAttribute("role", "status");
  line.textContent = words;
  document.body.append(line);
  setTimeout(() => line.remove(), 2500);
}

const rawText = async (address) => {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  return answer.text();
};

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-copy], button[data-copy-text]");
  if (!button) return;
  copy(button, button.dataset.copyText ?? rawText(button.dataset.copy));
});
