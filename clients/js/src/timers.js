/** Named timers: to start a name again replaces its timer. */
export class Timers {
  #timers = new Map();

  start(name, ms, action) {
    this.stop(name);
    const timer = setTimeout(() => {
      this.#timers.delete(name);
      action();
    }, ms);
    this.#timers.set(name, timer);
  }

  stop(name) {
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }

  has(name) {
    return this.#timers.has(name);
  }
}
