/** The cards of the dashboard: one subject each, drawn from the body of `/v1/voice/stats`. */

import { bars, lines } from "./charts.js";
import { $, counted, dollars, duration, emptyItem, made, meter, milliseconds, number, percent, sum, words } from "./figures.js";

const OUTCOMES = {
  hidden: "in before the question ended",
  local: "kept at hand",
  waited: "waited for",
  late: "too late",
  none: "nothing found",
};
const TROUBLES = new Set(["upstream_unavailable", "upstream_lost", "crashed", "too_slow", "budget_exhausted"]);
const HOUR = 3600;
const RATE_FROM_SECONDS = 60; // before that a rate would be made of too little

export function drawCards(stats) {
  drawActive(stats);
  drawAnswer(stats);
  drawCost(stats);
  drawFailed(stats);
  drawTurns(stats);
  drawAdoption(stats);
  drawRetrieval(stats);
  drawCounts($("endings"), stats.sessions.by_ending, "None yet.");
  drawCounts($("refused"), stats.sessions.refused, "None yet.");
}

/** `in the last hour`, or since when there is something to count. */
function period({ now, since }) {
  return now - since < HOUR ? `since the start, ${duration(now - since)} ago` : "in the last hour";
}

/** A figure of each minute; null before the start, for which no zero must be drawn. */
function byMinute({ minutes, since }, figure) {
  return minutes.map((minute) => (minute.at + 60 <= since ? null : figure(minute)));
}

function drawActive(stats) {
  const active = byMinute(stats, (minute) => minute.active);
  const { instances = [], sessions, limiter } = stats;
  const everywhere = sum(instances.map((one) => one.active));
  const places = `of ${counted(limiter.places, "place")}`;
  $("active").textContent = number(sessions.active);
  $("places").textContent = instances.length > 1 ? `${places} here · ${number(everywhere)} in all` : places;
  $("peak").textContent = `at most ${number(Math.max(...active))} ${period(stats)}`;
  $("active-chart").replaceChildren(lines("Open sessions by minute", active));
}

function drawAnswer(stats) {
  const answer = stats.latency_ms["1h"].commit_to_first_audio_out;
  $("answer").textContent = answer.count ? milliseconds(answer.p50) : "–";
  const figures = answer.count && `median of ${counted(answer.count, "answer")} · P95 ${milliseconds(answer.p95)}`;
  $("answer-note").textContent = figures || `no question ${period(stats)}`;
  const quantile = (name) => byMinute(stats, (minute) => minute.answer_ms[name]);
  $("answer-chart").replaceChildren(lines("Median and P95 by minute", quantile("p50"), quantile("p95")));
}

function drawCost({ cost, minutes }) {
  const today = cost.today_usd ?? 0;
  const limit = cost.daily_budget_usd ?? null;
  const each = cost.per_session_usd === null ? "" : ` · ${dollars(cost.per_session_usd)} a conversation`;
  const budget = limit === null ? "no daily budget" : `of ${dollars(limit)}${cost.is_exhausted ? ", all of it" : ""}`;
  $("cost").textContent = dollars(today);
  $("cost").classList.toggle("warm", Boolean(cost.is_exhausted));
  $("cost-note").textContent = budget + each;
  $("budget").hidden = !limit;
  if (limit) meter($("budget"), today / limit, 0.8);
  $("cost-chart").replaceChildren(bars("Dollars by minute", minutes.map((minute) => minute.cost_usd)));
}

function drawFailed(stats) {
  const { minutes, sessions } = stats;
  $("failed").textContent = sessions.ended ? percent(stats.error_rate) : "–";
  $("failed").classList.toggle("warm", stats.error_rate > 0.02);
  const failed = sum(minutes.map((minute) => minute.failed));
  const isYoung = stats.now - stats.since < HOUR;
  $("failed-note").textContent = sessions.ended
    ? `of ${number(sessions.ended)} that ended ${isYoung ? period(stats) : `since the start · ${number(failed)} in the last hour`}`
    : "none has ended yet";
  $("failed-chart").replaceChildren(bars("Failed sessions by minute", minutes.map((minute) => minute.failed), "warm"));
}

function drawTurns({ minutes, turns, interruptions, recent }) {
  const isRate = recent.seconds >= RATE_FROM_SECONDS;
  const rate = recent.turns / (recent.seconds / 60);
  const figure = isRate ? rate.toLocaleString("en", { maximumFractionDigits: 1 }) : number(recent.turns);
  const span = isRate ? `a minute, over ${Math.floor(recent.seconds / 60)} min` : `in the first ${duration(recent.seconds)}`;
  $("turns").replaceChildren(figure, made("small", { textContent: ` ${span}` }));
  const all = sum(Object.values(turns));
  $("turns-note").textContent = `${number(all)} since the start, ${number(interruptions)} of them interrupted`;
  $("turns-chart").replaceChildren(bars("Turns by minute", minutes.map((minute) => minute.turns)));
}

function drawAdoption({ adoption }) {
  const { share, users_admitted_today: admitted, users_who_talked_today: talked } = adoption;
  $("adoption").textContent = share === null ? "–" : percent(share);
  $("adoption-note").textContent = admitted
    ? `${number(talked)} of ${counted(admitted, "admitted user")} had a session that began`
    : "no user was admitted today (UTC)";
  meter($("adoption-meter"), share ?? 0);
}

function drawRetrieval({ retrieval, knowledge = {} }) {
  const total = sum(Object.values(retrieval));
  const names = Object.keys(OUTCOMES);
  const parts = names.map((name, tone) => {
    const part = made("i", { className: `tone-${tone}`, title: `${words(name)}: ${retrieval[name] ?? 0}` });
    part.style.flexGrow = String(retrieval[name] ?? 0);
    part.hidden = !retrieval[name];
    return part;
  });
  const legend = names.map((name, tone) => {
    const share = total ? percent((retrieval[name] ?? 0) / total) : "–";
    const meaning = made("small", { textContent: OUTCOMES[name] });
    return made("li", {}, made("i", { className: `tone-${tone}` }), words(name), meaning, made("b", { textContent: share }));
  });
  const isEmpty = knowledge.empty === true;
  const isAway = knowledge.available === false && !isEmpty;
  $("knowledge-note").hidden = !isEmpty && !isAway;
  $("knowledge-note").replaceChildren(
    ...(isAway ? ["The knowledge base does not answer."] : ["The knowledge base is empty. Fill it by ", made("code", { textContent: "voice-trio knowledge import" }), "."]),
  );
  $("retrieval").hidden = $("retrieval-legend").hidden = isEmpty;
  $("retrieval").replaceChildren(...parts);
  $("retrieval-legend").replaceChildren(...legend);
}

function drawCounts(place, counts, empty) {
  const sorted = Object.entries(counts).sort((one, other) => other[1] - one[1]).slice(0, 7);
  const most = sorted.length ? sorted[0][1] : 1;
  const rows = sorted.map(([name, count]) => {
    const bar = made("u");
    bar.style.width = `${(count / most) * 100}%`;
    const figure = made("b", { textContent: number(count) });
    return made("li", { className: TROUBLES.has(name) ? "warm" : "" }, made("span", { textContent: words(name) }), figure, made("i", {}, bar));
  });
  place.replaceChildren(...(rows.length ? rows : [emptyItem(empty)]));
}
