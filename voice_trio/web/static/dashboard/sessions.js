/** The live sessions of all instances: sorted and paged here, found by user at the gateway, and ended one at a time. */

import { $, cents, counted, dollars, duration, made, number, timeOfDay, userName } from "./figures.js";
import { ask } from "./requests.js";
import { sortable } from "./sorting.js";

const ROWS_FIRST = 10;
const ROWS_MORE = 50;
const FIND_AFTER_MS = 300;
const STATES = {
  connecting: "Connecting",
  listening: "Listening",
  answering: "Answering",
  recovering: "Reconnecting",
  draining: "Draining",
  ending: "Ending",
};
const PROTOCOLS = { realtime: "OpenAI's protocol" }; // the other one goes without saying
const OUTCOMES = {
  ended: "has ended.",
  asked: "was asked to end. Its instance has not confirmed it yet.",
};
let listed = { sessions: [], left_out: 0, complete: true };
let shownMax = ROWS_FIRST;
let user = "";
let failed = () => {};
const rows = new Map(); // session id → its row, kept over refreshes so that a button keeps the focus
const ending = new Set(); // ids of sessions that were asked to end

const sorted = sortable(
  $("sessions-table"),
  {
    user: (one) => one.user,
    state: (one) => STATES[one.state] ?? one.state,
    since: (one) => one.since,
    turns: (one) => one.turns,
    cost: (one) => one.cost_usd,
  },
  { key: "since", falling: false },
  draw,
);

/** Request the sessions and draw them; returns those of all users, or null while one user is looked for. */
export async function refreshSessions() {
  const asked = user;
  const found = await ask(asked ? `sessions?user=${encodeURIComponent(asked)}` : "sessions");
  if (asked !== user) return null; // the question has changed meanwhile
  listed = found;
  for (const id of ending) if (!found.sessions.some((one) => one.session_id === id)) ending.delete(id);
  draw();
  return asked ? null : found.sessions;
}

/** `onFailure(error)` gets what a button or the search could not do. */
export function watchSessions(onFailure) {
  failed = onFailure;
}

function draw() {
  const { sessions } = listed;
  const shown = sorted(sessions).slice(0, shownMax);
  const areSeveral = new Set(sessions.map((one) => one.instance)).size > 1;
  const places = shown.map((one) => update(one, areSeveral));
  const ids = new Set(sessions.map((one) => one.session_id));
  for (const id of rows.keys()) if (!ids.has(id)) rows.delete(id);
  const body = $("sessions");
  if (places.length !== body.rows.length || places.some((row, index) => body.rows[index] !== row)) place(body, places);
  $("sessions-table").hidden = !sessions.length;
  $("sessions-empty").hidden = sessions.length > 0;
  $("sessions-empty").textContent = user ? "This user has no live session." : "No session is live.";
  const more = sessions.length - shown.length;
  $("sessions-more").hidden = more === 0;
  $("sessions-more").textContent = more > ROWS_MORE ? `Show ${ROWS_MORE} of ${number(more)} more` : `Show ${number(more)} more`;
  $("sessions-note").textContent = note(sessions);
}

/** A row that moves loses the focus, so it gets it back. */
function place(body, places) {
  const focused = document.activeElement;
  body.replaceChildren(...places);
  if (body.contains(focused)) focused.focus();
}

function note({ length }) {
  const parts = [counted(length, "session"), listed.complete ? "all instances" : "of this instance only, because Redis is unavailable"];
  if (listed.left_out) parts.push(`the oldest; ${number(listed.left_out)} more are not listed`);
  if (length) parts.push(`${dollars(listed.sessions.reduce((total, one) => total + one.cost_usd, 0))} so far`);
  return parts.join(" · ");
}

function update(one, areSeveral) {
  const row = rows.get(one.session_id) ?? made("tr", { dataset: { session: one.session_id } });
  if (!rows.has(one.session_id)) rows.set(one.session_id, built(row, one));
  const state = ending.has(one.session_id) ? "ending" : one.state;
  const text = (name, value) => {
    const cell = row.querySelector(`.${name}`);
    if (cell.textContent !== value) cell.textContent = value;
  };
  row.dataset.state = state;
  row.latest = one;
  text("state-name", STATES[state] ?? state);
  text("lasted", duration(one.connected_seconds));
  text("turns", number(one.turns));
  text("unit", one.turns === 1 ? " turn" : " turns");
  text("cost", cents(one.cost_usd));
  row.querySelector(".cost").title = dollars(one.cost_usd);
  text("about", [one.plan, PROTOCOLS[one.protocol], areSeveral ? one.instance : ""].filter(Boolean).join(" · "));
  row.querySelector("button").disabled = state === "ending";
  return row;
}

function built(row, one) {
  const end = made("button", { className: "end", textContent: "End", ariaLabel: `End the session of ${one.user.slice(0, 12)}` });
  end.addEventListener("click", () => confirmEnd(row.latest));
  row.append(
    made("th", { scope: "row" }, userName(one.user), made("small", { className: "about", title: one.session_id })),
    made("td", { className: "state" }, made("i", { className: "dot" }), made("span", { className: "state-name" })),
    made("td", { className: "since", title: new Date(one.since * 1000).toLocaleString() }, timeOfDay(one.since), made("small", { className: "lasted" })),
    made("td", { className: "turn-count" }, made("span", { className: "turns" }), made("span", { className: "unit" })),
    made("td", { className: "cost" }),
    made("td", { className: "act" }, end),
  );
  return row;
}

// Ending a session

function confirmEnd(one) {
  const dialog = $("end-dialog");
  const facts = {
    User: one.user,
    Session: one.session_id,
    Since: `${new Date(one.since * 1000).toLocaleTimeString()}, for ${duration(one.connected_seconds)}`,
    State: STATES[one.state] ?? one.state,
    Cost: `${dollars(one.cost_usd)}, ${counted(one.turns, "turn")}`,
  };
  $("end-facts").replaceChildren(...Object.entries(facts).flatMap(([name, fact]) => [made("dt", { textContent: name }), made("dd", { textContent: fact, title: fact })]));
  $("end-yes").onclick = () => {
    dialog.close();
    end(one);
  };
  dialog.showModal();
}

async function end({ session_id: id }) {
  const say = (text) => {
    $("sessions-status").textContent = text;
  };
  ending.add(id);
  draw();
  say("");
  try {
    const { outcome } = await ask(`sessions/${encodeURIComponent(id)}`, "DELETE");
    if (outcome !== "ended") ending.delete(id);
    say(`Session ${id} ${OUTCOMES[outcome] ?? outcome}`);
    await refreshSessions();
  } catch (error) {
    ending.delete(id);
    draw();
    if (error.status === 404) say(`Session ${id} had ended already.`);
    else say(`Session ${id} was not ended: ${error.message}`);
    if (error.needsToken) failed(error);
  }
}

$("end-no").addEventListener("click", () => $("end-dialog").close());
$("sessions-more").addEventListener("click", () => {
  shownMax += ROWS_MORE;
  draw();
});

let findTimer;
$("sessions-user").addEventListener("input", ({ target }) => {
  clearTimeout(findTimer);
  findTimer = setTimeout(async () => {
    user = target.value.trim();
    shownMax = ROWS_FIRST;
    try {
      await refreshSessions();
      $("sessions-status").textContent = "";
    } catch (error) {
      $("sessions-status").textContent = error.message;
      if (error.needsToken) failed(error);
    }
  }, FIND_AFTER_MS);
});
