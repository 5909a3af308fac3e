/** The loudspeaker of a conversation. It knows no socket; positions go to whatever it was given. */

import { ContextKeeper, loadWorklet, workletIn } from "./contexts.js";
import { PlaybackCursor, PositionReporter } from "./positions.js";

const RATE = 24_000;
const CLOSE_AFTER_MS = 100; // for the fade of the audio that is playing
const FLUSH_MS_MAX = 150; // less than the 300 ms for which the gateway waits
const STILL_EVERY_MS = 250;

/** The loudspeaker over conversations: each has a device of its own, and the positions of its audio are reported. */
export class Speaker {
  #options;
  #tell;
  #device = null;
  #state = "closed";
  #reporter;
  #cursor = new PlaybackCursor();
  #still = null;

  /** `tell`: {position(itemId, playedMs, isFinal), playback(detail), changed(state)}; `detail`: voice.d.ts's and `level`. */
  constructor(options, tell) {
    this.#options = options;
    this.#tell = tell;
    this.#reporter = new PositionReporter(tell.position);
  }

  /** The AudioNode of all audio; null while closed. */
  get output() {
    return this.#device?.output ?? null;
  }

  /** `running`, `suspended`, `blocked`, `interrupted` or `closed`. */
  get state() {
    return this.#state;
  }

  get isPlaying() {
    return this.#device?.isPlaying ?? false;
  }

  /** Open a device, in a click. Throws the browser's error if it has no audio. */
  open() {
    const device = (this.#device ??= new SpeakerDevice(this.#options, {
      message: (message) => device === this.#device && this.#onMessage(message),
      changed: () => this.#onChanged(),
    }));
    device.open();
  }

  /** Load what plays; after a failure it may be called again. Throws a SoundError. */
  async load() {
    await this.#device?.load();
  }

  push(itemId, pcm) {
    if (!this.#device) return;
    this.#cursor.pushed(itemId);
    this.#device.push(itemId, pcm);
  }

  end(itemId) {
    this.#device?.end(itemId);
  }

  /** Stop all audio; resolves with {itemId, playedMs}, `itemId` null if none was playing. */
  async interrupt() {
    const { itemId = null, playedMs = 0 } = (await this.#stop(null)) ?? {};
    return { itemId, playedMs };
  }

  /** Stop all audio for the gateway, and report where: {itemId, playedMs}, of item `id` if none was playing. */
  async flush(id) {
    const stopped = await this.#stop(id);
    const { itemId, playedMs } = stopped?.itemId ? stopped : { itemId: id, playedMs: 0 };
    this.#reporter.final(itemId, playedMs);
    return { itemId, playedMs };
  }

  /** Resume what the browser has stopped; resolves to whether it plays. */
  async wake() {
    return (await this.#device?.wake()) ?? false;
  }

  async use(sinkId) {
    await this.#device?.use(sinkId);
  }

  close() {
    this.#cursor.flushed();
    this.#device?.close();
    this.#device = null;
    this.#onChanged();
  }

  #stop(id) {
    const known = this.#cursor.next;
    this.#cursor.flushed();
    return this.#device?.flush(id, known);
  }

  #onMessage({ type, itemId, playedMs, queuedMs, underruns, level, latencyMs }) {
    // Rendered audio is audible a little later; at a flush, or after its last sample, it still plays to its end.
    const heardMs = type === "playing" || type === "status" ? Math.max(0, playedMs - latencyMs) : playedMs;
    this.#cursor.moved(type, itemId, heardMs);
    if (type !== "flushed") this.#reporter.running(itemId, heardMs, performance.now(), type === "silent");
    this.#tell.playback({ type, itemId, playedMs: heardMs, queuedMs, underruns, level });
  }

  #onChanged() {
    const state = this.#device?.state ?? "closed";
    clearInterval(this.#still);
    if (this.#device?.isStopped) this.#still = setInterval(() => this.#reportStill(), STILL_EVERY_MS);
    if (state === this.#state) return;
    this.#state = state;
    this.#tell.changed(state);
  }

  /** Audio that waits for a stopped context is not heard meanwhile, and plays once the context runs again. */
  #reportStill() {
    const next = this.#cursor.next;
    if (next) this.#reporter.still(next.itemId, next.playedMs);
  }
}

/** One device. Its context runs at the protocol's rate, so that positions are exact; the browser resamples. */
class SpeakerDevice {
  #options;
  #tell;
  #context = null;
  #keeper = null;
  #node = null;
  #loads = 0;
  #tickets = new Map();
  #ticket = 0;
  output = null;
  isPlaying = false;

  /** `tell`: {message(message), changed()}; a message is the worklet's, and `latencyMs` until its audio is audible. */
  constructor(options, tell) {
    this.#options = options;
    this.#tell = tell;
  }

  get state() {
    return this.#keeper?.state ?? "closed";
  }

  get isStopped() {
    return this.#keeper?.isStopped ?? false;
  }

  open() {
    if (this.#context) return;
    this.#context = new AudioContext({ sampleRate: RATE, latencyHint: "interactive" });
    this.output = this.#context.createGain();
    this.output.connect(this.#context.destination);
    this.#keeper = new ContextKeeper(this.#context, this.#tell.changed);
    if (this.#options.sinkId) this.use(this.#options.sinkId).catch(() => {}); // unplugged: the browser's choice
  }

  async load() {
    if (this.#node) return;
    const context = this.#context;
    this.#loads += 1;
    await loadWorklet(context, playbackUrl(this.#options.workletBase), this.#loads - 1);
    if (this.#node || context.state === "closed") return;
    const processorOptions = { targetMs: this.#options.jitterMs };
    const settings = { numberOfInputs: 0, outputChannelCount: [1], processorOptions };
    this.#node = new AudioWorkletNode(context, "voice-trio-playback", settings);
    this.#node.port.onmessage = ({ data }) => this.#hear(data);
    this.#node.connect(this.output);
  }

  push(id, pcm) {
    this.#node?.port.postMessage({ type: "push", id, pcm }, [pcm]);
  }

  end(id) {
    this.#node?.port.postMessage({ type: "end", id });
  }

  /** Stop within a quantum. Resolves with {itemId, playedMs} of the worklet, or with `known` if it does not answer. */
  flush(id, known) {
    if (!this.#node) return Promise.resolve(known);
    this.#ticket += 1;
    const ticket = this.#ticket;
    this.#node.port.postMessage({ type: "flush", ticket, id });
    return new Promise((resolve) => {
      this.#tickets.set(ticket, resolve);
      setTimeout(() => this.#tickets.delete(ticket) && resolve(known), FLUSH_MS_MAX);
    });
  }

  wake() {
    return this.#keeper?.wake();
  }

  async use(sinkId) {
    await this.#context?.setSinkId?.(sinkId);
  }

  /** Stop, and release the device. */
  close() {
    this.flush(null, null);
    this.#keeper?.release();
    const context = this.#context;
    setTimeout(() => context?.close().catch(() => {}), CLOSE_AFTER_MS);
  }

  #hear(message) {
    this.isPlaying = message.type === "playing" || message.type === "status";
    const latencyMs = 1000 * (this.#context.outputLatency || this.#context.baseLatency || 0);
    this.#tickets.get(message.ticket)?.(message);
    this.#tickets.delete(message.ticket);
    this.#tell.message({ ...message, latencyMs });
  }
}

/** Bundlers emit a file for exactly this expression: a literal name and `import.meta.url`. */
function playbackUrl(base) {
  return base ? workletIn(base, "voice-playback.js") : new URL("./voice-playback.js", import.meta.url);
}
