/** What the page does at each event of its VoiceClient. */

import { showDevices } from "./devices.js";
import { $ } from "./dom.js";
import { beginCount, countCost, showRoundTrip, showWait } from "./figures.js";
import { isReachable } from "./gateway-watch.js";
import { dismiss, notice, tell } from "./notices.js";
import { t } from "./strings.js";
import { budgetWords, endingWords, mayTryAgain, microphoneWords, refusalWords } from "./words.js";

const TOKEN_CODES = new Set(["token_invalid", "token_unavailable"]);
const AWAY_CODES = new Set(["unreachable", "audio_unavailable"]); // the files that play sound come from the gateway, too
const STOPPED = new Set(["blocked", "suspended", "interrupted"]);
const NOTICED_RETRY_MS = 3000; // a shorter pause is not counted down

/** `page`: the parts of the page, as console.js has them. */
export function listenTo(voice, page) {
  const { announcer, conversation, show, voiceEnd } = page;
  const on = {
    ...connectionListeners(voice, page),
    state: show,
    speech: (detail) => conversation.speech(detail),
    transcript(detail) {
      conversation.transcript(detail);
      if (detail.role === "assistant") announcer.answer(detail);
      else if (detail.isFinal && detail.text.trim()) announcer.say(t("said.you", { text: detail.text }));
    },
    context: (detail) => conversation.context(detail),
    playback(detail) {
      conversation.playback(detail, 1000 * (voice.output?.context.outputLatency || 0));
      showWait(conversation.lastAnswered);
    },
    cut(detail) {
      conversation.cut(detail);
      announcer.cut(detail.itemId);
    },
    level(detail) {
      voiceEnd.hear(detail.input, performance.now());
      page.showLevel(detail);
    },
    latency({ roundTripMs }) {
      voiceEnd.roundTripMs = roundTripMs;
      showRoundTrip(roundTripMs);
    },
    devices: showDevices,
    microphone: (detail) => onMicrophone(voice, detail, show),
    output: ({ state }) => onOutput(voice, state),
    waiting: ({ seconds }) => page.showWaiting(seconds),
    event: (event) => onEvent(event, page),
  };
  for (const [name, listener] of Object.entries(on)) voice.addEventListener(name, ({ detail }) => listener(detail));
}

/** Listeners for the beginning and the end of a connection, and for what goes wrong with it. */
function connectionListeners(voice, { announcer, conversation, talk, waitForGateway }) {
  let isFresh = false;
  return {
    ready({ expiresAt, resumed }) {
      beginCount(expiresAt);
      dismiss("connection");
      if (resumed) tell(() => ({ title: t("back.title"), text: t("back.text") }));
      else if (isFresh) tell(() => ({ title: t("fresh.title"), text: t("fresh.text") }));
      isFresh = false;
    },
    fresh() {
      isFresh = true;
    },
    expiring: ({ secondsLeft }) => announcer.say(t("seconds_left", { n: secondsLeft })),
    reconnecting({ delayMs, error }) {
      conversation.lose();
      const n = Math.ceil(delayMs / 1000);
      const again = () => (delayMs > NOTICED_RETRY_MS ? t("lost.again_in", { n }) : t("lost.again"));
      const retry = () => ({ action: t("try_again"), onAction: () => startAgain(voice) });
      notice(() => ({ title: lostTitle(error), text: again(), isMild: true, ...retry() }), "connection");
    },
    ended({ reason }) {
      dismiss("connection");
      dismiss("sound");
      if (!endingWords(reason)) return;
      const again = () => ({ action: t("ending.action"), onAction: talk, isMild: true });
      notice(() => ({ title: endingWords(reason), text: t("ending.text"), ...again() }));
    },
    async error(error) {
      if (error.isFatal && AWAY_CODES.has(error.code) && !(await isReachable())) {
        waitForGateway();
        return;
      }
      const make = () => ({
        ...refusalWords(error, new Date()),
        ...(mayTryAgain(error) && { action: t("try_again"), onAction: talk }),
        wantsToken: TOKEN_CODES.has(error.code),
      });
      notice(make);
    },
    recovering({ recovering }) {
      if (recovering) notice(() => ({ title: t("recovering.title"), text: t("recovering.text"), isMild: true }), "connection");
      else dismiss("connection");
      if (!recovering) announcer.say(t("recovered"));
    },
  };
}

function lostTitle(error) {
  if (!error) return t("lost.title");
  return error.code === "unreachable" ? t("away.title") : refusalWords(error, new Date()).title;
}

/** Connect at once instead of after the pause; the session is resumed. */
function startAgain(voice) {
  voice.disconnect();
  voice.start();
}

function onMicrophone(voice, { state, reason }, show) {
  show();
  if (!reason) return;
  const ask = () => voice.useMicrophone($("input-device").value || undefined);
  const title = () => t(state === "refused" ? "microphone.title" : "microphone.other_title");
  notice(() => ({ title: title(), text: microphoneWords(reason), isMild: true, action: t("microphone.again"), onAction: ask }));
  $("typed").focus();
}

function onOutput(voice, state) {
  if (!STOPPED.has(state)) {
    dismiss("sound");
    return;
  }
  const text = () => t(state === "blocked" ? "sound.blocked" : "sound.interrupted");
  const wake = () => voice.resumeAudio();
  notice(() => ({ title: t("sound.title"), text: text(), action: t("sound.action"), onAction: wake }), "sound");
}

function onEvent(event, { conversation, voiceEnd }) {
  switch (event.type) {
    case "session.created":
    case "session.updated":
      voiceEnd.configure(event.session);
      break;
    case "input_audio_buffer.committed":
      conversation.committed(event.item_id);
      break;
    case "response.created":
      conversation.responds(event.response_id);
      break;
    case "response.done":
      conversation.responded(event.response_id, event.status);
      break;
    case "response.audio.delta":
      conversation.audio(event);
      break;
    case "turn.metrics":
      conversation.figures(event);
      countCost(event);
      break;
    case "budget.warning":
      tell(() => ({ title: t("budget.title"), text: budgetWords(event) }));
      break;
    default:
  }
}
