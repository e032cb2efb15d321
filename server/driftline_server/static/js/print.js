// On paper everything that is folded stands open.
let folded = [];

addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("main details:not([open]):not(.menu)")];
  for (const each of folded) each.open = true;
});

addEventListener("afterprint", () => {
  for (const each of folded) each.open = false;
});
