/** One turn on the page: a question, a response, and their metrics. Knows no socket. */

import { make, makeSvg } from "./dom.js";
import { Marks } from "./marks.js";
import { sourceLists } from "./sources.js";
import { currentLanguage, hasText, seconds, t } from "./strings.js";
import { draw } from "./timeline.js";
import { contextWords, moneyWords } from "./words.js";

export class Turn {
  constructor(now) {
    this.marks = new Marks(now);
    this.isPending = false;
    this.firstItem = null; // of the response
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

  /** The gateway has noticed, at `now`, that the voice had ended. */
  stopListening(voiceEnd, now) {
    const [began, ended] = this.marks.speech.at(-1) ?? [0, 0];
    if (ended === null) this.marks.speechStops(voiceEnd.before(now, began));
  }

  commit(now) {
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

  /** `key`: of the text that says what went wrong. */
  trouble(key) {
    this.#trouble = key;
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

  /** Of the words, for the page to scroll to. */
  get words() {
    return this.#parts.words;
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
    if (this.#trouble) answer.append(" ", make("span", "trouble", hasText(this.#trouble) ? t(this.#trouble) : this.#trouble));
    answer.hidden = !answer.childNodes.length;
    caption.replaceChildren(...this.#captionNodes());
    caption.hidden = !caption.childNodes.length;
    const shown = `${currentLanguage()} ${passages.length}`;
    if (sources.dataset.shown !== shown) sources.replaceChildren(...sourceLists(passages));
    sources.dataset.shown = shown;
    sources.hidden = !passages.length;
    this.drawTimeline(performance.now());
  }

  #captionNodes() {
    const nodes = [];
    const { answeredAfter, silenceMs, isTyped } = this.marks;
    if (answeredAfter !== null) {
      const silence = silenceMs ? `, ${t("turn.silence", { time: seconds(silenceMs) })}` : "";
      const what = t(isTyped ? "turn.first_sound_typed" : "turn.first_sound");
      nodes.push(make("b", "", seconds(answeredAfter)), ` ${what}${silence}`);
    }
    if (this.#context) nodes.push(nodes.length ? " · " : "", contextWords(this.#context));
    if (this.#cost?.usd) nodes.push(nodes.length ? " · " : "", moneyWords(this.#cost));
    return nodes;
  }

  #parts = null;

  #build() {
    this.element = make("li", "turn");
    const words = make("div", "words");
    const evidence = make("div", "evidence");
    const timeline = makeSvg("svg", { class: "timeline" });
    this.#parts = {
      words,
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
  return [document.createTextNode(before), make("span", "cut-note", t("turn.cut")), make("span", "unheard", after)];
}

/** `text` in two, at the end of the word that `share` (0 to 1) of its length falls into. */
function splitAt(text, share) {
  if (share <= 0) return ["", text];
  const from = Math.round(text.length * share);
  const rest = text.slice(from).search(/\s/);
  const at = rest < 0 ? text.length : from + rest;
  return [text.slice(0, at), text.slice(at)];
}
