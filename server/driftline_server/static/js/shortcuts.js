// The one map of keys: a key works if and only if it stands here, and the list of keys is printed from it.
const shortcuts = [];

/** `keys` are values of KeyboardEvent.key, or a function that gives those of the moment; `meaning` is for the list. */
export function onKey(keys, meaning, action) {
  shortcuts.push({ keys, meaning, action });
}

const keysOf = ({ keys }) => (typeof keys === "function" ? keys() : keys);

export function listShortcuts() {
  return shortcuts.map((each) => ({ keys: keysOf(each), meaning: each.meaning })).filter(({ keys }) => keys.length);
}

function isTyping(target) {
  return target.matches?.("input, textarea, select, [contenteditable]");
}

addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.metaKey || event.ctrlKey || event.altKey) return;
  if (isTyping(event.target)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (document.querySelector("dialog[open]")) return;
  const found = shortcuts.find((each) => keysOf(each).includes(event.key));
  if (found && found.action(event) !== false) event.preventDefault();
});
