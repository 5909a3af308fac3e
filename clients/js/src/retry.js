/** Whether and when the client connects again, and how long it remembers a refusal. */

export const RETRIES_MAX = 8;
const RETRY_FIRST_MS = 500;
const RETRY_MOST_MS = 15_000;
const REFUSAL_REMEMBERED_MS = 60_000;
const FINAL_CLOSES = new Set([1000, 1002, 1007, 1008, 1009, 4001, 4002, 4003]);
const FINAL_CODES = { 4001: "resumed_elsewhere", 4002: "budget_exhausted", 4003: "plan_required" };
const ENDED_BY_OPERATOR = "Session ended by an operator"; // the beginning of a close's reason

/**
 * The error code of a close after which the client must not reconnect: the session is over, refused, or violated the
 * protocol. Null after any other close.
 */
export function finalCode(code, reason) {
  if (!FINAL_CLOSES.has(code)) return null;
  if (reason.startsWith(ENDED_BY_OPERATOR)) return "ended_by_operator";
  return FINAL_CODES[code] ?? "closed";
}

/** The delay before attempt `attempt` (from 0): half of a doubling time, plus `random` (0 to 1) of that half. */
export function backoffMs(attempt, random) {
  const whole = Math.min(RETRY_MOST_MS, RETRY_FIRST_MS * 2 ** attempt);
  return whole / 2 + (random * whole) / 2;
}

/** An earlier refusal with the rest of its `retryAfter`; null once it is too old. */
export function stillRefused(refusal) {
  const age = performance.now() - (refusal?.at ?? Number.NEGATIVE_INFINITY);
  if (age > REFUSAL_REMEMBERED_MS) return null;
  const { retryAfter } = refusal;
  return { ...refusal, retryAfter: retryAfter && Math.max(1, Math.ceil(retryAfter - age / 1000)), at: performance.now() };
}
