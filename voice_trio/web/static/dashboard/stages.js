/** Where the time of a turn goes: the latencies of each stage, in the window that is chosen. */

import { range } from "./charts.js";
import { $, made, milliseconds, number } from "./figures.js";

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
const switches = document.querySelectorAll("[data-window]");
let shown = "1h";
let latest = null;

export function drawStages(stats) {
  latest = stats;
  const stages = stats.latency_ms[shown];
  const most = Math.max(...Object.values(stages).map((stage) => stage.p99 ?? 0), 1);
  const rows = Object.entries(STAGES).filter(([name]) => stages[name]).map(([name, title]) => row(title, stages[name], most));
  $("stages").replaceChildren(...rows);
  for (const button of switches) button.setAttribute("aria-pressed", String(button.dataset.window === shown));
}

function row(title, stage, most) {
  const cell = (text) => made("td", { textContent: text });
  const picture = made("td", { className: "picture" });
  if (stage.count) picture.append(range(`${title}: P50 ${stage.p50} ms, P95 ${stage.p95} ms, P99 ${stage.p99} ms`, stage, most));
  const figures = ["p50", "p95", "p99"].map((share) => cell(stage.count ? milliseconds(stage[share]) : "–"));
  const head = made("th", { scope: "row", textContent: title });
  return made("tr", { className: stage.count ? "" : "none" }, head, picture, ...figures, cell(number(stage.count)));
}

for (const button of switches) {
  button.addEventListener("click", () => {
    shown = button.dataset.window;
    if (latest) drawStages(latest);
  });
}
