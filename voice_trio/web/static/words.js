/** The texts of the console: states, refusals, reasons. Pure: text in, text out. */

const STATUS = {
  idle: "Ready when you are",
  connecting: "Connecting …",
  listening: "Listening",
  thinking: "Thinking …",
  speaking: "Answering. To stop it, just talk",
  error: "Not connected",
};

const REFUSALS = {
  feature_disabled: ["Voice is switched off", "The people who run this assistant have switched voice off for now."],
  not_in_rollout: ["Not open to you yet", "Voice is being introduced step by step, and your account is not in it yet."],
  plan_required: ["Not part of your plan", "Your plan does not include voice."],
  plan_unverified: ["Your plan could not be checked", "That is our fault, and usually passes within a minute."],
  token_invalid: ["You are not signed in", "The token in this page's address is missing, wrong or too old."],
  token_unavailable: ["You are not signed in", "No token could be had."],
  rate_limited: ["Enough for now", "You have started as many conversations as an hour allows."],
  too_many_sessions: ["Already in a conversation", "Close one in another tab or on another device first."],
  at_capacity: ["All lines are busy", "Somebody has to finish first. Trying again in a moment may help."],
  draining: ["Restarting", "The service is being restarted; the conversation goes on in a moment."],
  upstream_unavailable: ["The assistant cannot be reached", "The speech service behind this gateway does not answer."],
  budget_exhausted: ["The budget is used up", "Conversations are possible again tomorrow."],
  resumed_elsewhere: ["Continued elsewhere", "This conversation goes on in another tab or on another device."],
  taken_over: ["Continued elsewhere", "This conversation goes on in another tab or on another device."],
  unreachable: ["No connection", "The gateway cannot be reached. Is the network there?"],
  resume_invalid: ["That conversation is over", "It can no longer be taken up. Begin a new one."],
  audio_unavailable: ["No sound here", "This browser cannot play sound on this page."],
  too_slow: ["The connection is too slow", "Sound could not be delivered in time."],
  ended_by_operator: ["This conversation was ended", "An operator has ended it."],
  not_allowed: ["Not allowed", "The gateway did not take that."],
};

const MICROPHONE = {
  denied: "The browser was told not to let this page listen. Allow the microphone beside the address, then ask again.",
  missing: "This device seems to have none.",
  busy: "Another program is using it.",
  insecure: "Browsers lend it to secure pages only: open this page over https, or on localhost.",
  failed: "It could not be opened.",
};

const ENDINGS = {
  "Session duration limit reached": "The time for one conversation was up",
  Idle: "Nothing was said for a while, so the conversation was closed",
};

export function statusWords(state, microphone) {
  if (state === "listening" && microphone === "muted") return "Muted";
  if (state === "listening" && microphone === "refused") return "Waiting for your question in writing";
  return STATUS[state];
}

const WORTH_ANOTHER_TRY = new Set([
  "unreachable", "closed", "at_capacity", "upstream_unavailable", "plan_unverified", "too_many_sessions", "too_slow",
  "resumed_elsewhere", "taken_over", "internal_error",
]);

/** Whether another attempt may succeed now. */
export const mayTryAgain = ({ code, isFatal, retryAfter }) => isFatal && WORTH_ANOTHER_TRY.has(code) && !(retryAfter > 30);

/** {title, text} for an error of VoiceClient; `now` is a Date. */
export function refusalWords({ code, message, retryAfter, isFatal = true }, now) {
  // A question may be refused while others use the rest of a budget; the conversation goes on.
  const wasDenied = code === "budget_exhausted" && !isFatal;
  const [title, text] = wasDenied ? ["Not answered", ""] : (REFUSALS[code] ?? ["Something went wrong", ""]);
  const detail = text || message || "";
  const withOwn = ["feature_disabled", "not_in_rollout", "plan_required", "not_allowed", "budget_exhausted"];
  const own = withOwn.includes(code) && message;
  return { title, text: [own || detail, slotWords(code, retryAfter, now)].filter(Boolean).join(" ") };
}

/** "The next one can begin at 14:32, in 12 minutes." */
export function slotWords(code, retryAfter, now) {
  if (!retryAfter) return "";
  const what = code === "rate_limited" ? "The next one can begin" : "Try again";
  if (retryAfter < 90) return `${what} in ${plural(retryAfter, "second")}.`;
  const at = new Date(now.getTime() + 1000 * retryAfter);
  const clock = at.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });
  return `${what} at ${clock}, in ${plural(Math.ceil(retryAfter / 60), "minute")}.`;
}

export const microphoneWords = (reason) => MICROPHONE[reason] ?? MICROPHONE.failed;

/** Why a conversation ended, unless the user ended it; then an empty text. */
export const endingWords = (reason) => ENDINGS[reason] ?? "";

export const RECOVERING = { title: "One moment", text: "The assistant was lost and is being called again." };

export const budgetWords = ({ spent_usd: spent, limit_usd: limit }) => `$${spent.toFixed(2)} of $${limit.toFixed(2)} so far.`;

/** "$0.0042": two significant digits, down to a hundredth of a cent. */
export function moneyWords({ usd, isEstimate }) {
  const digits = usd >= 0.1 ? 2 : usd >= 0.01 ? 3 : 4;
  return `${isEstimate ? "about " : ""}$${usd.toFixed(digits)}`;
}

/** The median of some numbers of ms, in words; empty for none. */
export function usualWords(times) {
  const middle = times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)];
  return middle === undefined ? "" : `${(middle / 1000).toFixed(2)} s`;
}

/** "9:41 left" */
export function leftWords(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")} left`;
}

/** The outcome of a turn's retrieval. */
export function contextWords({ outcome, waitedMs, stale }) {
  switch (outcome) {
    case "hidden":
      return stale ? "documents found while you spoke, by your first words" : "documents found while you spoke";
    case "waited":
      return `waited ${waitedMs} ms for documents`;
    case "local":
      return "documents kept from before";
    case "late":
      return "documents came too late";
    default:
      return "no documents used";
  }
}

const plural = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;
