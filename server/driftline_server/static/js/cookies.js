// What the viewer chose is kept in cookies, so that the server draws the page right from the start.
// The values are names of zones and words of ours, none of which has to be encoded.
const ONE_YEAR_S = 31_536_000;

export function remember(name, value) {
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `${name}=${value}; path=/; max-age=${ONE_YEAR_S}; samesite=lax${secure}`;
}

export function recall(name) {
  const found = document.cookie.split("; ").find((each) => each.startsWith(`${name}=`));
  return found === undefined ? "" : found.slice(name.length + 1);
}
