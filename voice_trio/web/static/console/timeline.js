/**
 * The timeline of one turn: speech, transcribed words, the silence that ends it, searches, the commit, the wait, the
 * response's audio, and the interruption. `shapes` is pure; `draw` makes SVG of it.
 */

import { makeSvg } from "./dom.js";
import { number, seconds as secondsWords, t } from "./strings.js";

const WIDTH = 320;
const HEIGHT = 82;
const LEFT = 58; // room for the lanes' names, in every language
const LANES = { you: 12, search: 32, answer: 52 };
const BAR = 8;
const QUERY = { height: 4, width: 4 }; // two rows in a lane, because searches overlap; with a minimum width
const SECONDS_MIN = 3;

/** Rectangles, lines and seconds, in a box of 320 by 82; `now` ends the open intervals. */
export function shapes(marks, now) {
  const spanMs = Math.max(1000 * SECONDS_MIN, marks.end(now) - marks.begins);
  const share = (at) => Math.min(1, Math.max(0, (at - marks.begins) / spanMs));
  const x = (at) => Math.round(10 * (LEFT + share(at) * (WIDTH - LEFT))) / 10;
  const bar = (kind, from, to, y, height = BAR) => ({ kind, x: x(from), width: Math.max(1.5, x(to) - x(from)), y, height });
  const found = [
    { kind: "rail", x: LEFT, width: WIDTH - LEFT, y: LANES.you + BAR / 2 - 0.5, height: 1 },
    { kind: "rail", x: LEFT, width: WIDTH - LEFT, y: LANES.search + BAR / 2 - 0.5, height: 1 },
    { kind: "rail", x: LEFT, width: WIDTH - LEFT, y: LANES.answer + BAR / 2 - 0.5, height: 1 },
  ];
  for (const [from, to] of marks.speech) found.push(bar("speech", from, to ?? now, LANES.you));
  if (marks.silenceMs > 0) found.push(bar("silence", marks.asked, marks.commit, LANES.you));
  for (const at of marks.words) found.push({ kind: "word", x: x(at) - 0.5, width: 1, y: LANES.you - 6, height: 4 });
  marks.queries.forEach(({ at, to, outcome }, i) => {
    const until = to ?? marks.firstSound ?? marks.commit ?? at;
    const it = bar(`query ${outcome}`, at, until, LANES.search + (i % 2 ? BAR - QUERY.height : 0), QUERY.height);
    found.push({ ...it, width: Math.max(QUERY.width, it.width) });
  });
  if (marks.commit !== null) {
    const first = marks.firstSound;
    if (first !== null && first > marks.commit) found.push(bar("wait", marks.commit, first, LANES.answer));
    found.push({ kind: "commit", x: x(marks.commit), y: LANES.you - 6, height: LANES.answer + BAR - LANES.you + 10 });
  }
  for (const [from, to] of marks.sounds) {
    const audible = from === marks.sounds[0][0] ? marks.firstSound : from;
    const until = Math.max(audible, to ?? now);
    found.push(bar("play", audible, until, LANES.answer));
  }
  if (marks.cut !== null) found.push({ kind: "cut", x: x(marks.cut), y: LANES.answer - 4, height: BAR + 8 });
  return { found, seconds: ticks(spanMs / 1000).map((second) => ({ second, x: x(marks.begins + 1000 * second) })) };
}

function ticks(seconds) {
  const step = [1, 2, 5, 10, 20, 30, 60].find((each) => seconds / each <= 5) ?? 120;
  return Array.from({ length: Math.floor(seconds / step) + 1 }, (_, i) => i * step);
}

/** Draw into `svg`, and describe the same for screen readers. */
export function draw(svg, marks, now) {
  const { found, seconds } = shapes(marks, now);
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", said(marks));
  const you = t(marks.isTyped ? "timeline.typed" : "timeline.you");
  const lanes = { [you]: LANES.you, [t("timeline.search")]: LANES.search, [t("timeline.answer")]: LANES.answer };
  const names = Object.entries(lanes).map(([name, y]) => textElement(name, 0, y + BAR));
  svg.replaceChildren(...names, ...found.map(shapeElement), ...seconds.map(tickElement));
}

function shapeElement({ kind, x, width, y, height }) {
  if (kind === "commit" || kind === "cut") return makeSvg("line", { class: kind, x1: x, x2: x, y1: y, y2: y + height });
  const rx = kind === "speech" || kind === "play" ? 2 : kind.startsWith("query") ? 1 : 0;
  return makeSvg("rect", { class: kind, x, y, width, height, rx });
}

function tickElement({ second, x }) {
  const anchor = second === 0 ? "start" : x > WIDTH - 10 ? "end" : "middle";
  return textElement(second === 0 ? "0\u00a0s" : number(second), x, HEIGHT - 3, anchor);
}

function textElement(words, x, y, anchor = "start") {
  return makeSvg("text", { x, y, "text-anchor": anchor }, words);
}

function said(marks) {
  const parts = [];
  const time = (ms) => ({ time: secondsWords(ms, 1) });
  const [spoken] = marks.speech;
  if (spoken?.[1]) parts.push(t("timeline.spoke", time(spoken[1] - spoken[0])));
  if (marks.silenceMs) parts.push(t("timeline.silence", time(marks.silenceMs)));
  const { length: n } = marks.queries;
  if (n) parts.push(t("timeline.searches", { n }));
  const wait = marks.answeredAfter;
  if (wait !== null) parts.push(t(marks.isTyped ? "timeline.first_sound_typed" : "timeline.first_sound", time(wait)));
  if (marks.cut !== null && marks.sounds.length) parts.push(t("timeline.cut", time(marks.cut - marks.firstSound)));
  return parts.length ? t("timeline.of", { parts: parts.join(", ") }) : t("timeline");
}
