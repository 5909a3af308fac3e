/** Pings to the gateway. It knows no socket. */

import { Timers } from "./timers.js";

const PING_FIRST_MS = 500;
const PING_EVERY_MS = 15_000;
const PONG_WITHIN_MS = 10_000;

/** Notices a lost connection before the operating system does, and measures round trips. */
export class Heartbeat {
  #send;
  #tell;
  #timers = new Timers();

  /** `send(event)`: to the gateway. `tell`: {latency({roundTripMs}), lost()}. */
  constructor(send, tell) {
    this.#send = send;
    this.#tell = tell;
  }

  start() {
    this.#schedule(PING_FIRST_MS);
  }

  stop() {
    this.#timers.stop("ping");
    this.#timers.stop("pong");
  }

  /** The answer to the ping that was sent at `sentAt`. */
  pong(sentAt) {
    this.#timers.stop("pong");
    this.#tell.latency({ roundTripMs: Math.max(0, Math.round(performance.now() - sentAt)) });
    this.#schedule(PING_EVERY_MS);
  }

  #schedule(afterMs) {
    this.#timers.start("ping", afterMs, () => {
      this.#send({ type: "ping", id: Math.round(performance.now()) });
      this.#timers.start("pong", PONG_WITHIN_MS, () => this.#tell.lost());
    });
  }
}
