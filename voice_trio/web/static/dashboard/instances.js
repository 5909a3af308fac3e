/** This instance, and all that share its state. */

import { $, duration, made, meter, milliseconds, number } from "./figures.js";

const SILENT_FROM_SECONDS = 15; // one announcement has been lost
const LAG_WARM_MS = 100;

export function drawInstances(stats) {
  drawThis(stats);
  drawAll(stats);
}

function drawThis({ limiter, instance = {}, workers, now, since, prices = {} }) {
  const facts = {
    Name: instance.id ?? "–",
    Version: instance.version ?? "–",
    ...(workers && workers.count > 1 ? { Workers: `${workers.answered.length} of ${workers.count} answer` } : {}),
    "Up for": duration(now - since),
    Limits: limiter.state === "redis" ? "shared, in Redis" : "in this process",
    "Event loop": `${(instance.loop_lag_ms ?? 0).toFixed(1)} ms behind`,
    "Prices of": prices.dated ?? "free",
    State: limiter.draining ? "draining" : "taking sessions",
  };
  const rows = Object.entries(facts).flatMap(([name, fact]) => [made("dt", { textContent: name }), made("dd", { textContent: fact })]);
  $("instance").replaceChildren(...rows);
}

function drawAll({ instances = [], instance = {}, now }) {
  const rows = instances.map((one) => {
    const cell = (text) => made("td", { textContent: text });
    const bar = made("div", { className: "meter" });
    meter(bar, one.places ? one.active / one.places : 0, 0.9);
    const lag = made("td", { textContent: milliseconds(one.loop_lag_ms), className: one.loop_lag_ms > LAG_WARM_MS ? "warm" : "" });
    const places = cell(`${number(one.active)} of ${number(one.places)}`);
    return made("tr", {}, name(one, instance.id), made("td", { className: "picture" }, bar), places, lag, cell(duration(now - one.started)), cell(one.version));
  });
  $("instances").replaceChildren(...rows);
}

function name(one, own) {
  const id = one.worker === null ? one.instance : `${one.instance} · worker ${one.worker}`;
  const about = made("p", {}, made("span", { textContent: id }));
  const tag = (text, kind = "") => about.append(made("span", { className: `tag ${kind}`, textContent: text }));
  if (one.instance === own) tag("this one");
  if (one.draining) tag("draining", "warm");
  else if (one.seen_seconds > SILENT_FROM_SECONDS) tag(`silent for ${Math.round(one.seen_seconds)} s`, "warm");
  return made("th", { scope: "row" }, one.host, about);
}
