/** The console page: controls, transcript and timelines around a VoiceClient. The token is in the URL's fragment. */

import { VoiceClient } from "/client/voice.js";

import { Conversation } from "./conversation.js";
import {
  RECOVERING,
  budgetWords,
  endingWords,
  leftWords,
  mayTryAgain,
  microphoneWords,
  moneyWords,
  refusalWords,
  statusWords,
  usualWords,
} from "./words.js";

const $ = (id) => document.getElementById(id);
const RESUME = "voice-trio-resume";
const TOKEN = "voice-trio-token";
const TURNS = "voice-trio-turns";
const FOLLOWS_WITHIN_PX = 120;
const NEWS_MS = 6000;
const RELOADED_WITHIN_MS = 3_600_000; // as long as the gateway keeps a session's record

const conversation = new Conversation($("turns"), () => {
  $("welcome").hidden = true;
  follows = true;
});
const voice = new VoiceClient({
  url: gatewayUrl(),
  token: () => sessionStorage.getItem(TOKEN),
  resumeStore: { get: readResume, set: writeResume },
});
let expiresAt = null;
let level = 0;
let follows = true; // whether the page scrolls to the newest turn; not while the reader has scrolled up
let noticed = ""; // the subject of a notice that may disappear by itself
let isFresh = false;
const spent = { before: 0, now: 0, isEstimate: false }; // USD: by earlier connections of this page, by this one
globalThis.voiceTrio = voice; // for experiments in the browser's own console

function gatewayUrl() {
  const url = new URL("/v1/ws/voice?metrics=1", location.href); // this page draws each turn's metrics
  url.protocol = url.protocol.replace("http", "ws");
  return url.href;
}

// The token

function takeToken() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return;
  sessionStorage.setItem(TOKEN, token);
  history.replaceState(null, "", location.pathname + location.search); // so that the token is not visible on the screen
  hideNotice();
}

function readResume() {
  const [token, at] = (sessionStorage.getItem(RESUME) ?? "").split(" ");
  return token && Date.now() - Number(at) < RELOADED_WITHIN_MS ? token : null;
}

function writeResume(token) {
  if (token) sessionStorage.setItem(RESUME, `${token} ${Date.now()}`);
  else sessionStorage.removeItem(RESUME);
}

// Actions

async function talk() {
  if (voice.isActive) {
    voice.stop();
  } else if (sessionStorage.getItem(TOKEN)) {
    hideNotice();
    await voice.start();
    await listDevices();
  } else {
    askForToken();
  }
}

async function ask(text) {
  if (!text) return;
  $("typed").value = "";
  if (!voice.isActive) await talk();
  if (voice.sendText(text)) conversation.typed(text);
  else $("typed").value = text;
}

function interrupt() {
  if (voice.state === "speaking" || voice.state === "thinking") voice.interrupt();
}

// Display

function show() {
  const { state } = voice;
  document.body.dataset.state = state;
  document.body.classList.toggle("active", voice.isActive);
  document.body.classList.toggle("muted", voice.microphone === "muted");
  $("talk").setAttribute("aria-label", voice.isActive ? "End the conversation" : "Start talking");
  $("talk").title = $("talk").getAttribute("aria-label");
  $("status-text").textContent = statusWords(state, voice.microphone);
  $("interrupt").hidden = state !== "speaking";
  $("mute").hidden = !(voice.isActive && (voice.microphone === "on" || voice.microphone === "muted"));
  $("mute").setAttribute("aria-pressed", String(voice.microphone === "muted"));
  if (!voice.isActive) {
    conversation.settle();
    expiresAt = null;
    $("round-trip").hidden = true;
    level = 0;
  }
  showTimeLeft();
}

function showTimeLeft() {
  const seconds = expiresAt ? (expiresAt - Date.now()) / 1000 : 0;
  $("left").hidden = !expiresAt;
  $("left").textContent = leftWords(seconds);
  $("left").classList.toggle("soon", seconds <= 60);
}

function showFigures() {
  $("answer-time").textContent = usualWords(conversation.answerTimes);
  $("answer-time").parentElement.hidden = !$("answer-time").textContent;
  const usd = spent.before + spent.now;
  $("cost").parentElement.hidden = !usd;
  $("cost").textContent = moneyWords({ usd, isEstimate: spent.isEstimate });
}

function notice({ title, text, about = "", action = null, onAction = null, isMild = false, wantsToken = false }) {
  noticed = about;
  $("notice-title").textContent = title;
  $("notice-text").textContent = text;
  $("notice-action").hidden = !action;
  $("notice-action").textContent = action ?? "";
  $("notice-action").onclick = () => {
    hideNotice();
    onAction?.();
  };
  $("token-form").hidden = !wantsToken;
  $("notice").classList.toggle("mild", isMild);
  $("notice").hidden = false;
}

/** A notice that disappears by itself; it replaces no other notice. */
function tell(title, text) {
  if (!$("notice").hidden) return;
  notice({ title, text, about: "news", isMild: true });
  setTimeout(() => noticed === "news" && hideNotice(), NEWS_MS);
}

function hideNotice() {
  noticed = "";
  $("notice").hidden = true;
}

function askForToken() {
  const text = "Open the address that was printed when the gateway started, or paste a token here.";
  notice({ title: "A token is needed", text, wantsToken: true });
}

function sayAloud(text) {
  $("spoken").textContent = text;
}

async function listDevices() {
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  fill($("input-device"), devices, "audioinput");
  fill($("output-device"), devices, "audiooutput");
  const canChoose = "setSinkId" in AudioContext.prototype && devices.some(({ kind }) => kind === "audiooutput");
  $("output-choice").hidden = !canChoose;
  $("no-names").hidden = devices.some(({ label }) => label);
}

function fill(select, devices, kind) {
  const chosen = select.value;
  const options = devices.filter((device) => device.kind === kind && device.deviceId !== "default");
  const usual = new Option("The browser's choice", "");
  select.replaceChildren(usual, ...options.map(({ label, deviceId }, i) => new Option(label || `Device ${i + 1}`, deviceId)));
  select.value = options.some(({ deviceId }) => deviceId === chosen) ? chosen : "";
}

// Events of the client

const on = {
  state: () => show(),
  ready({ expiresAt: until, resumed }) {
    expiresAt = until;
    spent.before += spent.now;
    spent.now = 0;
    if (noticed === "connection") hideNotice();
    if (resumed) tell("Welcome back", "The conversation goes on where it was.");
    else if (isFresh) tell("A new conversation", "The gateway no longer knows the earlier one. What was said stays on this page.");
    isFresh = false;
    showTimeLeft();
  },
  fresh() {
    isFresh = true;
  },
  speech: (detail) => conversation.speech(detail),
  transcript(detail) {
    conversation.transcript(detail);
    if (detail.isFinal && detail.role === "user") sayAloud(`You: ${detail.text}`);
  },
  context: (detail) => conversation.context(detail),
  playback(detail) {
    conversation.playback(detail);
    showFigures();
  },
  cut: (detail) => conversation.cut(detail),
  level({ input, output }) {
    const heard = voice.state === "speaking" ? output : input;
    if (heard !== undefined) level = Math.max(level * 0.8, Math.min(1, 4 * heard));
    if (!isAnimated) animate();
  },
  microphone({ state, reason }) {
    show();
    if (!reason) return;
    const retry = { action: "Ask again", onAction: () => voice.useMicrophone($("input-device").value || undefined) };
    const title = state === "refused" ? "No microphone: please type" : "That microphone cannot be used";
    notice({ title, text: microphoneWords(reason), isMild: true, ...retry });
    $("typed").focus();
  },
  latency({ roundTripMs }) {
    $("round-trip").hidden = false;
    $("round-trip").textContent = `${roundTripMs} ms`;
  },
  expiring({ secondsLeft }) {
    sayAloud(`${secondsLeft} seconds left`);
  },
  reconnecting({ delayMs, error }) {
    conversation.lose();
    const title = error ? refusalWords(error, new Date()).title : "The connection was lost";
    const text = delayMs > 3000 ? `Trying again in ${Math.ceil(delayMs / 1000)} seconds.` : "Trying again.";
    notice({ title, text, about: "connection", isMild: true });
  },
  ended({ reason }) {
    const title = endingWords(reason);
    if (title) notice({ title, text: "What was said stays on this page.", action: "Talk again", onAction: talk, isMild: true });
  },
  error(error) {
    const isToken = error.code === "token_invalid" || error.code === "token_unavailable";
    const action = mayTryAgain(error) ? { action: "Try again", onAction: talk } : {};
    notice({ ...refusalWords(error, new Date()), ...action, wantsToken: isToken });
  },
  event(event) {
    if (event.type === "input_audio_buffer.committed") conversation.committed(event.item_id);
    else if (event.type === "response.created") conversation.responds(event.response_id);
    else if (event.type === "response.done") conversation.responded(event.response_id, event.status);
    else if (event.type === "response.audio.delta") conversation.audio(event);
    else if (event.type === "turn.metrics") figures(event);
    else if (event.type === "budget.warning") tell("Most of the budget is used up", budgetWords(event));
    else if (event.type === "session.recovering") notice({ ...RECOVERING, about: "connection", isMild: true });
    else if (event.type === "session.recovered" && noticed === "connection") hideNotice();
  },
};
for (const [name, listener] of Object.entries(on)) voice.addEventListener(name, ({ detail }) => listener(detail));

function figures(told) {
  conversation.figures(told);
  spent.now = told.session_cost_usd;
  spent.isEstimate ||= told.cost_is_estimate;
  showFigures();
}

// Events of the user

$("talk").onclick = talk;
$("mute").onclick = () => voice.mute(voice.microphone !== "muted");
$("interrupt").onclick = interrupt;
$("notice-close").onclick = hideNotice;
$("typed-form").onsubmit = (event) => {
  event.preventDefault();
  ask($("typed").value.trim());
};
$("token-form").onsubmit = (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN, $("token").value.trim());
  $("token").value = "";
  hideNotice();
  talk();
};
$("input-device").onchange = ({ target }) => voice.useMicrophone(target.value || undefined);
$("output-device").onchange = ({ target }) => voice.useSpeaker(target.value);
$("settings").ontoggle = listDevices;
addEventListener("keydown", ({ key }) => {
  if (key !== "Escape") return;
  if ($("settings").open) $("settings").open = false;
  else interrupt();
});
addEventListener("click", ({ target }) => {
  if (!$("settings").contains(target)) $("settings").open = false;
});
addEventListener("hashchange", takeToken);
addEventListener("pagehide", () => {
  voice.disconnect();
  if (voice.canResume) sessionStorage.setItem(TURNS, JSON.stringify(conversation.saved()));
});
navigator.mediaDevices?.addEventListener("devicechange", listDevices);

// Animation

addEventListener("scroll", () => {
  follows = innerHeight + scrollY >= document.documentElement.scrollHeight - FOLLOWS_WITHIN_PX;
});
new ResizeObserver(() => {
  if (follows) scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" });
}).observe($("turns"));

setInterval(() => {
  showTimeLeft();
  conversation.tick();
}, 250);
let isAnimated = false;
function animate() {
  level *= 0.94;
  $("talk").style.setProperty("--level", level.toFixed(3));
  isAnimated = voice.isActive || level > 0.01;
  if (isAnimated) requestAnimationFrame(animate);
}

takeToken();
show();
addEventListener("pageshow", () => sessionStorage.removeItem(TURNS));
if (!sessionStorage.getItem(TOKEN)) askForToken();
else if (voice.canResume) {
  conversation.restore(JSON.parse(sessionStorage.getItem(TURNS) ?? "[]"));
  showFigures();
  const text = "This page was in a conversation a moment ago.";
  notice({ title: "Go on?", text, action: "Go on talking", onAction: talk, isMild: true });
}
