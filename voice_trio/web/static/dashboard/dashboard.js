/** The dashboard: requests figures every few seconds, with the token in the URL's fragment, and has them drawn. */

import { drawCards } from "./cards.js";
import { $ } from "./figures.js";
import { drawInstances } from "./instances.js";
import { ask } from "./requests.js";
import { refreshSessions, watchSessions } from "./sessions.js";
import { drawStages } from "./stages.js";
import { keepToken, takeToken, token } from "./token.js";
import { countLive, drawUsers } from "./users.js";

const EVERY_MS = 5000;
let hasFigures = false;
let isDenied = !token(); // a refused token is not sent again: refusals are counted by address

function say(state, text) {
  document.body.dataset.state = state;
  $("status-text").textContent = text;
}

/** Show the form for a token; `why` says what is wrong with the last one. */
function askForToken(why = "") {
  isDenied = true;
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  $("figures").hidden = true;
  $("door").hidden = false;
  $("door-error").textContent = why;
  $("door-error").hidden = !why;
  say("waiting", "Waiting for a token");
}

function fail(error) {
  if (error.needsToken) askForToken(error.message);
  else say("ill", hasFigures ? `${error.message} These figures are old.` : error.message);
}

async function refresh() {
  if (isDenied) return;
  try {
    const [stats, sessions] = await Promise.all([ask("stats"), refreshSessions()]);
    if (isDenied) return; // by another request meanwhile
    hasFigures = true;
    $("door").hidden = true;
    $("figures").hidden = false;
    drawCards(stats);
    drawStages(stats);
    drawUsers(stats);
    drawInstances(stats);
    if (sessions) countLive(sessions);
    say(stats.limiter.draining ? "ill" : "well", stats.limiter.draining ? "Draining" : `As of ${new Date().toLocaleTimeString()}`);
  } catch (error) {
    fail(error);
  }
}

async function watch() {
  if (!document.hidden) await refresh();
  setTimeout(watch, EVERY_MS);
}

function enter() {
  isDenied = false;
  return refresh();
}

$("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  keepToken($("token").value);
  $("token").value = "";
  enter();
});
addEventListener("hashchange", () => takeToken() && enter());
document.addEventListener("visibilitychange", () => document.hidden || refresh());
watchSessions(fail);
if (takeToken()) isDenied = false;
if (isDenied) askForToken();
watch();
