/**
 * The AudioWorklet of voice.js for the loudspeaker: plays 24 kHz PCM16 in order, counts each item's played samples,
 * and stops at once on a flush. It knows no socket. Its context must run at 24 kHz, so that each input sample is one
 * output sample. Loaded by voice.js; the class is exported for tests. It imports nothing: bundlers copy it as it is.
 */

export const RATE = 24_000;
const SAMPLES_PER_MS = RATE / 1000;
const FADE_SAMPLES = 128; // one quantum: a stop without a click
const TARGET_MS_MAX = 400;
const ITEMS_REMEMBERED = 16;
const STATUS_EVERY_QUANTA = 8; // 43 ms

/**
 * The jitter buffer. Playback begins when `targetMs` are buffered, or the item is complete, or `targetMs` have passed
 * since the first piece. After an underrun within an item it buffers again, half as much more.
 */
export class PlaybackQueue {
  constructor(targetMs = 80) {
    this.targetMs = targetMs;
    this.items = new Map(); // id → {pushed, played, ended}, in samples
    this.pieces = []; // {item, samples: Int16Array, at}
    this.tail = null; // after a flush: one fading quantum
    this.state = "empty"; // empty, filling, playing
    this.queued = 0;
    this.waited = 0;
    this.current = null;
    this.underruns = 0;
  }

  /** Append `samples` (Int16Array) to item `id`. */
  push(id, samples) {
    const item = this.item(id);
    if (this.state === "empty" && item.played > 0 && !item.ended) this.noteUnderrun();
    item.pushed += samples.length;
    this.queued += samples.length;
    this.pieces.push({ id, item, samples, at: 0 });
    if (this.state === "empty") {
      this.state = "filling";
      this.waited = 0;
    }
  }

  /** Item `id` is complete. */
  end(id) {
    this.item(id).ended = true;
  }

  /** Fill `out` (Float32Array); returns its loudness, 0 for silence. */
  render(out) {
    out.fill(0);
    let offset = this.renderTail(out);
    if (this.state === "filling") this.waitOrBegin(out.length);
    if (this.state === "playing") offset = Math.max(offset, this.renderPieces(out));
    let power = 0;
    for (let i = 0; i < offset; i += 1) power += out[i] * out[i];
    return Math.sqrt(power / out.length);
  }

  /**
   * Drop all audio. At most one more quantum is played, fading, and counts as played.
   * Returns {itemId, playedMs} of the item that was playing or next, else of `id`; null if that is unknown.
   */
  flush(id = null) {
    const wasPlaying = this.state === "playing";
    const first = this.pieces[0];
    if (wasPlaying && first) {
      this.current = first.id;
      this.tail = fading(first);
      first.item.played += this.tail.length;
    }
    for (const piece of this.pieces) piece.item.ended = true;
    this.pieces = [];
    this.queued = 0;
    this.state = "empty";
    return this.position(first?.id ?? id);
  }

  /** {itemId, playedMs} of item `id`, by default the one being played; null if there is none. */
  position(id = this.current) {
    const item = this.items.get(id);
    return item ? { itemId: id, playedMs: item.played / SAMPLES_PER_MS } : null;
  }

  get queuedMs() {
    return this.queued / SAMPLES_PER_MS;
  }

  item(id) {
    let item = this.items.get(id);
    if (!item) {
      item = { pushed: 0, played: 0, ended: false };
      this.items.set(id, item);
      if (this.items.size > ITEMS_REMEMBERED) this.items.delete(this.items.keys().next().value);
    }
    return item;
  }

  waitOrBegin(samples) {
    const isComplete = this.pieces.at(-1).item.ended;
    if (this.queuedMs >= this.targetMs || isComplete || this.waited / SAMPLES_PER_MS >= this.targetMs) {
      this.state = "playing";
    }
    this.waited += samples;
  }

  renderTail(out) {
    if (!this.tail) return 0;
    out.set(this.tail);
    const length = this.tail.length;
    this.tail = null;
    return length;
  }

  renderPieces(out) {
    let filled = 0;
    while (filled < out.length && this.pieces.length) {
      const piece = this.pieces[0];
      const count = Math.min(out.length - filled, piece.samples.length - piece.at);
      for (let i = 0; i < count; i += 1) out[filled + i] += piece.samples[piece.at + i] / 32_768;
      filled += count;
      piece.at += count;
      piece.item.played += count;
      this.queued -= count;
      this.current = piece.id;
      if (piece.at === piece.samples.length) this.pieces.shift();
    }
    if (!this.pieces.length) this.state = "empty";
    return filled;
  }

  noteUnderrun() {
    this.underruns += 1;
    this.targetMs = Math.min(TARGET_MS_MAX, this.targetMs * 1.5);
  }
}

function fading(piece) {
  const samples = piece.samples.subarray(piece.at, piece.at + FADE_SAMPLES);
  return Float32Array.from(samples, (sample, i) => (sample / 32_768) * (1 - (i + 1) / (FADE_SAMPLES + 1)));
}

if (globalThis.registerProcessor) {
  class Playback extends AudioWorkletProcessor {
    constructor({ processorOptions }) {
      super();
      this.queue = new PlaybackQueue(processorOptions?.targetMs);
      this.sounding = null; // the id of the audible item
      this.level = 0;
      this.quanta = 0;
      this.port.onmessage = ({ data }) => this.obey(data);
    }

    obey({ type, id, pcm, ticket }) {
      if (type === "push") this.queue.push(id, new Int16Array(pcm));
      else if (type === "end") this.queue.end(id);
      else if (type === "flush") this.flush(ticket, id);
    }

    flush(ticket, id) {
      const stopped = this.queue.flush(id);
      this.sounding = null;
      this.tell("flushed", { ticket, itemId: stopped?.itemId ?? null, playedMs: stopped?.playedMs ?? 0 });
    }

    process(_inputs, [[out]]) {
      this.level = Math.max(this.level, this.queue.render(out));
      this.noteWhatSounds();
      this.quanta += 1;
      if (this.quanta % STATUS_EVERY_QUANTA === 0 && this.sounding !== null) this.tell("status");
      return true;
    }

    /** An item is audible from its first sample to its last, also during an underrun. */
    noteWhatSounds() {
      const { queue } = this;
      if (queue.state === "playing") {
        if (queue.current === this.sounding) return;
        this.sounding = queue.current;
        this.tell("playing");
      } else if (this.sounding !== null && queue.items.get(this.sounding)?.ended !== false) {
        this.tell("silent");
        this.sounding = null;
      }
    }

    tell(type, more) {
      const { queue } = this;
      const heard = { ...queue.position(), queuedMs: queue.queuedMs, underruns: queue.underruns, level: this.level };
      this.port.postMessage({ type, at: currentTime, ...heard, ...more });
      this.level = 0;
    }
  }
  registerProcessor("voice-trio-playback", Playback);
}
