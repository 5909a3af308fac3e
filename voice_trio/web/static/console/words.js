/** What the console says about states, refusals and figures, in the language of the page. Pure: values in, text out. */

import { currentLanguage, hasText, number, t } from "./strings.js";

/** Messages of the gateway for which the page has words of its own; any other is an operator's, and is shown. */
const GATEWAYS_OWN = new Set([
  "Voice is not available at the moment.",
  "Voice is being introduced step by step and is not available for your account yet.",
]);
const OPERATORS_WORDS = new Set(["feature_disabled", "not_in_rollout"]);
const WORTH_ANOTHER_TRY = new Set([
  "unreachable", "closed", "at_capacity", "upstream_unavailable", "plan_unverified", "too_many_sessions", "too_slow",
  "resumed_elsewhere", "taken_over", "internal_error", "idle",
]);
const ENDINGS = { "Session duration limit reached": "ending.duration", Idle: "ending.idle" };

/** `waitingSeconds`: how long the model has sent nothing, if the gateway says so. */
export function statusWords(state, microphone, waitingSeconds = 0) {
  if (state === "listening" && microphone === "muted") return t("status.muted");
  if (state === "listening" && microphone === "suspended") return t("status.suspended");
  if (state === "listening" && microphone === "refused") return t("status.in_writing");
  if (state === "thinking" && waitingSeconds) return t("status.waiting", { n: waitingSeconds });
  return t(`status.${state}`);
}

/** Whether another attempt may succeed now. */
export const mayTryAgain = ({ code, isFatal, retryAfter }) => isFatal && WORTH_ANOTHER_TRY.has(code) && !(retryAfter > 30);

/** {title, text} for an error of VoiceClient; `now` is a Date. */
export function refusalWords({ code, message, retryAfter, isFatal = true }, now) {
  // A question may be refused while others use the rest of a budget; the conversation goes on.
  const meant = code === "budget_exhausted" && !isFatal ? "budget_reserved" : code;
  const [title, text] = t(hasText(`refusal.${meant}`) ? `refusal.${meant}` : "refusal.unknown");
  const own = ownWords(code, message) || text || message || "";
  return { title, text: [own, slotWords(code, retryAfter, now)].filter(Boolean).join(" ") };
}

/** What only the gateway's message says: an operator's words, the plans, what was wrong with a message. */
function ownWords(code, message) {
  if (!message) return "";
  if (OPERATORS_WORDS.has(code)) return GATEWAYS_OWN.has(message) ? "" : message;
  if (code === "plan_required") return plansWords(message);
  return code === "not_allowed" || code === "bad_message" ? message : "";
}

function plansWords(message) {
  const plans = /plans (.+?)\.?$/.exec(message)?.[1];
  return plans ? t("refusal.plans", { plans }) : "";
}

/** "The next one can begin at 14:32, in 12 minutes." */
function slotWords(code, retryAfter, now) {
  if (!retryAfter) return "";
  const what = t(code === "rate_limited" ? "slot.next" : "slot.again");
  if (retryAfter < 90) return t("slot.seconds", { what, n: Math.ceil(retryAfter) });
  const at = new Date(now.getTime() + 1000 * retryAfter);
  const clock = at.toLocaleTimeString(currentLanguage(), { hour: "2-digit", minute: "2-digit" });
  return t("slot.minutes", { what, clock, n: Math.ceil(retryAfter / 60) });
}

export const microphoneWords = (reason) => t(hasText(`microphone.${reason}`) ? `microphone.${reason}` : "microphone.failed");

/** Why a conversation ended, unless the user ended it; then an empty text. */
export const endingWords = (reason) => (ENDINGS[reason] ? t(ENDINGS[reason]) : "");

export const budgetWords = ({ spent_usd: spent, limit_usd: limit }) =>
  t("budget.text", { spent: dollars(spent, 2), limit: dollars(limit, 2) });

/** "$0.0042": two significant digits, down to a hundredth of a cent. */
export function moneyWords({ usd, isEstimate }) {
  const money = dollars(usd, usd >= 0.1 ? 2 : usd >= 0.01 ? 3 : 4);
  return isEstimate ? t("money.about", { money }) : money;
}

function dollars(usd, digits) {
  const style = { style: "currency", currency: "USD", currencyDisplay: "narrowSymbol" };
  return number(usd, { ...style, minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** "9:41 left" */
export function leftWords(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  return t("figures.left", { time: `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}` });
}

/** The outcome of a turn's retrieval. */
export function contextWords({ outcome, waitedMs, stale }) {
  const key = outcome === "hidden" && stale ? "context.stale" : `context.${outcome}`;
  return t(hasText(key) ? key : "context.none", { ms: waitedMs });
}
