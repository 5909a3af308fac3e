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

  /** Playback stands still here: reported again, because the gateway assumes that it goes on after each report. */
  still(itemId, playedMs) {
    clearTimeout(this.#late);
    this.#send(itemId, playedMs, false);
  }

  final(itemId, playedMs) {
    this.#send(itemId, playedMs, true);
  }
}

/**
 * Where playback is, without asking the worklet: some browsers let it answer only while its context runs.
 * Items play in the order in which they were pushed.
 */
export class PlaybackCursor {
  #current = null; // of the item that plays
  #waiting = []; // ids of items that have not begun

  pushed(itemId) {
    if (itemId !== this.#current?.itemId && !this.#waiting.includes(itemId)) this.#waiting.push(itemId);
  }

  /** `type` is the worklet's: `playing`, `status`, `silent` for the end of an item, or `flushed`. */
  moved(type, itemId, playedMs) {
    this.#current = type === "playing" || type === "status" ? { itemId, playedMs } : null;
    if (type !== "flushed") this.#waiting = this.#waiting.slice(this.#waiting.indexOf(itemId) + 1);
  }

  /** All audio up to now is dropped; what is pushed from now on plays. */
  flushed() {
    this.#current = null;
    this.#waiting = [];
  }

  /** {itemId, playedMs} of the audio that is played next; null if there is none. */
  get next() {
    const [itemId] = this.#waiting;
    return this.#current ?? (itemId ? { itemId, playedMs: 0 } : null);
  }
}

/** `playback.position` of docs/protocol.md. */
export function positionEvent(itemId, playedMs, isFinal) {
  const event = { type: "playback.position", item_id: itemId, played_ms: Math.round(playedMs * 10) / 10 };
  return isFinal ? { ...event, flushed: true } : event;
}
