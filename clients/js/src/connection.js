/** The WebSocket to the gateway, over refusals, losses and resumptions. It knows no device and no page. */

import { Timers } from "./timers.js";

const PING_FIRST_MS = 500;
const PING_EVERY_MS = 15_000;
const PONG_WITHIN_MS = 10_000;
const OPEN_WITHIN_MS = 15_000;
const RETRIES_MAX = 8;
const RETRY_FIRST_MS = 500;
const RETRY_MOST_MS = 15_000;
const FRAMES_KEPT = 125; // 5 s of microphone while connecting: as much as the gateway keeps
const UNSENT_BYTES_MAX = 256 * 1024; // about 5 s of microphone audio that the network has not taken; more is dropped
const REFUSAL_REMEMBERED_MS = 60_000;
/** Close codes after which the client must not reconnect: the session is over, refused, or violated the protocol. */
const FINAL_CLOSES = new Set([1000, 1002, 1007, 1008, 1009, 4001, 4002, 4003]);
const ENDED_BY_OPERATOR = "Session ended by an operator"; // the beginning of a close's reason
const FINAL_CODES = { 4001: "resumed_elsewhere", 4002: "budget_exhausted", 4003: "plan_required" };

/** One conversation's connection; it is open, in this sense, while it tries again too. */
export class Connection {
  #options;
  #tell;
  #socket = null;
  #isOpen = false;
  #isReady = false;
  #frames = [];
  #attempt = 0;
  #resumeToken = null;
  #refusal = null;
  #timers = new Timers();
  #retryNow = () => {
    if (this.#timers.has("retry")) this.#connect();
  };

  /**
   * `tell`: {event(event), ready(detail), latency(detail), problem(error), lost(), reconnecting(detail), fresh(),
   * ended(reason), failed(error)}. After `ended` and `failed` it is closed.
   */
  constructor(options, tell) {
    this.#options = options;
    this.#tell = tell;
    this.#resumeToken = options.resumeStore?.get() ?? null;
  }

  get isReady() {
    return this.#isReady;
  }

  get canResume() {
    return this.#resumeToken !== null;
  }

  open() {
    this.#isOpen = true;
    this.#attempt = 0;
    globalThis.addEventListener?.("online", this.#retryNow);
    this.#connect();
  }

  /** Close; it can be resumed unless `end` was called before. */
  close() {
    this.#isOpen = false;
    globalThis.removeEventListener?.("online", this.#retryNow);
    this.#timers.stop("retry");
    this.#frames = [];
    this.#hangUp();
  }

  /** End the session, which cannot be resumed. */
  end() {
    this.send({ type: "session.end" });
    this.#keepResume(null);
  }

  /** Send a JSON event; returns false, and sends nothing, unless the gateway is ready. */
  send(event) {
    const isOpen = this.#isReady && this.#socket?.readyState === WebSocket.OPEN;
    if (isOpen) this.#socket.send(JSON.stringify(event));
    return isOpen;
  }

  /** Send microphone audio, or keep the last of it until the gateway is ready. */
  sendAudio(pcm) {
    if (!this.#isReady) {
      this.#frames.push(pcm);
      if (this.#frames.length > FRAMES_KEPT) this.#frames.shift();
    } else if (this.#socket.bufferedAmount < UNSENT_BYTES_MAX) {
      this.#socket.send(pcm);
    }
  }

  async #connect() {
    this.#timers.stop("retry");
    if (this.#socket) return;
    let token;
    try {
      token = typeof this.#options.token === "function" ? await this.#options.token() : this.#options.token;
    } catch (error) {
      this.#fail({ code: "token_unavailable", message: `No token could be had (${error.message}).` });
      return;
    }
    if (!this.#isOpen || this.#socket) return;
    const url = new URL(this.#options.url ?? defaultUrl());
    if (this.#resumeToken) url.searchParams.set("resume", this.#resumeToken);
    const socket = (this.#socket = new WebSocket(url));
    this.#refusal = recent(this.#refusal);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => socket.send(JSON.stringify({ type: "auth", token: token ?? "" }));
    socket.onmessage = ({ data }) => this.#onMessage(socket, data);
    socket.onclose = (event) => this.#onClose(socket, event);
    this.#timers.start("open", OPEN_WITHIN_MS, () => this.#lose(socket));
  }

  #onMessage(socket, data) {
    if (socket !== this.#socket || typeof data !== "string") return;
    const event = JSON.parse(data);
    if (event.type === "connection.ready") this.#onReady(event);
    else if (event.type === "session.draining") this.#keepResume(event.resume_token);
    else if (event.type === "pong") this.#onPong(event.id);
    else if (event.type === "error" && !event.error.passage_id) this.#onError(event.error);
    this.#tell.event(event);
  }

  #onReady({ session_id: sessionId, resume_token: token, expires_at: expiresAt }) {
    this.#isReady = true;
    this.#attempt = 0;
    this.#refusal = null;
    const resumed = this.#resumeToken !== null;
    this.#timers.stop("open");
    this.#keepResume(token);
    for (const frame of this.#frames.splice(0)) this.#socket.send(frame);
    this.#schedulePing(PING_FIRST_MS);
    this.#tell.ready({ sessionId, expiresAt: new Date(1000 * expiresAt), resumed });
  }

  #onError({ code, message, retry_after: retryAfter = null }) {
    if (this.#isReady) {
      this.#tell.problem({ code, message, retryAfter, closeCode: null, isFatal: false });
    } else {
      this.#refusal = { code, message, retryAfter, at: performance.now() };
    }
  }

  #onClose(socket, { code, reason }) {
    if (socket !== this.#socket) return;
    const wasReady = this.#isReady;
    this.#hangUp();
    if (code === 1000) {
      this.#keepResume(null);
      this.close();
      this.#tell.ended(reason || "ended");
    } else if (this.#refusal?.code === "resume_invalid" && this.#resumeToken) {
      // The session cannot be resumed: start a new one, once, instead of showing an error about tokens.
      this.#keepResume(null);
      this.#refusal = null;
      this.#tell.fresh();
      this.#connect();
    } else if (FINAL_CLOSES.has(code) || (!wasReady && this.#isRepeatedRefusal(code))) {
      const byOperator = reason.startsWith(ENDED_BY_OPERATOR);
      if (code === 4001 || byOperator) this.#keepResume(null);
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
    this.#timers.start("retry", delayMs, () => this.#connect());
    const error = this.#refusal && { ...this.#refusal };
    this.#tell.reconnecting({ attempt: this.#attempt, delayMs, closeCode: code, error });
  }

  #hangUp() {
    const socket = this.#socket;
    this.#socket = null;
    this.#isReady = false;
    for (const name of ["open", "ping", "pong"]) this.#timers.stop(name);
    this.#tell.lost();
    if (socket && socket.readyState < WebSocket.CLOSING) socket.close(1000);
  }

  #fail({ code, message, retryAfter = null, closeCode = null }) {
    const detail = { code, message, retryAfter, closeCode, isFatal: true };
    this.#refusal = { ...detail, isFinal: true, at: performance.now() };
    this.close();
    this.#tell.failed(detail);
  }

  #schedulePing(afterMs = PING_EVERY_MS) {
    this.#timers.start("ping", afterMs, () => {
      const socket = this.#socket;
      this.send({ type: "ping", id: Math.round(performance.now()) });
      this.#timers.start("pong", PONG_WITHIN_MS, () => this.#lose(socket));
    });
  }

  #onPong(sentAt) {
    this.#timers.stop("pong");
    this.#tell.latency({ roundTripMs: Math.max(0, Math.round(performance.now() - sentAt)) });
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
}

/** The delay before attempt `attempt` (from 0): half of a doubling time, plus `random` (0 to 1) of that half. */
export function backoffMs(attempt, random) {
  const whole = Math.min(RETRY_MOST_MS, RETRY_FIRST_MS * 2 ** attempt);
  return whole / 2 + (random * whole) / 2;
}

/** An earlier refusal with the rest of its `retryAfter`; null once it is too old. */
function recent(refusal) {
  const age = performance.now() - (refusal?.at ?? Number.NEGATIVE_INFINITY);
  if (age > REFUSAL_REMEMBERED_MS) return null;
  const { retryAfter } = refusal;
  return { ...refusal, retryAfter: retryAfter && Math.max(1, Math.ceil(retryAfter - age / 1000)), at: performance.now() };
}

/**
 * The gateway that served this file; or, once a bundler has put it among a page's own files, the page's origin.
 * The path is a variable: bundlers take a literal beside `import.meta.url` for a file to emit.
 */
function defaultUrl(path = "/v1/ws/voice") {
  const here = import.meta.url;
  const url = new URL(path, here.startsWith("http") ? here : globalThis.location.href);
  url.protocol = url.protocol.replace("http", "ws");
  return url.href;
}
