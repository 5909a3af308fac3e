/** The conversation on the page: each turn has a question, a response, and its metrics. Knows no socket. */

import { draw, Marks } from "./timeline.js";
import { contextWords, moneyWords } from "./words.js";

const TURNS_SAVED = 30;
const SOURCES_SHOWN = 2;
const SAMPLE_BYTES_PER_MS = 48;

export class Conversation {
  #list;
  #onTurn;
  #turns = [];
  #ofItem = new Map(); // item or response id → Turn
  #audioMs = new Map(); // response item → ms of audio received

  constructor(list, onTurn) {
    this.#list = list;
    this.#onTurn = onTurn;
  }

  get isEmpty() {
    return !this.#turns.length;
  }

  get last() {
    return this.#turns.at(-1) ?? null;
  }

  typed(text) {
    const turn = this.#begin();
    turn.say("typed", text);
    turn.marks.commit = performance.now();
  }

  speech({ speaking, itemId }) {
    const now = performance.now();
    if (speaking) {
      // A question whose response was not played continues: the gateway merges both turns, and so does the page.
      const turn = this.last && !this.last.isAnswered ? this.last : this.#begin();
      this.#ofItem.set(itemId, turn);
      turn.listen(now);
    } else {
      this.#turnOf(itemId)?.marks.speechStops(now);
    }
  }

  committed(itemId) {
    const turn = this.#turnOf(itemId);
    if (turn) turn.commit(performance.now());
  }

  transcript({ role, itemId, responseId, text, isFinal }) {
    const turn = role === "user" ? this.#turnOf(itemId) : this.#turnOf(responseId);
    if (!turn) return;
    if (role === "user") turn.say(itemId, text, isFinal);
    else turn.answer(itemId, text);
    if (role === "assistant") this.#ofItem.set(itemId, turn);
  }

  responds(responseId) {
    const turn = this.last ?? this.#begin();
    this.#ofItem.set(responseId, turn);
    turn.isPending = true;
  }

  /** A response is over; `status` as in the protocol. */
  responded(responseId, status) {
    const turn = this.#turnOf(responseId);
    if (!turn) return;
    turn.isPending = false;
    if (status === "failed") turn.trouble("No answer could be given.");
    if (status === "incomplete") turn.trouble("The answer ended early.");
    turn.render();
  }

  audio({ item_id: itemId, response_id: responseId, delta }) {
    const bytes = (delta.length * 3) / 4 - (delta.endsWith("==") ? 2 : delta.endsWith("=") ? 1 : 0);
    this.#audioMs.set(itemId, (this.#audioMs.get(itemId) ?? 0) + bytes / SAMPLE_BYTES_PER_MS);
    const turn = this.#turnOf(responseId);
    if (turn) this.#ofItem.set(itemId, turn);
  }

  context(detail) {
    this.last?.use(detail);
  }

  /** A turn's metrics, from the gateway, once the turn is over. */
  figures(told) {
    const items = [...told.user_items, ...told.answer_items];
    const typed = this.#turns.findLast((turn) => turn.isTyped && !turn.hasFigures);
    const turn = items.map((id) => this.#turnOf(id)).find(Boolean) ?? (told.user_items.length ? null : typed);
    turn?.takeFigures(told);
  }

  /** Of all turns here, the ms from the end of a question to the first audio of its response. */
  get answerTimes() {
    return this.#turns.map(({ marks }) => marks.answeredAfter).filter((ms) => ms !== null);
  }

  playback({ type, itemId }) {
    const turn = this.#turnOf(itemId);
    if (!turn) return;
    if (type === "playing") turn.soundStarts(performance.now());
    if (type === "silent") turn.soundStops(performance.now());
  }

  /** A response was interrupted; the words that were not played are marked. */
  cut({ itemId, playedMs }) {
    const turn = this.#turnOf(itemId);
    const receivedMs = this.#audioMs.get(itemId) ?? 0;
    if (turn) turn.cut(itemId, receivedMs ? Math.min(1, playedMs / receivedMs) : 0, performance.now());
  }

  /** The connection is lost; the pending response will not come. */
  lose() {
    for (const turn of this.#turns.filter(({ isPending }) => isPending)) {
      turn.isPending = false;
      turn.trouble("The rest was lost with the connection.");
    }
  }

  /** The conversation has ended. */
  settle() {
    for (const turn of this.#turns) turn.settle(performance.now());
    const empty = this.#turns.filter((turn) => turn.isBlank);
    for (const turn of empty) turn.element.remove();
    this.#turns = this.#turns.filter((turn) => !turn.isBlank);
  }

  /** The newest turns as plain values, for `restore` on the same page after a reload. */
  saved() {
    this.settle();
    return this.#turns.slice(-TURNS_SAVED).map((turn) => turn.saved());
  }

  restore(turns) {
    for (const saved of turns) {
      const turn = Turn.restored(saved);
      this.#turns.push(turn);
      this.#list.append(turn.element);
      this.#onTurn(turn);
    }
  }

  /** Draw the turn that is still changing. */
  tick() {
    for (const turn of this.#turns.slice(-2)) turn.drawTimeline(performance.now());
  }

  #begin() {
    const previous = this.last;
    if (previous) {
      previous.settleSpeech();
      if (previous.isBlank) {
        previous.element.remove();
        this.#turns.pop();
      }
    }
    const turn = new Turn(performance.now());
    this.#turns.push(turn);
    this.#list.append(turn.element);
    this.#onTurn(turn);
    return turn;
  }

  #turnOf(id) {
    return this.#ofItem.get(id) ?? null;
  }
}

class Turn {
  constructor(now) {
    this.marks = new Marks(now);
    this.isPending = false;
    this.said = new Map(); // item → words
    this.answers = new Map(); // item → {text, heard: share from 0 to 1, or null while uncut}
    this.#build();
  }

  static restored({ marks, said, answers, context, trouble, cost = null }) {
    const turn = new Turn(marks.begins);
    Object.assign(turn.marks, marks);
    turn.said = new Map(said);
    turn.answers = new Map(answers);
    turn.#context = context;
    turn.#trouble = trouble;
    turn.#cost = cost;
    turn.render();
    return turn;
  }

  saved() {
    const { marks, said, answers } = this;
    const words = { said: [...said], answers: [...answers] };
    return { marks, ...words, context: this.#context, trouble: this.#trouble, cost: this.#cost };
  }

  #context = null;
  #trouble = "";
  #cost = null; // {usd, isEstimate}
  #isStill = false;

  get isAnswered() {
    return this.answers.size > 0 || this.marks.sounds.length > 0 || this.#trouble !== "" || this.said.has("typed");
  }

  get isTyped() {
    return this.said.has("typed");
  }

  get hasFigures() {
    return this.#cost !== null;
  }

  get isBlank() {
    return !this.isAnswered && ![...this.said.values()].some((text) => text.trim());
  }

  listen(now) {
    this.#isStill = false;
    this.marks.speechStarts(now);
    this.element.classList.add("hearing");
    this.render();
  }

  commit(now) {
    this.marks.speechStops(now);
    this.marks.commit = now;
    this.element.classList.remove("hearing");
    this.render();
  }

  say(itemId, text, isFinal = true) {
    if (!isFinal) this.marks.words.push(performance.now());
    this.said.set(itemId, text);
    this.render();
  }

  answer(itemId, text) {
    const known = this.answers.get(itemId);
    this.answers.set(itemId, { text, heard: known?.heard ?? null });
    this.render();
  }

  use(context) {
    this.#context = context;
    this.marks.waitedMs = context.waitedMs;
    this.render();
  }

  takeFigures({ queries, cost_usd: usd, cost_is_estimate: isEstimate }) {
    this.marks.queriesWere(queries);
    this.#cost = { usd, isEstimate };
    this.render();
  }

  soundStarts(now) {
    this.marks.soundStarts(now);
    this.render();
  }

  soundStops(now) {
    this.marks.soundStops(now);
    this.render();
  }

  cut(itemId, heard, now) {
    if (this.marks.cut !== null) return;
    const isSounding = this.marks.sounds.at(-1)?.[1] === null;
    if (!isSounding && heard >= 1) return; // it had been played to its end
    this.marks.soundStops(now);
    this.marks.cut = now;
    let isLater = false;
    for (const [id, answer] of this.answers) {
      answer.heard = id === itemId ? heard : isLater ? 0 : 1;
      isLater ||= id === itemId;
    }
    this.render();
  }

  trouble(text) {
    this.#trouble = text;
    this.render();
  }

  settleSpeech() {
    this.element.classList.remove("hearing");
  }

  settle(now) {
    this.settleSpeech();
    this.marks.speechStops(now);
    this.marks.soundStops(now);
    this.isPending = false;
    this.render();
  }

  drawTimeline(now) {
    if (this.#isStill) return;
    draw(this.#parts.timeline, this.marks, now);
    const isOpen = [...this.marks.speech, ...this.marks.sounds].some(([, to]) => to === null);
    this.#isStill = !isOpen && !this.isPending;
  }

  render() {
    this.#isStill = false;
    const { said, answer, sources, caption } = this.#parts;
    const passages = this.#context?.passages ?? [];
    const words = [...this.said.values()].map((text) => text.trim()).filter(Boolean).join(" ");
    const isHearing = this.element.classList.contains("hearing");
    said.textContent = words || (isHearing ? "" : "…");
    said.classList.toggle("waiting", !words);
    answer.replaceChildren(...[...this.answers.values()].flatMap(answerNodes));
    if (this.#trouble) answer.append(" ", make("span", "trouble", this.#trouble));
    answer.hidden = !answer.childNodes.length;
    caption.replaceChildren(...this.#captionNodes());
    caption.hidden = !caption.childNodes.length;
    if (sources.childElementCount === 0 && passages.length) sources.append(...sourceLists(passages));
    sources.hidden = !passages.length;
    this.drawTimeline(performance.now());
  }

  #captionNodes() {
    const nodes = [];
    const ms = this.marks.answeredAfter;
    if (ms !== null) nodes.push(make("b", "", `${(ms / 1000).toFixed(2)} s`), " to the first sound");
    if (this.#context) nodes.push(nodes.length ? " · " : "", contextWords(this.#context));
    if (this.#cost?.usd) nodes.push(nodes.length ? " · " : "", moneyWords(this.#cost));
    return nodes;
  }

  #parts = null;

  #build() {
    this.element = make("li", "turn");
    const words = make("div", "words");
    const evidence = make("div", "evidence");
    const timeline = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    timeline.classList.add("timeline");
    this.#parts = {
      said: make("p", "said"),
      answer: make("p", "answer"),
      timeline,
      caption: make("p", "caption"),
      sources: make("div"),
    };
    words.append(this.#parts.said, this.#parts.answer);
    evidence.append(timeline, this.#parts.caption, this.#parts.sources);
    this.element.append(words, evidence);
    this.render();
  }
}

/** The words of a response; after an interruption the unplayed ones are marked, from the next whole word on. */
function answerNodes({ text, heard }) {
  if (heard === null || heard >= 1) return [document.createTextNode(text)];
  const [before, after] = splitAt(text, heard);
  return [document.createTextNode(before), make("span", "cut-note", "cut off"), make("span", "unheard", after)];
}

/** `text` in two, at the end of the word that `share` (0 to 1) of its length falls into. */
export function splitAt(text, share) {
  if (share <= 0) return ["", text];
  const from = Math.round(text.length * share);
  const rest = text.slice(from).search(/\s/);
  const at = rest < 0 ? text.length : from + rest;
  return [text.slice(0, at), text.slice(at)];
}

/** The first passages, and a button that shows the others. */
function sourceLists(passages) {
  const list = (some) => {
    const made = make("ul", "sources");
    made.setAttribute("aria-label", "Documents used");
    made.append(...some.map(sourceElement));
    return made;
  };
  const rest = passages.slice(SOURCES_SHOWN);
  if (rest.length < 2) return [list(passages)];
  const more = make("details", "more");
  more.append(make("summary", "", `${rest.length} more`), list(rest));
  return [list(passages.slice(0, SOURCES_SHOWN)), more];
}

function sourceElement({ title, source }) {
  const item = make("li");
  const icon = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  icon.setAttribute("viewBox", "0 0 16 16");
  icon.setAttribute("aria-hidden", "true");
  path.setAttribute("d", "M4 2h5l3 3v9H4zM9 2v3h3M6 8h4M6 11h4");
  icon.append(path);
  const words = make("span");
  words.append(title, source && source !== title ? make("span", "source", ` ${source}`) : "");
  item.append(icon, words);
  return item;
}

function make(name, className = "", text = "") {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}
