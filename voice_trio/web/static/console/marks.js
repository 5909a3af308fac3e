/** When each thing of a turn happened, in ms on one clock. A person's wait begins when their voice ends. Pure. */

export class Marks {
  constructor(begins) {
    this.begins = begins;
    this.speech = []; // [from, to or null]; `to` is the end of the voice, before the silence that ends a turn
    this.words = [];
    this.queries = []; // {at, to or null, outcome}
    this.commit = null; // the end of the turn, or the sending of a text; `null` before
    this.waitedMs = null;
    this.sounds = []; // [from, to or null]
    this.leadMs = 0; // of inaudible audio at the beginning of the response
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

  get isTyped() {
    return this.commit !== null && !this.speech.length;
  }

  /** The end of the voice, or the sending of a text; null until then. */
  get asked() {
    return this.commit === null ? null : (this.speech.at(-1)?.[1] ?? this.commit);
  }

  /** When the first sound of the response could be heard; null until then. */
  get firstSound() {
    return this.sounds.length ? this.sounds[0][0] + this.leadMs : null;
  }

  /** Ms that a person waited: from the end of their voice (or the sending of a text) to the first sound. */
  get answeredAfter() {
    return this.asked === null || this.firstSound === null ? null : Math.max(0, this.firstSound - this.asked);
  }

  /** Ms of that wait in which the gateway only listened whether more would come; 0 for a typed question. */
  get silenceMs() {
    return this.asked === null ? null : Math.max(0, this.commit - this.asked);
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
