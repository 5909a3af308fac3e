/** AudioContexts that browsers suspend, interrupt or block: their state, and when they are resumed. */

import { Timers } from "./timers.js";

const OPENING_MS_MAX = 300; // a context that may play is running by then
const OPENING_MS_MAX_ACTIVE = 1500; // after a gesture, where only a slow device delays it
const WAKE_MS_MAX = 1000; // a blocked `resume` settles only at the next gesture
const FROZEN_MS = 400; // a running context advances its clock each 128 samples
const LOAD_MS_MAX = 15_000; // as long as a connection may take to open
/** After these events browsers allow a page to resume its audio. */
const GESTURES = ["pointerdown", "pointerup", "touchend", "keydown"];

const UNREACHABLE = "The gateway cannot be reached.";

/** Keeps one AudioContext running. `changed()` is called when `state` has changed. */
export class ContextKeeper {
  #context;
  #changed;
  #timers = new Timers();
  #hasRun = false;
  #isOverdue = false;
  #isChecked = false;
  #state = "closed";
  #onStateChange = () => {
    if (this.#context.state === "suspended" && this.#hasRun) this.wake();
    this.#look();
  };

  constructor(context, changed) {
    this.#context = context;
    this.#changed = changed;
    context.addEventListener("statechange", this.#onStateChange);
    const hasGesture = globalThis.navigator?.userActivation?.hasBeenActive ?? false;
    this.#timers.start("opening", hasGesture ? OPENING_MS_MAX_ACTIVE : OPENING_MS_MAX, () => {
      this.#isOverdue = true;
      this.#look();
    });
    this.wake(); // at once: Safari allows audio only within the click, and otherwise waits for the next one
    queueMicrotask(() => this.#look());
  }

  /** `running`, `suspended`, `blocked`, `interrupted` or `closed`; also `closed` while it opens. */
  get state() {
    return this.#state;
  }

  /** Whether the browser keeps it from running. */
  get isStopped() {
    return !["running", "closed"].includes(this.#state);
  }

  /** Resume it if it can be. Resolves to whether it runs, within a second. */
  async wake() {
    const { state } = this.#context;
    if (state === "closed") return false;
    if (state === "running") {
      this.#thaw();
      return true;
    }
    await within(WAKE_MS_MAX, this.#context.resume().catch(() => {}));
    return this.#context.state === "running";
  }

  /** Watch it no longer; the context is closed by its owner. */
  release() {
    this.#timers.stop("opening");
    this.#timers.stop("thaw");
    this.#context.removeEventListener("statechange", this.#onStateChange);
    this.#state = "closed";
  }

  /** After an interruption Safari may call a context running whose clock stands still; only a restart helps. */
  #thaw() {
    if (this.#isChecked) return;
    this.#isChecked = true;
    const before = this.#context.currentTime;
    this.#timers.start("thaw", FROZEN_MS, async () => {
      this.#isChecked = false;
      if (this.#context.state !== "running" || this.#context.currentTime !== before) return;
      await this.#context.suspend().catch(() => {});
      await this.wake();
    });
  }

  #look() {
    this.#hasRun ||= this.#context.state === "running";
    const state = contextState(this.#context.state, this.#hasRun, this.#isOverdue);
    if (state === this.#state) return;
    this.#state = state;
    this.#changed();
  }
}

/**
 * The state for the page, of an AudioContext's own `state`. Suspended before it ever ran, it is blocked by the autoplay
 * policy. Safari adds `interrupted`: by a call, an assistant or a locked screen.
 */
export function contextState(state, hasRun, isOverdue) {
  if (state !== "suspended") return state;
  if (hasRun) return "suspended";
  return isOverdue ? "blocked" : "closed";
}

/** Call `wake()` at gestures and when the page is shown again. Returns the function that ends it. */
export function whenPageReturns(wake) {
  if (!globalThis.document) return () => {};
  const shown = () => document.visibilityState === "visible" && wake();
  const removals = [];
  const on = (target, type, listener) => {
    const options = { capture: true, passive: true };
    target.addEventListener(type, listener, options);
    removals.push(() => target.removeEventListener(type, listener, options));
  };
  for (const type of GESTURES) on(document, type, wake);
  on(document, "visibilitychange", shown);
  on(globalThis, "pageshow", shown);
  on(globalThis, "focus", shown);
  return () => removals.forEach((remove) => remove());
}

/** An error for the page: `code` as in VoiceError. */
export class SoundError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/**
 * Load a worklet. Throws a SoundError: `unreachable` (worth another attempt), `worklet_missing` or `audio_unavailable`.
 * `attempt` counts from 0: a context remembers that an address failed, so that each attempt needs another one.
 */
export async function loadWorklet(context, url, attempt) {
  if (!context.audioWorklet) throw new SoundError("audio_unavailable", "Sound needs a secure page (https).");
  const address = new URL(url, globalThis.location?.href); // Turbopack's URLs have no origin
  if (attempt) address.searchParams.set("attempt", attempt);
  try {
    await within(LOAD_MS_MAX, context.audioWorklet.addModule(address), new SoundError("unreachable", UNREACHABLE));
  } catch (error) {
    if (error instanceof SoundError) throw error;
    throw await loadError(error, address);
  }
}

/** The address of a worklet in the folder `base`: a whole URL, or a path at the page's origin. */
export function workletIn(base, name) {
  const folder = `${base}`.replace(/\/*$/, "/");
  return new URL(name, new URL(folder, globalThis.location.href));
}

/** The browser's error is the same for an unreachable server, a wrong address and a file that it cannot run. */
async function loadError(error, url) {
  const response = await fetch(url, { cache: "no-store" }).catch(() => null);
  if (!response || response.status >= 500) return new SoundError("unreachable", UNREACHABLE);
  const isScript = (response.headers.get("Content-Type") ?? "").includes("javascript");
  if (response.ok && isScript) {
    return new SoundError("audio_unavailable", `This browser cannot play sound here (${error.message}).`);
  }
  return new SoundError("worklet_missing", `There is no script at ${url}. Set the option workletBase to its folder.`);
}

/** The result of `promise`; after `ms` without one undefined, or a throw of `error` if it is given. */
async function within(ms, promise, error = null) {
  let timer;
  const isLate = new Promise((resolve, reject) => {
    timer = setTimeout(() => (error ? reject(error) : resolve()), ms);
  });
  try {
    return await Promise.race([promise, isLate]);
  } finally {
    clearTimeout(timer);
  }
}
