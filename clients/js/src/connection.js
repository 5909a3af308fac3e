/** The WebSocket to the gateway, over refusals, losses and resumptions. It knows no device and no page. */

import { Heartbeat } from "./heartbeat.js";
import { backoffMs, finalCode, stillRefused, RETRIES_MAX } from "./retry.js";
import { Timers } from "./timers.js";

const OPEN_WITHIN_MS = 15_000;
const FRAMES_KEPT = 125; // 5 s of microphone while connecting: as much as the gateway keeps
const UNSENT_BYTES_MAX = 256 * 1024; // about 5 s of microphone audio that the network has not taken; more is dropped

/** One conversation's connection; it is open, in this sense, while it tries again too. */
export class Connection {
  #options;
  #tell;
  #socket = null;
  #opened = null; // {wasReady}, another one for each `open`; null while closed
  #isReady = false;
  #frames = [];
  #attempt = 0;
  #resumeToken = null;
  #refusal = null;
  #timers = new Timers();
  #heartbeat = new Heartbeat((event) => this.send(event), {
    latency: (detail) => this.#tell.latency(detail),
    lost: () => this.#lose(this.#socket),
  });
  #retryNow = () => {
    if (this.#timers.has("retry")) this.#connect();
  };
  #onPageHide = () => {
    this.close();
    this.#tell.ended("left");
  };

  /**
   * `tell`: {prepare(), event(event), ready(detail), latency(detail), problem(error), lost(), reconnecting(detail),
   * fresh(), ended(reason), failed(error)}. After `ended` and `failed` it is closed. `prepare` precedes every attempt
   * to connect: after an error with the `code` "unreachable" there is another one, after any other none.
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
    this.#opened = { wasReady: false };
    this.#attempt = 0;
    globalThis.addEventListener?.("online", this.#retryNow);
    globalThis.addEventListener?.("pagehide", this.#onPageHide);
    this.#connect();
  }

  /** Close; it can be resumed unless `end` was called before. */
  close() {
    this.#opened = null;
    globalThis.removeEventListener?.("online", this.#retryNow);
    globalThis.removeEventListener?.("pagehide", this.#onPageHide);
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
    const opened = this.#opened;
    let token;
    try {
      token = await this.#prepare();
    } catch (error) {
      if (opened === this.#opened) this.#onUnprepared(error);
      return;
    }
    if (opened !== this.#opened || this.#socket) return;
    const url = new URL(this.#options.url ?? defaultUrl());
    if (this.#resumeToken) url.searchParams.set("resume", this.#resumeToken);
    const socket = (this.#socket = new WebSocket(url));
    this.#refusal = stillRefused(this.#refusal);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => socket.send(JSON.stringify({ type: "auth", token: token ?? "" }));
    socket.onmessage = ({ data }) => this.#onMessage(socket, data);
    socket.onclose = (event) => this.#onClose(socket, event);
    this.#timers.start("open", OPEN_WITHIN_MS, () => this.#lose(socket));
  }

  /** The token for one attempt; throws an error with a `code`. */
  async #prepare() {
    await this.#tell.prepare();
    const { token } = this.#options;
    try {
      return typeof token === "function" ? await token() : token;
    } catch (error) {
      throw Object.assign(new Error(`No token could be had (${error.message}).`), { code: "token_unavailable" });
    }
  }

  /** What is missing may come with the network; a token that failed at first is the page's own fault. */
  #onUnprepared({ code, message }) {
    const isPassing = code === "unreachable" || (code === "token_unavailable" && this.#opened.wasReady);
    if (isPassing) this.#retry(1006, "", { code, message, retryAfter: null });
    else this.fail({ code, message });
  }

  #onMessage(socket, data) {
    if (socket !== this.#socket || typeof data !== "string") return;
    const event = JSON.parse(data);
    if (event.type === "connection.ready") this.#onReady(event);
    else if (event.type === "session.draining") this.#keepResume(event.resume_token);
    else if (event.type === "pong") this.#heartbeat.pong(event.id);
    else if (event.type === "error" && !event.error.passage_id) this.#onError(event.error);
    this.#tell.event(event);
  }

  #onReady({ session_id: sessionId, resume_token: token, expires_at: expiresAt }) {
    this.#isReady = this.#opened.wasReady = true;
    this.#attempt = 0;
    this.#refusal = null;
    const resumed = this.#resumeToken !== null;
    this.#timers.stop("open");
    this.#keepResume(token);
    for (const frame of this.#frames.splice(0)) this.#socket.send(frame);
    this.#heartbeat.start();
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
    } else if (finalCode(code, reason) || (!wasReady && this.#isRepeatedRefusal(code))) {
      const name = finalCode(code, reason) ?? "closed";
      if (name === "resumed_elsewhere" || name === "ended_by_operator") this.#keepResume(null);
      this.fail({ code: name, message: reason, ...this.#refusal, closeCode: code });
    } else {
      this.#retry(code, reason);
    }
  }

  /** From the third refusal within a minute on, it is an HTTP response, which a page cannot read: remember it. */
  #isRepeatedRefusal(code) {
    return code === 1006 && this.#refusal !== null && this.#refusal.isFinal;
  }

  #retry(code, reason, problem = null) {
    const { wasReady } = this.#opened;
    const unreachable = { code: "unreachable", message: "The gateway cannot be reached.", retryAfter: null };
    const cause = this.#refusal ?? problem ?? (wasReady ? null : unreachable);
    if (this.#attempt >= RETRIES_MAX) {
      this.fail({ ...unreachable, ...(reason && { message: reason }), ...cause });
      return;
    }
    const patienceMs = 1000 * (this.#refusal?.retryAfter ?? 0);
    const delayMs = Math.max(patienceMs, backoffMs(this.#attempt, Math.random()));
    this.#attempt += 1;
    this.#timers.start("retry", delayMs, () => this.#connect());
    this.#tell.reconnecting({ attempt: this.#attempt, delayMs, closeCode: code, error: cause && { ...cause } });
  }

  #hangUp() {
    const socket = this.#socket;
    this.#socket = null;
    this.#isReady = false;
    this.#timers.stop("open");
    this.#heartbeat.stop();
    this.#tell.lost();
    if (socket && socket.readyState < WebSocket.CLOSING) socket.close(1000);
  }

  /** Close for good, with an error. */
  fail({ code, message, retryAfter = null, closeCode = null }) {
    const detail = { code, message, retryAfter, closeCode, isFatal: true };
    this.#refusal = closeCode && { ...detail, isFinal: true, at: performance.now() };
    this.close();
    this.#tell.failed(detail);
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
