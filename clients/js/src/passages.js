/** Opens passages: the texts that an answer rests on. It knows no socket and no page. */

const ANSWER_WITHIN_MS = 10_000;
const OPENED_MAX = 50; // passages that are kept, so that they open again after a resume

/** Passages by id, as promises of {id, title, text}; the gateway is asked once for each that it has answered. */
export class Passages {
  #send;
  #promises = new Map(); // id → promise, oldest first
  #waiting = new Map(); // id → {resolve, reject, timer}

  /** `send(event)`: an event for the gateway; false if there is no connection. */
  constructor(send) {
    this.#send = send;
  }

  /** The passage of that id; rejects with an `Error` whose `code` is as in docs/protocol.md, or `unreachable`. */
  get(id) {
    const known = this.#promises.get(id);
    if (known) return known;
    const promise = new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#refuse(id, "unreachable", "The gateway did not answer."), ANSWER_WITHIN_MS);
      this.#waiting.set(id, { resolve, reject, timer });
    });
    this.#promises.set(id, promise);
    if (this.#promises.size > OPENED_MAX) this.#promises.delete(this.#promises.keys().next().value);
    if (!this.#send({ type: "passage.get", id })) this.abandon();
    return promise;
  }

  /** One event of the gateway; returns whether it was an answer for a passage. */
  handle(event) {
    if (event.type === "passage") {
      const { id, title, text } = event;
      this.#take(id)?.resolve({ id, title, text });
      return true;
    }
    const id = event.type === "error" && event.error.passage_id;
    if (!id) return false;
    this.#refuse(id, event.error.code, event.error.message);
    return true;
  }

  /** The connection is lost: no answer will come. */
  abandon() {
    for (const id of [...this.#waiting.keys()]) this.#refuse(id, "unreachable", "The connection was lost.");
  }

  #refuse(id, code, message) {
    const asked = this.#take(id);
    if (!asked) return;
    this.#promises.delete(id);
    asked.reject(Object.assign(new Error(message), { code }));
  }

  #take(id) {
    const asked = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (asked) clearTimeout(asked.timer);
    return asked;
  }
}
