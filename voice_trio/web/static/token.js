/** The token of this tab, for the console and the dashboard: it comes in the address or is pasted. Served with either. */

const TOKEN = "voice-trio-token";

/** The token; null before there is one. */
export const token = () => sessionStorage.getItem(TOKEN);
export const keepToken = (text) => sessionStorage.setItem(TOKEN, text.trim());

/** Take the token from the address, where it stays no longer than this; returns whether there was one. */
export function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!given) return false;
  keepToken(given);
  history.replaceState(null, "", location.pathname + location.search); // so that the token is not visible on the screen
  return true;
}
