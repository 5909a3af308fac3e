/** What this tab keeps: the token from the address, the resume token, and the turns over a reload. */

const RESUME = "voice-trio-resume";
const TOKEN = "voice-trio-token";
const TURNS = "voice-trio-turns";
const RELOADED_WITHIN_MS = 3_600_000; // as long as the gateway keeps a session's record

export const token = () => sessionStorage.getItem(TOKEN);
export const keepToken = (text) => sessionStorage.setItem(TOKEN, text);

/** Take the token from the address, where it stays no longer than this; returns whether there was one. */
export function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!given) return false;
  keepToken(given);
  history.replaceState(null, "", location.pathname + location.search); // so that the token is not visible on the screen
  return true;
}

export const resumeStore = {
  get() {
    const [kept, at] = (sessionStorage.getItem(RESUME) ?? "").split(" ");
    return kept && Date.now() - Number(at) < RELOADED_WITHIN_MS ? kept : null;
  },
  set(given) {
    if (given) sessionStorage.setItem(RESUME, `${given} ${Date.now()}`);
    else sessionStorage.removeItem(RESUME);
  },
};

export const keepTurns = (turns) => sessionStorage.setItem(TURNS, JSON.stringify(turns));
export const keptTurns = () => JSON.parse(sessionStorage.getItem(TURNS) ?? "[]");
export const dropTurns = () => sessionStorage.removeItem(TURNS);

export function gatewayUrl() {
  const url = new URL("/v1/ws/voice?metrics=1", location.href); // this page draws each turn's metrics
  url.protocol = url.protocol.replace("http", "ws");
  return url.href;
}
