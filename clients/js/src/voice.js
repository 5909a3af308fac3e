/**
 * voice_trio's client for browsers: plain ES modules, no dependencies, no build step.
 *
 *   import { VoiceClient } from "voice-trio";
 *   const voice = new VoiceClient({ url: "wss://gateway.example/v1/ws/voice", token: () => fetchToken() });
 *   voice.addEventListener("transcript", ({ detail }) => show(detail));
 *   button.onclick = () => (voice.isActive ? voice.stop() : voice.start());
 *
 * The gateway serves the same file at /client/voice.js. Types, events and options: voice.d.ts.
 */

import { Connection } from "./connection.js";
import { Microphone } from "./microphone.js";
import { Passages } from "./passages.js";
import { Responses } from "./responses.js";
import { Speaker } from "./speaker.js";

export { backoffMs } from "./connection.js";
export { microphoneReason } from "./microphone.js";
export { PositionReporter } from "./positions.js";
export { decodeBase64 } from "./responses.js";

/** The states a conversation is in; see `VoiceClient.state`. */
export const STATES = Object.freeze(["idle", "connecting", "listening", "thinking", "speaking", "error"]);

export class VoiceClient extends EventTarget {
  #options;
  #connection;
  #microphone;
  #passages;
  #responses;
  #speaker;
  #wanted = false;
  #state = "idle";
  #error = null;
  #settle = () => {};

  /** `options`: see `VoiceOptions` in voice.d.ts. Opens nothing before `start`. */
  constructor(options = {}) {
    super();
    this.#options = { microphone: true, jitterMs: 80, ...options };
    this.#connection = new Connection(this.#options, {
      event: (event) => this.#onEvent(event),
      ready: (detail) => {
        this.#emit("ready", detail);
        this.#settle();
      },
      latency: (detail) => this.#emit("latency", detail),
      problem: (error) => this.#emit("error", error),
      lost: () => {
        this.#responses.abandon();
        this.#passages.abandon();
      },
      reconnecting: (detail) => {
        this.#emit("reconnecting", detail);
        this.#update();
      },
      fresh: () => this.#emit("fresh", {}),
      ended: (reason) => this.#leave(reason),
      failed: (error) => this.#fail(error),
    });
    this.#passages = new Passages((event) => this.#connection.send(event));
    this.#microphone = new Microphone(this.#options, {
      frame: (pcm) => this.#connection.sendAudio(pcm),
      level: (level) => this.#emit("level", { input: level }),
      changed: (detail) => this.#emit("microphone", detail),
    });
    this.#speaker = new Speaker(this.#options, {
      position: (itemId, playedMs, isFinal) => this.#report(itemId, playedMs, isFinal),
      playback: (detail) => this.#onPlayback(detail),
    });
    this.#responses = new Responses((type, detail) => this.#emit(type, detail), {
      push: (itemId, pcm) => this.#speaker.push(itemId, pcm),
      end: (itemId) => this.#speaker.end(itemId),
      flush: (event) => this.#flush(event),
    });
  }

  get state() {
    return this.#state;
  }

  /** Whether a conversation is connected or connecting. */
  get isActive() {
    return this.#wanted;
  }

  get isConnected() {
    return this.#connection.isReady;
  }

  /** `off`, `on`, `muted` or `refused`. */
  get microphone() {
    return this.#microphone.state;
  }

  /** Whether there is a resume token of an earlier connection. */
  get canResume() {
    return this.#connection.canResume;
  }

  /** The AudioNode of all audio that is played, for meters and recorders; null before `start`. */
  get output() {
    return this.#speaker.output;
  }

  /** The error, as in the `error` event; null unless the state is `error`. */
  get error() {
    return this.#error;
  }

  /**
   * Connect and listen. Call it from a click, so that the browser allows audio. Resolves once the gateway is ready or
   * has refused. Without a microphone the conversation continues in writing.
   */
  async start() {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#microphone.open();
    this.#update();
    const settled = new Promise((resolve) => {
      this.#settle = resolve;
    });
    try {
      const isOpen = await this.#speaker.open(); // first: only a context made within the click may play
      if (isOpen && this.#options.microphone) this.#microphone.use();
      if (isOpen) this.#connection.open();
    } catch (error) {
      const message = `This browser cannot play sound here (${error.message}).`;
      this.#fail({ code: "audio_unavailable", message, retryAfter: null, closeCode: null, isFatal: true });
    }
    await settled;
  }

  /** End the conversation; it cannot be resumed. */
  stop() {
    this.#connection.end();
    this.#leave("ended");
  }

  /** Disconnect; `start` can resume the conversation within an hour. */
  disconnect() {
    this.#leave("left");
  }

  /** Interrupt the response, here and at the gateway. */
  async interrupt() {
    this.#responses.drop();
    this.#responses.isThinking = false;
    const { itemId, playedMs } = await this.#speaker.interrupt();
    this.#connection.send({ type: "interrupt", ...(itemId && { item_id: itemId, played_ms: playedMs }) });
    this.#emit("cut", { by: "user", itemId, playedMs });
    this.#update();
  }

  /** Send a typed question, which interrupts a response. Returns false without a connection. */
  sendText(text) {
    if (!text.trim() || !this.#connection.isReady) return false;
    this.#responses.drop();
    this.#connection.send({ type: "text.input", text });
    this.#responses.isThinking = true;
    this.#update();
    return true;
  }

  /** The text of a passage that a `context` event named with an `id`. Show it as text: it may hold anything. */
  getPassage(id) {
    return this.#passages.get(id);
  }

  /** `bcp47`, such as "zh": the gateway may adapt its speaking rate. */
  setLanguage(bcp47) {
    this.#connection.send({ type: "language.detected", language: bcp47 });
  }

  /** Stop or continue to send microphone audio; the device stays open. */
  mute(muted = true) {
    this.#microphone.mute(muted);
  }

  /** Use another microphone; also requests permission again after a refusal. */
  async useMicrophone(deviceId) {
    this.#options.deviceId = deviceId;
    this.#options.microphone = true;
    if (this.#wanted) await this.#microphone.use();
  }

  /** Play through another device, if the browser supports it (`AudioContext.setSinkId`). */
  async useSpeaker(deviceId) {
    this.#options.sinkId = deviceId;
    await this.#speaker.use(deviceId);
  }

  #onEvent(event) {
    if (!this.#passages.handle(event)) this.#responses.handle(event);
    this.#emit("event", event);
    this.#update();
  }

  #leave(reason) {
    if (!this.#wanted && this.#state === "idle") return;
    this.#close();
    this.#error = null;
    this.#update();
    this.#emit("ended", { reason });
    this.#settle();
  }

  #fail(error) {
    this.#close();
    this.#error = error;
    this.#update();
    this.#emit("error", error);
    this.#settle();
  }

  #close() {
    this.#wanted = false;
    this.#connection.close();
    this.#microphone.close();
    this.#speaker.close();
  }

  async #flush({ item_id: itemId }) {
    this.#emit("cut", { by: "gateway", ...(await this.#speaker.flush(itemId)) });
    this.#update();
  }

  #onPlayback({ level, ...detail }) {
    this.#responses.isThinking &&= detail.type !== "playing";
    this.#emit("level", { output: level });
    if (detail.type !== "flushed") this.#emit("playback", detail);
    this.#update();
  }

  #report(itemId, playedMs, isFinal) {
    const event = { type: "playback.position", item_id: itemId, played_ms: Math.round(playedMs * 10) / 10 };
    this.#connection.send(isFinal ? { ...event, flushed: true } : event);
  }

  #update() {
    const state = this.#currentState();
    if (state === this.#state) return;
    const previous = this.#state;
    this.#state = state;
    this.#emit("state", { state, previous });
  }

  #currentState() {
    if (this.#error && !this.#wanted) return "error";
    this.#error = null;
    if (!this.#wanted) return "idle";
    if (!this.#connection.isReady) return "connecting";
    if (this.#speaker?.isPlaying) return "speaking";
    return this.#responses.isThinking ? "thinking" : "listening";
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
