/**
 * voice_trio's client for browsers: one ES module, no dependencies, no build step.
 *
 *   import { VoiceClient } from "https://gateway.example/client/voice.js";
 *   const voice = new VoiceClient({ token: () => fetchToken() });
 *   voice.addEventListener("transcript", ({ detail }) => show(detail));
 *   button.onclick = () => (voice.isActive ? voice.stop() : voice.start());
 *
 * The two AudioWorklets are beside this file. Types, events and options: voice.d.ts. The wire: docs/protocol.md.
 */

const RATE = 24_000;
const REPORT_EVERY_MS = 250;
const PING_FIRST_MS = 500;
const PING_EVERY_MS = 15_000;
const PONG_WITHIN_MS = 10_000;
const OPEN_WITHIN_MS = 15_000;
const RETRIES_MAX = 8;
const RETRY_FIRST_MS = 500;
const RETRY_MOST_MS = 15_000;
const FRAMES_KEPT = 125; // 5 s of microphone while connecting: as much as the gateway keeps
const CLOSE_AFTER_MS = 100; // for the fade of the audio that is playing
const UNSENT_BYTES_MAX = 256 * 1024; // about 5 s of microphone audio that the network has not taken; more is dropped
const REFUSAL_REMEMBERED_MS = 60_000;
/** Close codes after which the client must not reconnect: the session is over, refused, or violated the protocol. */
const FINAL_CLOSES = new Set([1000, 1002, 1007, 1008, 1009, 4001, 4002, 4003]);

/** The states a conversation is in; see `VoiceClient.state`. */
export const STATES = Object.freeze(["idle", "connecting", "listening", "thinking", "speaking", "error"]);

export class VoiceClient extends EventTarget {
  #options;
  #socket = null;
  #speaker = null;
  #microphone = null;
  #reporter = new PositionReporter((id, ms, flushed) => this.#report(id, ms, flushed));
  #frames = [];
  #wanted = false;
  #ready = false;
  #thinking = false;
  #muted = false;
  #refusedMicrophone = false;
  #state = "idle";
  #error = null;
  #attempt = 0;
  #resumeToken = null;
  #refusal = null;
  #responses = new Map(); // id → item ids, of responses that are not done
  #dropped = new Set(); // ids of responses that the user has interrupted
  #texts = new Map(); // item id → transcript so far
  #timers = new Map();
  #settle = () => {};
  #retryNow = () => {
    if (this.#timers.has("retry")) this.#connect();
  };

  /** `options`: see `VoiceOptions` in voice.d.ts. Opens nothing before `start`. */
  constructor(options = {}) {
    super();
    this.#options = { url: defaultUrl(), microphone: true, jitterMs: 80, workletBase: new URL(".", import.meta.url) };
    Object.assign(this.#options, options);
    this.#resumeToken = this.#options.resumeStore?.get() ?? null;
  }

  get state() {
    return this.#state;
  }

  /** Whether a conversation is connected or connecting. */
  get isActive() {
    return this.#wanted;
  }

  get isConnected() {
    return this.#ready;
  }

  /** `off`, `on`, `muted` or `refused`. */
  get microphone() {
    if (this.#microphone) return this.#muted ? "muted" : "on";
    return this.#refusedMicrophone ? "refused" : "off";
  }

  /** Whether there is a resume token of an earlier connection. */
  get canResume() {
    return this.#resumeToken !== null;
  }

  /** The AudioNode of all audio that is played, for meters and recorders; null before `start`. */
  get output() {
    return this.#speaker?.output ?? null;
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
    this.#refusedMicrophone = false;
    this.#attempt = 0;
    globalThis.addEventListener?.("online", this.#retryNow);
    this.#update();
    const speaker = (this.#speaker ??= new Speaker(this.#options, (event) => this.#onPlayback(event)));
    const settled = new Promise((resolve) => {
      this.#settle = resolve;
    });
    try {
      await speaker.open(); // first: only a context made within the click may play
      if (speaker === this.#speaker) {
        if (this.#options.microphone) this.#openMicrophone();
        this.#connect();
      }
    } catch (error) {
      if (speaker !== this.#speaker) return; // `stop` was called meanwhile
      this.#fail({ code: "audio_unavailable", message: `This browser cannot play sound here (${error.message}).` });
    }
    await settled;
  }

  /** End the conversation; it cannot be resumed. */
  stop() {
    this.#send({ type: "session.end" });
    this.#forgetResume();
    this.#leave("ended");
  }

  /** Disconnect; `start` can resume the conversation within an hour. */
  disconnect() {
    this.#leave("left");
  }

  /** Interrupt the response, here and at the gateway. */
  async interrupt() {
    for (const id of this.#responses.keys()) this.#dropped.add(id);
    this.#thinking = false;
    const stopped = await this.#speaker?.flush();
    const where = stopped?.itemId ? { item_id: stopped.itemId, played_ms: stopped.playedMs } : {};
    this.#send({ type: "interrupt", ...where });
    this.#emit("cut", { by: "user", itemId: stopped?.itemId ?? null, playedMs: stopped?.playedMs ?? 0 });
    this.#update();
  }

  /** Send a typed question, which interrupts a response. Returns false without a connection. */
  sendText(text) {
    if (!text.trim() || !this.#ready) return false;
    for (const id of this.#responses.keys()) this.#dropped.add(id);
    this.#send({ type: "text.input", text });
    this.#thinking = true;
    this.#update();
    return true;
  }

  /** `bcp47`, such as "zh": the gateway may adapt its speaking rate. */
  setLanguage(bcp47) {
    this.#send({ type: "language.detected", language: bcp47 });
  }

  /** Stop or continue to send microphone audio; the device stays open. */
  mute(muted = true) {
    this.#muted = muted;
    this.#microphone?.mute(muted);
    this.#emit("microphone", { state: this.microphone });
  }

  /** Use another microphone; also requests permission again after a refusal. */
  async useMicrophone(deviceId) {
    this.#options.deviceId = deviceId;
    this.#options.microphone = true;
    if (this.#wanted) await this.#openMicrophone();
  }

  /** Play through another device, if the browser supports it (`AudioContext.setSinkId`). */
  async useSpeaker(deviceId) {
    this.#options.sinkId = deviceId;
    await this.#speaker?.use(deviceId);
  }

  // The connection

  async #connect() {
    this.#stopTimer("retry");
    if (this.#socket) return;
    let token;
    try {
      token = typeof this.#options.token === "function" ? await this.#options.token() : this.#options.token;
    } catch (error) {
      this.#fail({ code: "token_unavailable", message: `No token could be had (${error.message}).` });
      return;
    }
    if (!this.#wanted || this.#socket) return;
    const url = new URL(this.#options.url);
    if (this.#resumeToken) url.searchParams.set("resume", this.#resumeToken);
    const socket = (this.#socket = new WebSocket(url));
    this.#refusal = recent(this.#refusal);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => socket.send(JSON.stringify({ type: "auth", token: token ?? "" }));
    socket.onmessage = ({ data }) => this.#onMessage(socket, data);
    socket.onclose = (event) => this.#onClose(socket, event);
    this.#startTimer("open", OPEN_WITHIN_MS, () => this.#lose(socket));
  }

  #onMessage(socket, data) {
    if (socket !== this.#socket || typeof data !== "string") return;
    const event = JSON.parse(data);
    this.#handle(event);
    this.#emit("event", event);
    this.#update();
  }

  #onClose(socket, { code, reason }) {
    if (socket !== this.#socket) return;
    const wasReady = this.#ready;
    this.#hangUp();
    if (code === 1000) {
      this.#forgetResume();
      this.#leave(reason || "ended");
    } else if (this.#refusal?.code === "resume_invalid" && this.#resumeToken) {
      // The session cannot be resumed: start a new one, once, instead of showing an error about tokens.
      this.#forgetResume();
      this.#refusal = null;
      this.#emit("fresh", {});
      this.#connect();
    } else if (FINAL_CLOSES.has(code) || (!wasReady && this.#isRepeatedRefusal(code))) {
      const byOperator = reason.startsWith(ENDED_BY_OPERATOR);
      if (code === 4001 || byOperator) this.#forgetResume();
      const name = FINAL_CODES[code] ?? (byOperator ? "ended_by_operator" : "closed");
      this.#fail({ code: name, message: reason, ...this.#refusal, closeCode: code });
    } else {
      this.#retry(code, reason);
    }
  }

  /** From the third refusal within a minute on, it is an HTTP response, which a page cannot read: remember it. */
  #isRepeatedRefusal(code) {
    return code === 1006 && this.#refusal !== null && this.#refusal.isFinal;
  }

  #retry(code, reason) {
    if (this.#attempt >= RETRIES_MAX) {
      this.#fail({ code: "unreachable", message: reason || "The gateway cannot be reached.", ...this.#refusal });
      return;
    }
    const patienceMs = 1000 * (this.#refusal?.retryAfter ?? 0);
    const delayMs = Math.max(patienceMs, backoffMs(this.#attempt, Math.random()));
    this.#attempt += 1;
    this.#startTimer("retry", delayMs, () => this.#connect());
    const error = this.#refusal && { ...this.#refusal };
    this.#emit("reconnecting", { attempt: this.#attempt, delayMs, closeCode: code, error });
    this.#update();
  }

  #hangUp() {
    const socket = this.#socket;
    this.#socket = null;
    this.#ready = false;
    this.#thinking = false;
    for (const name of ["open", "ping", "pong"]) this.#stopTimer(name);
    for (const id of this.#responses.keys()) this.#endAudio(id);
    this.#responses.clear();
    if (socket && socket.readyState < WebSocket.CLOSING) socket.close(1000);
  }

  #leave(reason) {
    if (!this.#wanted && this.#state === "idle") return;
    this.#wanted = false;
    this.#hangUp();
    this.#closeAudio();
    this.#error = null;
    this.#update();
    this.#emit("ended", { reason });
    this.#settle();
  }

  #fail(error) {
    const { retryAfter = null, closeCode = null } = error;
    const detail = { code: error.code, message: error.message, retryAfter, closeCode, isFatal: true };
    this.#refusal = { ...this.#refusal, ...detail, isFinal: true, at: performance.now() };
    this.#wanted = false;
    this.#hangUp();
    this.#closeAudio();
    this.#error = detail;
    this.#update();
    this.#emit("error", detail);
    this.#settle();
  }

  #closeAudio() {
    globalThis.removeEventListener?.("online", this.#retryNow);
    this.#stopTimer("retry");
    this.#microphone?.close();
    this.#microphone = null;
    this.#frames = [];
    this.#speaker?.close();
    this.#speaker = null;
  }

  // Events of the gateway

  #handle(event) {
    switch (event.type) {
      case "connection.ready":
        return this.#onReady(event);
      case "response.audio.delta":
        return this.#play(event);
      case "response.created":
        this.#responses.set(event.response_id, new Set());
        this.#thinking = true;
        return undefined;
      case "response.audio.done":
        return this.#speaker?.end(event.item_id);
      case "response.done":
        this.#endAudio(event.response_id);
        this.#responses.delete(event.response_id);
        this.#dropped.delete(event.response_id);
        this.#thinking &&= event.status === "cancelled"; // the response to a later question is pending
        return undefined;
      case "playback.flush":
        return this.#flush(event);
      case "input_audio_buffer.speech_started":
        this.#thinking = false;
        return this.#emit("speech", { speaking: true, itemId: event.item_id });
      case "input_audio_buffer.speech_stopped":
        return this.#emit("speech", { speaking: false, itemId: event.item_id });
      case "input_audio_buffer.committed":
        this.#thinking = true;
        return undefined;
      case "conversation.item.input_audio_transcription.delta":
        return this.#tellWords("user", event.item_id, event.delta);
      case "conversation.item.input_audio_transcription.completed":
        return this.#tellAll("user", event.item_id, event.transcript);
      case "response.audio_transcript.delta":
        return this.#tellWords("assistant", event.item_id, event.delta, event.response_id);
      case "response.audio_transcript.done":
        return this.#tellAll("assistant", event.item_id, event.transcript, event.response_id);
      case "context.injected": {
        const { outcome, waited_ms: waitedMs, stale = false, passages } = event;
        return this.#emit("context", { outcome, waitedMs, stale, passages });
      }
      case "session.expiring":
        return this.#emit("expiring", { secondsLeft: event.seconds_left });
      case "session.waiting":
        return this.#emit("waiting", { seconds: event.seconds });
      case "session.draining":
        return this.#keepResume(event.resume_token);
      case "pong":
        return this.#onPong(event.id);
      case "error":
        return this.#onError(event.error);
      default:
        return undefined;
    }
  }

  #onReady({ session_id: sessionId, resume_token: token, expires_at: expiresAt }) {
    this.#ready = true;
    this.#attempt = 0;
    this.#refusal = null;
    const resumed = this.#resumeToken !== null;
    this.#stopTimer("open");
    this.#keepResume(token);
    for (const frame of this.#frames.splice(0)) this.#socket.send(frame);
    this.#schedulePing(PING_FIRST_MS);
    this.#emit("ready", { sessionId, expiresAt: new Date(1000 * expiresAt), resumed });
    this.#settle();
  }

  #onError({ code, message, retry_after: retryAfter = null }) {
    if (this.#ready) {
      this.#emit("error", { code, message, retryAfter, closeCode: null, isFatal: false });
    } else {
      this.#refusal = { code, message, retryAfter, at: performance.now() };
    }
  }

  #tellWords(role, itemId, delta, responseId = null) {
    const text = (this.#texts.get(itemId) ?? "") + delta;
    this.#texts.set(itemId, text);
    this.#emit("transcript", { role, itemId, responseId, text, isFinal: false });
  }

  #tellAll(role, itemId, text, responseId = null) {
    this.#texts.delete(itemId);
    this.#emit("transcript", { role, itemId, responseId, text, isFinal: true });
  }

  // Audio output

  #play({ item_id: itemId, response_id: responseId, delta }) {
    if (this.#dropped.has(responseId)) return;
    this.#responses.get(responseId)?.add(itemId);
    this.#speaker?.push(itemId, decodeBase64(delta));
  }

  #endAudio(responseId) {
    for (const itemId of this.#responses.get(responseId) ?? []) this.#speaker?.end(itemId);
  }

  async #flush({ item_id: itemId }) {
    const stopped = await this.#speaker?.flush(itemId);
    const where = stopped?.itemId ? stopped : { itemId, playedMs: 0 };
    this.#reporter.final(where.itemId, where.playedMs);
    this.#emit("cut", { by: "gateway", ...where });
    this.#update();
  }

  #onPlayback({ type, itemId, playedMs, queuedMs, level, latencyMs, underruns }) {
    this.#thinking &&= type !== "playing";
    this.#emit("level", { output: level });
    if (type !== "flushed") {
      // Rendered audio is audible a little later; at a flush it still plays to its end.
      const heardMs = type === "silent" ? playedMs : Math.max(0, playedMs - latencyMs);
      this.#reporter.running(itemId, heardMs, performance.now(), type === "silent");
      this.#emit("playback", { type, itemId, playedMs: heardMs, queuedMs, underruns });
    }
    this.#update();
  }

  #report(itemId, playedMs, flushed) {
    const event = { type: "playback.position", item_id: itemId, played_ms: Math.round(playedMs * 10) / 10 };
    this.#send(flushed ? { ...event, flushed: true } : event);
  }

  // Audio input

  async #openMicrophone() {
    const opened = new Microphone(this.#options, {
      frame: (pcm, level) => this.#onFrame(opened, pcm, level),
      lost: () => this.#onMicrophoneLost(opened),
    });
    try {
      await opened.open();
    } catch (error) {
      opened.close();
      this.#refusedMicrophone = !this.#microphone;
      this.#emit("microphone", { state: this.microphone, reason: microphoneReason(error) });
      return;
    }
    if (!this.#wanted) {
      opened.close();
      return;
    }
    this.#microphone?.close();
    this.#microphone = opened;
    this.#refusedMicrophone = false;
    opened.mute(this.#muted);
    this.#emit("microphone", { state: this.microphone });
  }

  /** The device was unplugged, or the user withdrew the permission. */
  #onMicrophoneLost(source) {
    if (source !== this.#microphone) return;
    source.close();
    this.#microphone = null;
    this.#refusedMicrophone = true;
    this.#emit("microphone", { state: this.microphone, reason: "missing" });
  }

  #onFrame(source, pcm, level) {
    if (source !== this.#microphone) return;
    this.#emit("level", { input: this.#muted ? 0 : level });
    if (this.#muted) return;
    if (!this.#ready) {
      this.#frames.push(pcm);
      if (this.#frames.length > FRAMES_KEPT) this.#frames.shift();
    } else if (this.#socket.bufferedAmount < UNSENT_BYTES_MAX) {
      this.#socket.send(pcm);
    }
  }

  // Helpers

  #send(event) {
    if (this.#ready && this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(event));
  }

  #schedulePing(afterMs = PING_EVERY_MS) {
    this.#startTimer("ping", afterMs, () => {
      const socket = this.#socket;
      this.#send({ type: "ping", id: Math.round(performance.now()) });
      this.#startTimer("pong", PONG_WITHIN_MS, () => this.#lose(socket));
    });
  }

  #onPong(sentAt) {
    this.#stopTimer("pong");
    this.#emit("latency", { roundTripMs: Math.max(0, Math.round(performance.now() - sentAt)) });
    this.#schedulePing();
  }

  /** The connection does not respond any more: treat it as closed, before the operating system notices. */
  #lose(socket) {
    this.#onClose(socket, { code: 1006, reason: "" });
  }

  #keepResume(token) {
    this.#resumeToken = token;
    this.#options.resumeStore?.set(token);
  }

  #forgetResume() {
    this.#resumeToken = null;
    this.#options.resumeStore?.set(null);
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
    if (!this.#ready) return "connecting";
    if (this.#speaker?.isPlaying) return "speaking";
    return this.#thinking ? "thinking" : "listening";
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  #startTimer(name, ms, action) {
    this.#stopTimer(name);
    const timer = setTimeout(() => {
      this.#timers.delete(name);
      action();
    }, ms);
    this.#timers.set(name, timer);
  }

  #stopTimer(name) {
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }
}

const ENDED_BY_OPERATOR = "Session ended by an operator"; // the beginning of a close's reason
const FINAL_CODES = { 4001: "resumed_elsewhere", 4002: "budget_exhausted", 4003: "plan_required" };

/** The loudspeaker: its context runs at the protocol's rate, so that positions are exact; the browser resamples. */
class Speaker {
  #options;
  #tell;
  #context = null;
  #node = null;
  #tickets = new Map();
  #ticket = 0;
  output = null;
  isPlaying = false;

  constructor(options, tell) {
    this.#options = options;
    this.#tell = tell;
  }

  async open() {
    if (!this.#context) {
      const context = (this.#context = new AudioContext({ sampleRate: RATE, latencyHint: "interactive" }));
      // Before the first await: Safari allows audio only within the click, and otherwise waits for the next click.
      context.resume().catch(() => {});
      await context.audioWorklet.addModule(new URL("voice-playback.js", this.#options.workletBase));
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

/** The microphone, in a context at the device's own rate: some browsers refuse two rates in one context. */
class Microphone {
  #options;
  #tell;
  #stream = null;
  #context = null;

  constructor(options, tell) {
    this.#options = options;
    this.#tell = tell;
  }

  /** Throws the errors of getUserMedia. */
  async open() {
    if (!navigator.mediaDevices) throw new DOMException("not a secure page", "SecurityError");
    const { deviceId } = this.#options;
    const audio = { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true };
    if (deviceId) audio.deviceId = { exact: deviceId };
    this.#stream = await navigator.mediaDevices.getUserMedia({ audio });
    for (const track of this.#stream.getTracks()) track.onended = () => this.#tell.lost();
    const context = (this.#context = new AudioContext({ latencyHint: "interactive" }));
    await context.audioWorklet.addModule(new URL("voice-capture.js", this.#options.workletBase));
    const node = new AudioWorkletNode(context, "voice-trio-capture", { numberOfOutputs: 1 });
    node.port.onmessage = ({ data }) => this.#tell.frame(data.pcm, data.level);
    // Connected to the destination, to which it adds silence: some browsers run connected nodes only.
    context.createMediaStreamSource(this.#stream).connect(node).connect(context.destination);
    await context.resume();
  }

  mute(muted) {
    for (const track of this.#stream?.getAudioTracks() ?? []) track.enabled = !muted;
  }

  close() {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#context?.close().catch(() => {});
    this.#stream = this.#context = null;
  }
}

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

/** The delay before attempt `attempt` (from 0): half of a doubling time, plus `random` (0 to 1) of that half. */
export function backoffMs(attempt, random) {
  const whole = Math.min(RETRY_MOST_MS, RETRY_FIRST_MS * 2 ** attempt);
  return whole / 2 + (random * whole) / 2;
}

/** Base64 as an ArrayBuffer. */
export function decodeBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text).buffer;
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i += 1) bytes[i] = binary.charCodeAt(i);
  return bytes.buffer;
}

/** `denied`, `missing`, `busy`, `insecure` or `failed`: the reason for having no microphone. */
export function microphoneReason({ name }) {
  const reasons = {
    NotAllowedError: "denied",
    NotFoundError: "missing",
    OverconstrainedError: "missing",
    NotReadableError: "busy",
    SecurityError: "insecure",
  };
  return reasons[name] ?? "failed";
}

/** An earlier refusal with the rest of its `retryAfter`; null once it is too old. */
function recent(refusal) {
  const age = performance.now() - (refusal?.at ?? Number.NEGATIVE_INFINITY);
  if (age > REFUSAL_REMEMBERED_MS) return null;
  const { retryAfter } = refusal;
  return { ...refusal, retryAfter: retryAfter && Math.max(1, Math.ceil(retryAfter - age / 1000)), at: performance.now() };
}

function defaultUrl() {
  const url = new URL("/v1/ws/voice", import.meta.url);
  url.protocol = url.protocol.replace("http", "ws");
  return url.href;
}
