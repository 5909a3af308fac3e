/** The loudness of both sides, for meters. It knows no device. */

const EVERY_MS = 50; // at most 20 a second
const RELEASE_MS = 200; // to a third of a peak: pauses between syllables do not fall to silence
const AUDIBLE_MIN = 0.001; // -60 dB

/** Rises at once, falls smoothly. `now` in ms. */
export class LevelMeter {
  #peak = 0;
  #at = 0;

  note(level, now) {
    this.#peak = Math.max(level, this.at(now));
    this.#at = now;
  }

  at(now) {
    const level = this.#peak * Math.exp(-(now - this.#at) / RELEASE_MS);
    return level < AUDIBLE_MIN ? 0 : level;
  }
}

/** Calls `tell({input, output})` while they change, at most 20 times a second. */
export class Levels {
  #tell;
  #input = new LevelMeter();
  #output = new LevelMeter();
  #told = { input: 0, output: 0 };
  #timer = null;

  constructor(tell) {
    this.#tell = tell;
  }

  start() {
    this.#timer ??= setInterval(() => this.#tick(performance.now()), EVERY_MS);
  }

  /** Both are silent from now on. */
  stop() {
    clearInterval(this.#timer);
    this.#timer = null;
    this.#input = new LevelMeter();
    this.#output = new LevelMeter();
    this.#tick(performance.now());
  }

  input(level) {
    this.#input.note(level, performance.now());
  }

  output(level) {
    this.#output.note(level, performance.now());
  }

  #tick(now) {
    const input = rounded(this.#input.at(now));
    const output = rounded(this.#output.at(now));
    if (input === this.#told.input && output === this.#told.output) return;
    this.#told = { input, output };
    this.#tell({ input, output });
  }
}

const rounded = (level) => Math.round(level * 1000) / 1000;
