/** What this tab keeps of a conversation: the resume token, and the turns over a reload. */

const RESUME = "voice-trio-resume";
const TURNS = "voice-trio-turns";
const RELOADED_WITHIN_MS = 3_600_000; // as long as the gateway keeps a session's record

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
