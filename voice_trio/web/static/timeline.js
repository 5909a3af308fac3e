/**
 * The timeline of one turn: speech, transcribed words, searches, the commit, the wait, the response's audio, and the
 * interruption. `shapes` is pure; `draw` makes SVG of it.
 */

const WIDTH = 320;
const HEIGHT = 82;
const LEFT = 48; // room for the lanes' names
const LANES = { you: 12, search: 32, answer: 52 };
const BAR = 8;
const QUERY = { height: 4, width: 4 }; // two rows in a lane, because searches overlap; with a minimum width
const SECONDS_MIN = 3;
const SVG = "http://www.w3.org/2000/svg";

/** When each thing happened, in ms on one clock; `null` if it has not. */
export class Marks {
  constructor(begins) {
    this.begins = begins;
    this.speech = []; // [from, to or null]
    this.words = [];
    this.queries = []; // {at, to or null, outcome}
    this.commit = null;
    this.waitedMs = null;
    this.sounds = []; // [from, to or null]
    this.cut = null;
  }

  speechStarts(at) {
    this.speech.push([at, null]);
    this.commit = null;
  }

  speechStops(at) {
    close(this.speech, at);
  }

  soundStarts(at) {
    if (!this.sounds.length || this.sounds.at(-1)[1] !== null) this.sounds.push([at, null]);
  }

  soundStops(at) {
    close(this.sounds, at);
  }

  /** The searches that the gateway reported, in ms since the turn began. */
  queriesWere(queries) {
    this.queries = queries.map(({ at_ms: at, took_ms: took, outcome }) => {
      const from = this.begins + at;
      return { at: from, to: took === null ? null : from + took, outcome };
    });
  }

  /** Ms from the commit (or the sending of a text) to the first audio; null until then. */
  get answeredAfter() {
    return this.commit === null || !this.sounds.length ? null : Math.max(0, this.sounds[0][0] - this.commit);
  }

  end(now) {
    const all = [this.begins, this.commit, this.cut, ...this.words, ...[...this.speech, ...this.sounds].flat()];
    const isOpen = [...this.speech, ...this.sounds].some(([, to]) => to === null);
    return Math.max(...all.filter((at) => at !== null), isOpen ? now : 0);
  }
}

function close(spans, at) {
  const last = spans.at(-1);
  if (last && last[1] === null) last[1] = Math.max(last[0], at);
}

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
  for (const at of marks.words) found.push({ kind: "word", x: x(at) - 0.5, width: 1, y: LANES.you - 6, height: 4 });
  marks.queries.forEach(({ at, to, outcome }, i) => {
    const until = to ?? marks.sounds[0]?.[0] ?? marks.commit ?? at;
    const it = bar(`query ${outcome}`, at, until, LANES.search + (i % 2 ? BAR - QUERY.height : 0), QUERY.height);
    found.push({ ...it, width: Math.max(QUERY.width, it.width) });
  });
  if (marks.commit !== null) {
    const first = marks.sounds[0]?.[0];
    if (first !== undefined) found.push(bar("wait", marks.commit, first, LANES.answer));
    found.push({ kind: "commit", x: x(marks.commit), y: LANES.you - 6, height: LANES.answer + BAR - LANES.you + 10 });
  }
  for (const [from, to] of marks.sounds) found.push(bar("play", from, to ?? now, LANES.answer));
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
  const asked = marks.commit !== null && !marks.speech.length ? "Typed" : "You";
  const lanes = { [asked]: LANES.you, Search: LANES.search, Answer: LANES.answer };
  const names = Object.entries(lanes).map(([name, y]) => textElement(name, 0, y + BAR));
  svg.replaceChildren(...names, ...found.map(shapeElement), ...seconds.map(tickElement));
}

function shapeElement({ kind, x, width, y, height }) {
  if (kind === "commit" || kind === "cut") return element("line", { class: kind, x1: x, x2: x, y1: y, y2: y + height });
  const rx = kind === "speech" || kind === "play" ? 2 : kind.startsWith("query") ? 1 : 0;
  return element("rect", { class: kind, x, y, width, height, rx });
}

function tickElement({ second, x }) {
  const anchor = second === 0 ? "start" : x > WIDTH - 10 ? "end" : "middle";
  return textElement(second === 0 ? "0 s" : String(second), x, HEIGHT - 3, anchor);
}

function textElement(words, x, y, anchor = "start") {
  const text = element("text", { x, y, "text-anchor": anchor });
  text.textContent = words;
  return text;
}

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function said(marks) {
  const parts = [];
  const inSeconds = (ms) => `${(ms / 1000).toFixed(1)} s`;
  const [spoken] = marks.speech;
  if (spoken?.[1]) parts.push(`you spoke for ${inSeconds(spoken[1] - spoken[0])}`);
  const { length: searches } = marks.queries;
  if (searches) parts.push(searches === 1 ? "one search" : `${searches} searches`);
  if (marks.answeredAfter !== null) parts.push(`first sound ${inSeconds(marks.answeredAfter)} after your turn ended`);
  if (marks.cut !== null && marks.sounds.length) parts.push(`cut off after ${inSeconds(marks.cut - marks.sounds[0][0])}`);
  return parts.length ? `Timeline: ${parts.join(", ")}` : "Timeline";
}
