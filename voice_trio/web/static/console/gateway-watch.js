/** Whether the gateway answers, and when it does again. */

const EVERY_MS = 3000;
const WITHIN_MS = 3000;

/** Whether it answers now. */
export async function isReachable() {
  try {
    const signal = AbortSignal.timeout?.(WITHIN_MS);
    return (await fetch("/livez", { cache: "no-store", signal })).ok;
  } catch {
    return false;
  }
}

export class GatewayWatch {
  #timer = 0;
  #onBack;
  #look = async () => {
    clearTimeout(this.#timer);
    const isBack = await isReachable();
    if (!this.#timer) return; // stopped meanwhile
    if (isBack) {
      this.stop();
      this.#onBack();
    } else {
      this.#timer = setTimeout(this.#look, EVERY_MS);
    }
  };

  constructor(onBack) {
    this.#onBack = onBack;
  }

  get isOn() {
    return this.#timer !== 0;
  }

  start() {
    if (this.isOn) return;
    this.#timer = setTimeout(this.#look, EVERY_MS);
    addEventListener("online", this.#look);
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    removeEventListener("online", this.#look);
  }
}
