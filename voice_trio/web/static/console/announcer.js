/** Tells screen readers what is said: each sentence of an answer once, when it is whole. Knows no socket. */

import { make } from "./dom.js";
import { currentLanguage } from "./strings.js";

const KEPT = 8; // lines in the log; a reader has the others by then

/** The whole sentences of `text`, and the length of them together; all of it if it `isFinal`. Pure. */
export function wholeSentences(text, isFinal, language) {
  if (!globalThis.Intl?.Segmenter) return isFinal ? { sentences: [text], length: text.length } : { sentences: [], length: 0 };
  const parts = [...new Intl.Segmenter(language, { granularity: "sentence" }).segment(text)].map(({ segment }) => segment);
  const whole = isFinal ? parts : parts.slice(0, -1); // the last one may go on
  const length = whole.reduce((sum, part) => sum + part.length, 0);
  return { sentences: whole.map((part) => part.trim()).filter(Boolean), length };
}

export class Announcer {
  #log;
  #told = new Map(); // item → characters that have been announced

  /** `log`: an element with role="log". */
  constructor(log) {
    this.#log = log;
  }

  say(text) {
    this.#log.append(make("p", "", text));
    while (this.#log.childElementCount > KEPT) this.#log.firstElementChild.remove();
  }

  /** More of an answer; `text` is all of the item so far. */
  answer({ itemId, text, isFinal }) {
    const told = this.#told.get(itemId) ?? 0;
    const { sentences, length } = wholeSentences(text.slice(told), isFinal, currentLanguage());
    this.#told.set(itemId, told + length);
    for (const sentence of sentences) this.say(sentence);
  }

  /** A response was interrupted: the rest of it is not announced. */
  cut(itemId) {
    if (itemId) this.#told.set(itemId, Number.POSITIVE_INFINITY);
  }
}
