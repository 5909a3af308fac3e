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
import { Passages } from "./passages.js";
import { positionEvent } from "./positions.js";
import { Responses } from "./responses.js";
import { Sound } from "./sound.js";
import { stateOf } from "./states.js";

export { backoffMs } from "./retry.js";
export { microphoneReason } from "./microphone.js";
export { PositionReporter } from "./positions.js";
export { decodeBase64 } from "./responses.js";
export { STATES } from "./states.js";

export class VoiceClient extends EventTarget {
  #options;
  #connection;
  #passages;
  #responses;
  #sound;
  #wanted = false;
  #state = "idle";
  #error = null;
  #settle = () => {};

  /** `options`: see `VoiceOptions` in voice.d.ts. Opens nothing before `start`. */
  constructor(options = {}) {
    super();
    this.#options = { microphone: true, jitterMs: 80, ...options };
    this.#sound = new Sound(this.#options, {
      frame: (pcm) => this.#connection.sendAudio(pcm),
      position: (...where) => this.#connection.send(positionEvent(...where)),
      playback: (detail) => this.#onPlayback(detail),
      output: (state) => this.#emit("output", { state }),
      microphone: (detail) => this.#emit("microphone", detail),
      level: (levels) => this.#emit("level", levels),
      devices: (list) => this.#emit("devices", list),
    });
    this.#connection = new Connection(this.#options, {
      prepare: () => this.#sound.speaker.load(),
      event: (event) => this.#onEvent(event),
      ready: (detail) => this.#onReady(detail),
      latency: (detail) => this.#emit("latency", detail),
      problem: (error) => this.#emit("error", error),
      lost: () => [this.#responses, this.#passages].forEach((each) => each.abandon()),
      reconnecting: (detail) => this.#tell("reconnecting", detail),
      fresh: () => this.#emit("fresh", {}),
      ended: (reason) => this.#leave(reason),
      failed: (error) => this.#finish(error, "error", error),
    });
    this.#passages = new Passages((event) => this.#connection.send(event));
    this.#responses = new Responses((type, detail) => this.#emit(type, detail), {
      push: (itemId, pcm) => this.#sound.speaker.push(itemId, pcm),
      end: (itemId) => this.#sound.speaker.end(itemId),
      flush: async (id) => this.#tell("cut", { by: "gateway", ...(await this.#sound.speaker.flush(id)) }),
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

  /** `off`, `on`, `muted`, `suspended` or `refused`. */
  get microphone() {
    return this.#sound.microphone.state;
  }

  /** `running`, `suspended`, `blocked`, `interrupted` or `closed`. */
  get outputState() {
    return this.#sound.speaker.state;
  }

  /** The devices that may be chosen, as in the `devices` event. */
  get devices() {
    return this.#sound.devices;
  }

  /** Whether there is a resume token of an earlier connection. */
  get canResume() {
    return this.#connection.canResume;
  }

  /** The AudioNode of all audio that is played, for meters and recorders; null before `start`. */
  get output() {
    return this.#sound.speaker.output;
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
    this.#update();
    const settled = new Promise((resolve) => (this.#settle = resolve));
    try {
      this.#sound.open(); // at once: only a context made within the click may play
      this.#connection.open();
    } catch (error) {
      this.#connection.fail(error);
    }
    await settled;
  }

  /** Change options: they count from the next connection on, those of devices from the next `start`. */
  configure(options) {
    Object.assign(this.#options, options);
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
    this.#responses.drop(false);
    const { itemId, playedMs } = await this.#sound.speaker.interrupt();
    this.#connection.send({ type: "interrupt", ...(itemId && { item_id: itemId, played_ms: playedMs }) });
    this.#tell("cut", { by: "user", itemId, playedMs });
  }

  /** Send a typed question, which interrupts a response. Returns false without a connection. */
  sendText(text) {
    if (!text.trim() || !this.#connection.isReady) return false;
    this.#connection.send({ type: "text.input", text });
    this.#responses.drop(true);
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
    this.#sound.microphone.mute(muted);
  }

  /** Let stopped or blocked audio run again; call it from a click. Resolves to whether it plays. */
  resumeAudio() {
    return this.#sound.wake();
  }

  /** List the devices now; a `devices` event follows too. */
  listDevices() {
    return this.#sound.listDevices();
  }

  /** Use another microphone; also asks for permission again after a refusal. */
  async useMicrophone(deviceId) {
    this.#options.deviceId = deviceId;
    this.#options.microphone = true;
    if (this.#wanted) await this.#sound.microphone.use();
  }

  /** Play through another device, if the browser supports it (`AudioContext.setSinkId`). */
  useSpeaker(deviceId) {
    return this.#sound.useSpeaker(deviceId);
  }

  #onReady(detail) {
    this.#sound.microphone.retry();
    this.#emit("ready", detail);
    this.#settle();
  }

  #onEvent(event) {
    if (!this.#passages.handle(event)) this.#responses.handle(event);
    this.#tell("event", event);
  }

  #leave(reason) {
    if (this.#wanted || this.#state !== "idle") this.#finish(null, "ended", { reason });
  }

  #finish(error, type, detail) {
    this.#wanted = false;
    this.#connection.close();
    this.#sound.close();
    this.#error = error;
    this.#update();
    this.#emit(type, detail);
    this.#settle();
  }

  #onPlayback(detail) {
    this.#responses.isThinking &&= detail.type !== "playing";
    if (detail.type !== "flushed") this.#emit("playback", detail);
    this.#update();
  }

  /** An event after which the state may be another. */
  #tell(type, detail) {
    this.#emit(type, detail);
    this.#update();
  }

  #update() {
    if (this.#wanted) this.#error = null;
    const facts = [this.#connection.isReady, this.#sound.speaker.isPlaying, this.#responses.isThinking];
    const state = stateOf(this.#wanted, this.#error, ...facts);
    if (state === this.#state) return;
    const previous = this.#state;
    this.#state = state;
    this.#emit("state", { state, previous });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
