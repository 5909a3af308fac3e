/** The dashboard: requests the statistics every few seconds, with the token in the URL's fragment, and draws them. */

import { bars, lines, range } from "./charts.js";

const $ = (id) => document.getElementById(id);
const TOKEN = "voice-trio-token"; // the console's: one link opens both
const EVERY_MS = 5000;
const STAGES = {
  speech_to_first_word: "Speech begins → first word",
  silence_to_commit: "Silence noticed → question complete",
  search_store: "Search asked → result",
  search_local: "Search asked → result, passages at hand",
  commit_to_context: "Question → documents settled",
  commit_to_ask: "Question → model asked",
  ask_to_response: "Model asked → answer begun",
  commit_to_first_audio_in: "Question → first sound received",
  commit_to_first_audio_out: "Question → first sound sent",
  commit_to_playback: "Question → first sound heard",
  first_audio_in_to_out: "Sound through the gateway",
  interruption_to_flush: "Interruption → silence sent",
};
const OUTCOMES = {
  hidden: "in before the question ended",
  local: "kept at hand",
  waited: "waited for",
  late: "too late",
  none: "nothing to find",
};
const TROUBLES = new Set(["upstream_unavailable", "upstream_lost", "crashed", "too_slow", "budget_exhausted"]);
let shown = "1h";
let latest = null;

function made(name, properties = {}, ...inside) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...inside);
  return node;
}

const words = (name) => name.replaceAll("_", " ").replace(/^./, (first) => first.toUpperCase());
const number = (value) => value.toLocaleString("en");
const sum = (values) => values.reduce((total, value) => total + value, 0);
const percent = (share) => `${(share * 100).toLocaleString("en", { maximumFractionDigits: 1 })} %`;

function milliseconds(value) {
  if (value >= 1000) return `${(value / 1000).toFixed(2)} s`;
  return `${value.toFixed(value < 10 ? 1 : 0)} ms`;
}

function dollars(value) {
  const digits = value === 0 || value >= 1 ? 2 : value >= 0.01 ? 3 : 5;
  return `$${value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })}`;
}

// Cards

function drawNow(stats) {
  const { minutes, sessions, limiter } = stats;
  const peak = Math.max(...minutes.map((minute) => minute.active));
  $("active").textContent = number(sessions.active);
  $("places").textContent = `of ${number(limiter.places)} places · at most ${number(peak)} in the last hour`;
  $("active-chart").replaceChildren(lines("Sessions in the last hour", minutes.map((minute) => minute.active)));

  const answer = stats.latency_ms["1h"].commit_to_first_audio_out;
  $("answer").textContent = answer.count ? milliseconds(answer.p50) : "–";
  $("answer-note").textContent = answer.count ? `median of the last hour · P95 ${milliseconds(answer.p95)}` : "nobody asked in the last hour";
  const quantile = (name) => minutes.map((minute) => minute.answer_ms[name]);
  $("answer-chart").replaceChildren(lines("Median and P95 by minute", quantile("p50"), quantile("p95")));

  const ended = sessions.ended;
  $("failed").textContent = ended ? percent(stats.error_rate) : "–";
  $("failed").classList.toggle("warm", stats.error_rate > 0.02);
  const failed = sum(minutes.map((minute) => minute.failed));
  $("failed-note").textContent = `of ${number(ended)} ended since the start · ${number(failed)} in the last hour`;
  $("failed-chart").replaceChildren(bars("Failed sessions by minute", minutes.map((minute) => minute.failed), "warm"));
}

function drawCost({ cost, minutes }) {
  const today = cost.today_usd ?? 0;
  const limit = cost.daily_budget_usd;
  const each = cost.per_session_usd === null ? "" : ` · ${dollars(cost.per_session_usd)} a conversation`;
  $("cost").textContent = dollars(today);
  $("cost").classList.toggle("warm", Boolean(cost.is_exhausted));
  $("cost-note").textContent = (limit === null || limit === undefined ? "no daily budget" : `of ${dollars(limit)}${cost.is_exhausted ? ", all of it" : ""}`) + each;
  $("budget").hidden = !limit;
  if (limit) meter($("budget"), today / limit, 0.8);
  $("cost-chart").replaceChildren(bars("Dollars by minute", minutes.map((minute) => minute.cost_usd)));
}

function meter(place, share, warmFrom = 2) {
  const bar = made("i");
  bar.style.width = `${Math.min(100, share * 100)}%`;
  place.replaceChildren(bar);
  place.classList.toggle("warm", share >= warmFrom);
}

function drawStages(stats) {
  const stages = stats.latency_ms[shown];
  const most = Math.max(...Object.values(stages).map((stage) => stage.p99 ?? 0), 1);
  const rows = Object.entries(STAGES).filter(([name]) => stages[name]).map(([name, title]) => {
    const stage = stages[name];
    const cell = (text) => made("td", { textContent: text });
    const picture = made("td", { className: "picture" });
    if (stage.count) picture.append(range(`${title}: P50 ${stage.p50} ms, P95 ${stage.p95} ms, P99 ${stage.p99} ms`, stage, most));
    const figures = ["p50", "p95", "p99"].map((share) => cell(stage.count ? milliseconds(stage[share]) : "–"));
    const head = made("th", { scope: "row", textContent: title });
    return made("tr", { className: stage.count ? "" : "none" }, head, picture, ...figures, cell(number(stage.count)));
  });
  $("stages").replaceChildren(...rows);
  for (const button of document.querySelectorAll("[data-window]")) {
    button.setAttribute("aria-pressed", String(button.dataset.window === shown));
  }
}

function drawRetrieval({ retrieval }) {
  const total = sum(Object.values(retrieval));
  const names = Object.keys(OUTCOMES);
  const parts = names.map((name, tone) => {
    const part = made("i", { className: `tone-${tone}`, title: `${words(name)}: ${retrieval[name] ?? 0}` });
    part.style.flexGrow = String(retrieval[name] ?? 0);
    part.hidden = !retrieval[name];
    return part;
  });
  $("retrieval").replaceChildren(...parts);
  const legend = names.map((name, tone) => {
    const count = retrieval[name] ?? 0;
    const share = total ? percent(count / total) : "–";
    return made("li", {}, made("i", { className: `tone-${tone}` }), words(name), made("small", { textContent: OUTCOMES[name] }), made("b", { textContent: share }));
  });
  $("retrieval-legend").replaceChildren(...legend);
}

function drawCounts(place, counts, empty) {
  const sorted = Object.entries(counts).sort((one, other) => other[1] - one[1]).slice(0, 7);
  const most = sorted.length ? sorted[0][1] : 1;
  const rows = sorted.map(([name, count]) => {
    const bar = made("u");
    bar.style.width = `${(count / most) * 100}%`;
    return made("li", { className: TROUBLES.has(name) ? "warm" : "" }, made("span", { textContent: words(name) }), made("b", { textContent: number(count) }), made("i", {}, bar));
  });
  place.replaceChildren(...(rows.length ? rows : [made("li", { className: "quiet", textContent: empty })]));
}

function drawUse({ minutes, adoption, turns, interruptions }) {
  const recent = minutes.slice(-6, -1).map((minute) => minute.turns);
  $("turns").textContent = (sum(recent) / recent.length).toLocaleString("en", { maximumFractionDigits: 1 });
  $("turns-note").textContent = `over 5 minutes · ${number(sum(Object.values(turns)))} in all, ${number(interruptions)} interrupted`;
  $("turns-chart").replaceChildren(bars("Turns by minute", minutes.map((minute) => minute.turns)));
  $("adoption").textContent = adoption.share === null ? "–" : percent(adoption.share);
  $("adoption-note").textContent = `${number(adoption.users_who_talked_today)} talked of ${number(adoption.users_admitted_today)} who were let in`;
  meter($("adoption-meter"), adoption.share ?? 0);
}

function drawSpenders({ cost }) {
  const top = (cost.top_users ?? []).slice(0, 5);
  const rows = top.map(({ user, usd }) => {
    const bar = made("u");
    bar.style.width = `${(usd / top[0].usd) * 100}%`;
    const name = user.startsWith("(") ? user : user.slice(0, 12);
    return made("li", {}, made("span", { className: "hash", textContent: name, title: user }), made("b", { textContent: dollars(usd) }), made("i", {}, bar));
  });
  $("spenders").replaceChildren(...(rows.length ? rows : [made("li", { className: "quiet", textContent: "Nobody yet." })]));
}

function lasted(since) {
  const hours = (Date.now() / 1000 - since) / 3600;
  if (hours < 1) return `${Math.max(0, Math.floor(hours * 60))} min`;
  return hours < 48 ? `${hours.toFixed(1)} h` : `${(hours / 24).toFixed(1)} days`;
}

function drawInstances({ instances = [], instance = {} }) {
  const rows = instances.map((one) => {
    const about = made("p", {}, made("span", { textContent: one.worker === null ? one.instance : `${one.instance} · worker ${one.worker}` }));
    if (one.instance === instance.id) about.append(made("span", { className: "tag", textContent: "this one" }));
    if (one.draining) about.append(made("span", { className: "tag warm", textContent: "draining" }));
    else if (one.seen_seconds > 15) about.append(made("span", { className: "tag warm", textContent: `silent for ${Math.round(one.seen_seconds)} s` }));
    const name = made("th", { scope: "row" }, one.host, about);
    const bar = made("div", { className: "meter" });
    meter(bar, one.places ? one.active / one.places : 0, 0.9);
    const cell = (text) => made("td", { textContent: text });
    const lag = made("td", { textContent: milliseconds(one.loop_lag_ms), className: one.loop_lag_ms > 100 ? "warm" : "" });
    return made("tr", {}, name, made("td", { className: "picture" }, bar), cell(`${number(one.active)} of ${number(one.places)}`), lag, cell(lasted(one.started)), cell(one.version));
  });
  $("instances").replaceChildren(...rows);
}

function drawInstance({ limiter, instance = {}, workers, since, prices = {} }) {
  const facts = {
    Name: instance.id ?? "–",
    Version: instance.version ?? "–",
    ...(workers && workers.count > 1 ? { Workers: `${workers.answered.length} of ${workers.count} answer` } : {}),
    "Up for": lasted(since),
    Limits: limiter.state === "redis" ? "shared, in Redis" : "in this process",
    "Event loop": `${(instance.loop_lag_ms ?? 0).toFixed(1)} ms behind`,
    "Prices of": prices.dated ?? "free",
    State: limiter.draining ? "draining" : "taking sessions",
  };
  $("instance").replaceChildren(...Object.entries(facts).flatMap(([name, fact]) => [made("dt", { textContent: name }), made("dd", { textContent: fact })]));
}

function draw(stats) {
  drawNow(stats);
  drawCost(stats);
  drawStages(stats);
  drawRetrieval(stats);
  drawCounts($("endings"), stats.sessions.by_ending, "None yet.");
  drawCounts($("refused"), stats.sessions.refused, "Nobody yet.");
  drawUse(stats);
  drawSpenders(stats);
  drawInstance(stats);
  drawInstances(stats);
}

// Requests

function takeToken() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return;
  sessionStorage.setItem(TOKEN, token);
  history.replaceState(null, "", location.pathname + location.search); // so that the token is not visible on the screen
}

function say(state, text) {
  document.body.dataset.state = state;
  $("status-text").textContent = text;
}

function askForToken(text) {
  $("figures").hidden = true;
  $("door").hidden = false;
  if (text) $("door-text").textContent = text;
  say("waiting", "Waiting for a token");
}

async function refresh() {
  const token = sessionStorage.getItem(TOKEN);
  if (!token) return askForToken();
  let answer;
  try {
    answer = await fetch("stats", { headers: { Authorization: `Bearer ${token}` }, cache: "no-store" });
  } catch {
    return say("ill", latest ? "The gateway does not answer; these figures are old" : "The gateway does not answer");
  }
  if (answer.status === 401) return askForToken("The token has expired or is not valid. Paste another one.");
  if (answer.status === 403) return askForToken("This needs an administrator's token. Paste another one.");
  if (!answer.ok) return say("ill", `The gateway answers with ${answer.status}`);
  latest = await answer.json();
  $("door").hidden = true;
  $("figures").hidden = false;
  draw(latest);
  say(latest.limiter.draining ? "ill" : "well", latest.limiter.draining ? "Draining" : `As of ${new Date().toLocaleTimeString()}`);
}

async function watch() {
  if (!document.hidden) await refresh();
  setTimeout(watch, EVERY_MS);
}

for (const button of document.querySelectorAll("[data-window]")) {
  button.addEventListener("click", () => {
    shown = button.dataset.window;
    if (latest) drawStages(latest);
  });
}
$("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN, $("token").value.trim());
  $("token").value = "";
  refresh();
});
addEventListener("hashchange", () => {
  takeToken();
  refresh();
});
document.addEventListener("visibilitychange", () => document.hidden || refresh());
takeToken();
watch();
