// What the JavaScript clients under test share, in Node and in pages: a log of raw server events that can be waited on,
// and how one speaks.

const PIECE_MS = 40;
const PACE = 3.0; // times as fast as it was spoken: a test has not all day
const BYTES_PER_MS = 48;

export class Listener {
  events = [];
  errors = [];
  #waiting = [];

  note(event) {
    this.events.push(event);
    for (const look of [...this.#waiting]) look();
  }

  complain(error) {
    this.errors.push(String(error?.stack ?? error?.error?.message ?? JSON.stringify(error)));
  }

  // Resolves with the index of the first event of a type from number `after` on.
  hears(type, after = 0) {
    return new Promise((resolve) => {
      const look = () => {
        const at = this.events.findIndex((event, index) => index >= after && event.type === type);
        if (at < 0) return false;
        this.#waiting = this.#waiting.filter((other) => other !== look);
        resolve(at);
        return true;
      };
      if (!look()) this.#waiting.push(look);
    });
  }

  report(more = {}) {
    return { events: this.events, errors: this.errors, ...more };
  }
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// `append` takes bytes, piece by piece, at a steady pace.
export async function speak(pcm, append) {
  const size = PIECE_MS * BYTES_PER_MS;
  for (let at = 0; at < pcm.length; at += size) {
    append(pcm.subarray(at, at + size));
    await pause(PIECE_MS / PACE);
  }
}
