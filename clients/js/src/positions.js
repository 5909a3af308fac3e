/** Which playback positions are reported to the gateway. It knows no socket and no audio. */

const REPORT_EVERY_MS = 250;

/** Decides which positions are reported: at most one each 250 ms, and one at every flush. */
export class PositionReporter {
  #send;
  #sentAt = Number.NEGATIVE_INFINITY;
  #last = "";
  #late = 0;

  constructor(send) {
    this.#send = send;
  }

  /** `now` in ms; a position that `isLast` of its item is delayed, never dropped. */
  running(itemId, playedMs, now, isLast = false) {
    const key = `${itemId} ${playedMs}`;
    if (!itemId || key === this.#last) return;
    clearTimeout(this.#late);
    const waitMs = this.#sentAt + REPORT_EVERY_MS - now;
    if (waitMs > 0) {
      if (isLast) this.#late = setTimeout(() => this.running(itemId, playedMs, now + waitMs), waitMs);
      return;
    }
    this.#sentAt = now;
    this.#last = key;
    this.#send(itemId, playedMs, false);
  }

  final(itemId, playedMs) {
    this.#send(itemId, playedMs, true);
  }
}
