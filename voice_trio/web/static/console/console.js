/** The console page: controls, transcript and timelines around a VoiceClient. */

import { VoiceClient } from "/client/voice.js";

import { Announcer } from "./announcer.js";
import { Conversation } from "./conversation.js";
import { listLanguages, showDevices } from "./devices.js";
import { $ } from "./dom.js";
import { endCount, showFigures, showTimeLeft, showWait } from "./figures.js";
import { Following } from "./following.js";
import { GatewayWatch } from "./gateway-watch.js";
import { listenTo } from "./listening.js";
import { askForToken, hideNotice, notice, translateNotice } from "./notices.js";
import { openPassage } from "./passage.js";
import { choose, t, translate } from "./strings.js";
import { keepToken, takeToken, token } from "./token.js";
import { dropTurns, gatewayUrl, keepTurns, keptTurns, resumeStore } from "./visit.js";
import { VoiceEnd } from "./voice-end.js";
import { handTokenOver, introduce, showIntroduction } from "./welcome.js";
import { refusalWords, statusWords } from "./words.js";

const voice = new VoiceClient({ url: gatewayUrl(), token, resumeStore });
const voiceEnd = new VoiceEnd();
const announcer = new Announcer($("spoken"));
const following = new Following($("turns"), document.querySelector("header"), document.querySelector("footer"));
const conversation = new Conversation($("turns"), voiceEnd, (turn) => {
  $("welcome").hidden = true;
  following.follow(turn.words);
});
const watch = new GatewayWatch(onGatewayBack);
let waitingSeconds = 0; // how long the model has sent nothing
let level = 0;
let isAnimated = false;
globalThis.voiceTrio = voice; // for experiments in the browser's own console

// Actions

async function talk() {
  if (voice.isActive) {
    voice.stop();
  } else if (token()) {
    watch.stop();
    hideNotice();
    await voice.start();
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

/** The gateway could not be reached; it is looked for until it answers, or the notice is closed. */
function waitForGateway() {
  watch.start();
  const text = () => t(navigator.onLine === false ? "away.offline" : "away.text");
  const answer = () => ({ action: t("try_again"), onAction: talk, onClose: stopWaiting });
  notice(() => ({ title: t("away.title"), text: text(), isMild: true, ...answer() }), "away");
  show();
}

function stopWaiting() {
  watch.stop();
  show();
}

/** The user has asked for the conversation; but no microphone opens in a tab that is not looked at. */
function onGatewayBack() {
  if (!document.hidden) return talk();
  notice(() => ({ title: t("away.back"), text: t("away.back_text"), action: t("ending.action"), onAction: talk, isMild: true }));
  return show();
}

// Display

function show() {
  const { state, microphone, isActive } = voice;
  document.body.dataset.state = watch.isOn ? "connecting" : state;
  document.body.classList.toggle("active", isActive);
  document.body.classList.toggle("muted", microphone === "muted");
  $("talk").setAttribute("aria-label", t(isActive ? "talk.end" : "talk.start"));
  $("talk").title = $("talk").getAttribute("aria-label");
  if (state !== "thinking") waitingSeconds = 0;
  const status = watch.isOn ? t("status.away") : statusWords(state, microphone, waitingSeconds);
  if ($("status-text").textContent !== status) $("status-text").textContent = status;
  $("interrupt").hidden = state !== "speaking";
  $("mute").hidden = !(isActive && (microphone === "on" || microphone === "muted"));
  $("mute").setAttribute("aria-pressed", String(microphone === "muted"));
  if (!isActive) {
    conversation.settle();
    endCount();
    level = 0;
  }
}

function showLevel({ input, output }) {
  level = Math.max(level * 0.8, Math.min(1, 4 * (voice.state === "speaking" ? output : input)));
  if (!isAnimated) animate();
}

function showWaiting(seconds) {
  waitingSeconds = seconds;
  show();
}

function animate() {
  level *= 0.94;
  $("talk").style.setProperty("--level", level.toFixed(3));
  isAnimated = voice.isActive || level > 0.01;
  if (isAnimated) requestAnimationFrame(animate);
}

/** Everything on the page again, in another language. */
function speak(language) {
  choose(language);
  translate(document);
  listLanguages();
  showDevices(voice.devices);
  showIntroduction(ask);
  conversation.render();
  showFigures();
  showTimeLeft();
  translateNotice();
  show();
}

async function begin() {
  if (!token()) {
    askForToken();
  } else if (voice.canResume) {
    conversation.restore(keptTurns());
    showWait(conversation.lastAnswered);
    const go = () => ({ action: t("reload.action"), onAction: talk, isMild: true });
    notice(() => ({ title: t("reload.title"), text: t("reload.text"), ...go() }));
  }
  if (token()) await introduceAssistant();
}

/** Say what the assistant knows; a token that is not accepted is said before it is needed. */
async function introduceAssistant() {
  const status = await introduce(ask);
  if (status !== 401 || voice.isActive || !$("notice").hidden) return;
  const refusal = { code: "token_invalid", message: "", retryAfter: null };
  notice(() => ({ ...refusalWords(refusal, new Date()), wantsToken: true }));
}

// Events of the client and of the user

listenTo(voice, { announcer, conversation, show, showLevel, showWaiting, talk, voiceEnd, waitForGateway });

$("talk").onclick = talk;
$("mute").onclick = () => voice.mute(voice.microphone !== "muted");
$("interrupt").onclick = interrupt;
$("dashboard").onclick = handTokenOver;
$("dashboard").onauxclick = handTokenOver;
$("turns").addEventListener("passage", ({ detail }) => openPassage(detail, (id) => voice.getPassage(id)));
$("typed-form").onsubmit = (event) => {
  event.preventDefault();
  ask($("typed").value.trim());
};
$("token-form").onsubmit = (event) => {
  event.preventDefault();
  keepToken($("token").value);
  $("token").value = "";
  hideNotice();
  introduceAssistant();
  talk();
};
$("input-device").onchange = ({ target }) => voice.useMicrophone(target.value || undefined);
$("output-device").onchange = ({ target }) => voice.useSpeaker(target.value);
$("language").onchange = ({ target }) => speak(target.value);
$("settings").ontoggle = () => voice.listDevices();
addEventListener("keydown", ({ key }) => {
  if (key !== "Escape" || $("passage").open) return;
  if ($("settings").open) $("settings").open = false;
  else interrupt();
});
addEventListener("click", ({ target }) => {
  if (!$("settings").contains(target)) $("settings").open = false;
});
addEventListener("hashchange", () => {
  if (!takeToken()) return;
  hideNotice();
  introduceAssistant();
});
addEventListener("pagehide", () => {
  voice.disconnect();
  if (voice.canResume) keepTurns(conversation.saved());
});
addEventListener("pageshow", dropTurns);
setInterval(() => {
  showTimeLeft();
  conversation.tick();
}, 250);

takeToken();
translate(document);
listLanguages();
show();
begin();
