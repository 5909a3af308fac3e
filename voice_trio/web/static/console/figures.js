/** The figures in the header: time left, the wait for the last answer, cost, round trip. */

import { $ } from "./dom.js";
import { seconds, t } from "./strings.js";
import { leftWords, moneyWords } from "./words.js";

const SOON_SECONDS = 60;
const spent = { before: 0, now: 0, isEstimate: false }; // USD: by earlier connections of this page, by this one
let expiresAt = null;
let wait = null;

/** A connection begins, until the time `until`; what it costs is counted from zero. */
export function beginCount(until) {
  expiresAt = until;
  spent.before += spent.now;
  spent.now = 0;
  showTimeLeft();
}

export function endCount() {
  expiresAt = null;
  $("round-trip").hidden = true;
  showTimeLeft();
}

export function countCost({ session_cost_usd: usd, cost_is_estimate: isEstimate }) {
  spent.now = usd;
  spent.isEstimate ||= isEstimate;
  showFigures();
}

export function showTimeLeft() {
  const left = expiresAt ? (expiresAt - Date.now()) / 1000 : 0;
  $("left").hidden = !expiresAt;
  $("left").textContent = leftWords(left);
  $("left").classList.toggle("soon", left <= SOON_SECONDS);
}

/** `marks` of the turn that was answered last. */
export function showWait(marks) {
  wait = marks;
  showFigures();
}

export function showFigures() {
  const ms = wait?.answeredAfter ?? null;
  $("answer-time").parentElement.hidden = ms === null;
  $("answer-time").textContent = ms === null ? "" : seconds(ms);
  $("answer-silence").textContent = wait?.silenceMs ? ` ${t("figures.silence", { time: seconds(wait.silenceMs) })}` : "";
  const usd = spent.before + spent.now;
  $("cost").hidden = !usd;
  $("money").textContent = moneyWords({ usd, isEstimate: spent.isEstimate });
}

export function showRoundTrip(ms) {
  $("round-trip").hidden = false;
  $("round-trip").textContent = `${ms} ms`;
}
