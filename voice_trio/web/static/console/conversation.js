/** The conversation on the page: which turn an event belongs to. Knows no socket. */

import { decodeBase64 } from "/client/voice.js";

import { Turn } from "./turn.js";
import { quietMs } from "./voice-end.js";

const TURNS_SAVED = 30;
const SAMPLE_BYTES_PER_MS = 48;

export class Conversation {
  #list;
  #onTurn;
  #turns = [];
  #ofItem = new Map(); // item or response id → Turn
  #audioMs = new Map(); // response item → ms of audio received
  #quiet = new Set(); // response items of which nothing audible has come yet
  #voiceEnd;

  /** `onTurn`: called with each new turn; `voiceEnd`: a `VoiceEnd` that hears the microphone. */
  constructor(list, voiceEnd, onTurn) {
    this.#list = list;
    this.#voiceEnd = voiceEnd;
    this.#onTurn = onTurn;
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
      this.#turnOf(itemId)?.stopListening(this.#voiceEnd, now);
    }
  }

  committed(itemId) {
    const turn = this.#turnOf(itemId);
    turn?.stopListening(this.#voiceEnd, performance.now());
    turn?.commit(performance.now());
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
    if (status === "failed") turn.trouble("turn.failed");
    if (status === "incomplete") turn.trouble("turn.incomplete");
    turn.render();
  }

  audio({ item_id: itemId, response_id: responseId, delta }) {
    if (!this.#audioMs.has(itemId)) this.#quiet.add(itemId);
    const bytes = (delta.length * 3) / 4 - (delta.endsWith("==") ? 2 : delta.endsWith("=") ? 1 : 0);
    this.#audioMs.set(itemId, (this.#audioMs.get(itemId) ?? 0) + bytes / SAMPLE_BYTES_PER_MS);
    const turn = this.#turnOf(responseId);
    if (!turn) return;
    this.#ofItem.set(itemId, turn);
    turn.firstItem ??= itemId;
    if (this.#quiet.has(itemId)) this.#countQuiet(turn, itemId, decodeBase64(delta));
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

  /** The marks of the turn that was answered last; null before. */
  get lastAnswered() {
    return this.#turns.findLast(({ marks }) => marks.answeredAfter !== null)?.marks ?? null;
  }

  /** `latencyMs`: until audio that is played can be heard. */
  playback({ type, itemId }, latencyMs) {
    const turn = this.#turnOf(itemId);
    if (!turn) return;
    if (type === "playing") turn.soundStarts(performance.now() + latencyMs);
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
      turn.trouble("turn.lost");
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

  /** Show every turn again, in the language of now. */
  render() {
    for (const turn of this.#turns) turn.render();
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

  /** A voice may begin late in its audio; that is a wait, too. Only the first item of a turn counts. */
  #countQuiet(turn, itemId, pcm) {
    const ms = quietMs(pcm);
    if (turn.firstItem === itemId) turn.marks.leadMs += ms;
    if (ms < pcm.byteLength / SAMPLE_BYTES_PER_MS) this.#quiet.delete(itemId);
  }

  #turnOf(id) {
    return this.#ofItem.get(id) ?? null;
  }
}
