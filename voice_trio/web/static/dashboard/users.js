/** The users with the highest cost of the day, against the budget of each, with their live sessions. */

import { $, cents, counted, dollars, made, meter, number, userName } from "./figures.js";
import { sortable } from "./sorting.js";

const BUDGET_WARM = 0.8;
let latest = { top: [], budget: null };
let live = new Map(); // user → number of live sessions

const sorted = sortable(
  $("users-table"),
  { user: (row) => row.user, usd: (row) => row.usd, live: (row) => live.get(row.user) ?? 0 },
  { key: "usd", falling: true },
  draw,
);

export function drawUsers({ cost }) {
  latest = { top: cost.top_users ?? [], budget: cost.user_daily_budget_usd ?? null };
  draw();
}

/** `sessions`: all that are listed as live. */
export function countLive(sessions) {
  live = new Map();
  for (const { user } of sessions) live.set(user, (live.get(user) ?? 0) + 1);
  draw();
}

function draw() {
  const { top, budget } = latest;
  const limit = budget === null ? "no budget for each user" : `${dollars(budget)} for each user`;
  $("users-note").textContent = top.length ? `The ${counted(top.length, "user")} with the highest cost · ${limit}` : limit;
  $("users-table").classList.toggle("without-budget", !budget);
  $("users-table").hidden = !top.length;
  $("users-empty").hidden = top.length > 0;
  $("users").replaceChildren(...sorted(top).map((row) => drawn(row, budget)));
}

function drawn({ user, usd }, budget) {
  const share = made("td", { className: "share" });
  if (budget && !user.startsWith("(")) {
    const bar = made("div", { className: "meter", title: `${Math.round((100 * usd) / budget)} % of ${dollars(budget)}` });
    meter(bar, usd / budget, BUDGET_WARM);
    share.append(bar);
  }
  const name = made("th", { scope: "row" }, userName(user));
  const spent = made("td", { textContent: cents(usd), title: dollars(usd), className: budget && usd >= budget ? "warm" : "" });
  return made("tr", {}, name, share, spent, made("td", { textContent: number(live.get(user) ?? 0) }));
}
