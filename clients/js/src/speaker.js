/** The loudspeaker of a conversation. It knows no socket; positions go to whatever it was given. */

import { PositionReporter } from "./positions.js";

const RATE = 24_000;
const CLOSE_AFTER_MS = 100; // for the fade of the audio that is playing

/** The loudspeaker over conversations: each has a device of its own, and the positions of its audio are reported. */
export class Speaker {
  #options;
  #tell;
  #device = null;
  #reporter;

  /** `tell`: {position(itemId, playedMs, isFinal), playback(detail)}; `detail` as in voice.d.ts, and its `level`. */
  constructor(options, tell) {
    this.#options = options;
    this.#tell = tell;
    this.#reporter = new PositionReporter(tell.position);
  }

  /** The AudioNode of all audio; null while closed. */
  get output() {
    return this.#device?.output ?? null;
  }

  get isPlaying() {
    return this.#device?.isPlaying ?? false;
  }

  /** Open a device. False if `close` was called meanwhile; throws the browser's error if it cannot play. */
  async open() {
    const device = (this.#device ??= new SpeakerDevice(this.#options, (message) => this.#onMessage(message)));
    try {
      await device.open();
    } catch (error) {
      if (device === this.#device) throw error;
    }
    return device === this.#device;
  }

  push(itemId, pcm) {
    this.#device?.push(itemId, pcm);
  }

  end(itemId) {
    this.#device?.end(itemId);
  }

  /** Stop all audio; resolves with {itemId, playedMs}, `itemId` null if none was playing. */
  async interrupt() {
    const { itemId = null, playedMs = 0 } = (await this.#device?.flush()) ?? {};
    return { itemId, playedMs };
  }

  /** Stop all audio for the gateway, and report where: {itemId, playedMs}, of item `id` if none was playing. */
  async flush(id) {
    const stopped = await this.#device?.flush(id);
    const { itemId, playedMs } = stopped?.itemId ? stopped : { itemId: id, playedMs: 0 };
    this.#reporter.final(itemId, playedMs);
    return { itemId, playedMs };
  }

  async use(sinkId) {
    await this.#device?.use(sinkId);
  }

  close() {
    this.#device?.close();
    this.#device = null;
  }

  #onMessage({ type, itemId, playedMs, queuedMs, underruns, level, latencyMs }) {
    // Rendered audio is audible a little later; at a flush, or after its last sample, it still plays to its end.
    const heardMs = type === "playing" || type === "status" ? Math.max(0, playedMs - latencyMs) : playedMs;
    if (type !== "flushed") this.#reporter.running(itemId, heardMs, performance.now(), type === "silent");
    this.#tell.playback({ type, itemId, playedMs: heardMs, queuedMs, underruns, level });
  }
}

/** One device. Its context runs at the protocol's rate, so that positions are exact; the browser resamples. */
class SpeakerDevice {
  #options;
  #tell;
  #context = null;
  #node = null;
  #tickets = new Map();
  #ticket = 0;
  output = null;
  isPlaying = false;

  /** `tell`: called with each message of the worklet and `latencyMs`, the time until rendered audio is audible. */
  constructor(options, tell) {
    this.#options = options;
    this.#tell = tell;
  }

  async open() {
    if (!this.#context) {
      const context = (this.#context = new AudioContext({ sampleRate: RATE, latencyHint: "interactive" }));
      // Before the first await: Safari allows audio only within the click, and otherwise waits for the next click.
      context.resume().catch(() => {});
      await context.audioWorklet.addModule(playbackUrl(this.#options.workletBase));
      const processorOptions = { targetMs: this.#options.jitterMs };
      const settings = { numberOfInputs: 0, outputChannelCount: [1], processorOptions };
      this.#node = new AudioWorkletNode(context, "voice-trio-playback", settings);
      this.#node.port.onmessage = ({ data }) => this.#hear(data);
      this.output = context.createGain();
      this.#node.connect(this.output).connect(context.destination);
      if (this.#options.sinkId) await this.use(this.#options.sinkId);
    }
  }

  push(id, pcm) {
    if (this.#context.state !== "running") this.#context.resume().catch(() => {});
    this.#node?.port.postMessage({ type: "push", id, pcm }, [pcm]);
  }

  end(id) {
    this.#node?.port.postMessage({ type: "end", id });
  }

  /** Stop within a quantum; resolves with {itemId, playedMs} of the item that was playing, else of item `id`. */
  flush(id = null) {
    if (!this.#node) return Promise.resolve(null);
    this.#ticket += 1;
    const ticket = this.#ticket;
    this.#node.port.postMessage({ type: "flush", ticket, id });
    return new Promise((resolve) => this.#tickets.set(ticket, resolve));
  }

  async use(sinkId) {
    await this.#context?.setSinkId?.(sinkId);
  }

  /** Stop, and release the device. */
  close() {
    this.flush();
    setTimeout(() => this.#context.close().catch(() => {}), CLOSE_AFTER_MS);
  }

  #hear(message) {
    this.isPlaying = message.type === "playing" || message.type === "status";
    const latencyMs = 1000 * (this.#context.outputLatency || this.#context.baseLatency || 0);
    this.#tickets.get(message.ticket)?.(message);
    this.#tickets.delete(message.ticket);
    this.#tell({ ...message, latencyMs });
  }
}

/** Bundlers emit a file for exactly this expression: a literal name and `import.meta.url`. */
function playbackUrl(base) {
  return base ? new URL("voice-playback.js", base) : new URL("./voice-playback.js", import.meta.url);
}
