/** Conversations that outlive the components that show them: one client each, and a snapshot of its state. No React. */

import { VoiceClient } from "./voice.js";

const GRACE_MS = 1000; // an unmounted component may be mounted again, as React's strict mode does
const TRANSCRIPTS_MAX = 200;
const SILENT = Object.freeze({ input: 0, output: 0 });
const conversations = new Map(); // name → SharedConversation

/** What is shown before a client exists, and by a server that renders the page. */
export const INITIAL = Object.freeze({
  state: "idle",
  error: null,
  microphone: "off",
  microphoneReason: null,
  output: "closed",
  transcripts: Object.freeze([]),
  context: null,
  expiresAt: null,
  secondsLeft: null,
  reconnecting: null,
  isRecovering: false,
  waitingSeconds: 0,
  devices: Object.freeze({ inputs: [], outputs: [] }),
  canResume: false,
});

/** The conversation of that name, one for all components. On a server each call makes another, never to be started. */
export function sharedConversation(name, makeClient = (options) => new VoiceClient(options)) {
  if (!globalThis.document) return new SharedConversation(name, makeClient);
  let shared = conversations.get(name);
  if (!shared) conversations.set(name, (shared = new SharedConversation(name, makeClient)));
  return shared;
}

class SharedConversation {
  #name;
  #makeClient;
  #client = null;
  #options = {};
  #holders = 0;
  #leaving = null;
  #listeners = new Set();
  #levelListeners = new Set();
  #snapshot = INITIAL;
  #places = new Map(); // item id → its place among the transcripts
  /** The newest loudness; the object stays the same. */
  levels = { ...SILENT };

  constructor(name, makeClient) {
    this.#name = name;
    this.#makeClient = makeClient;
  }

  /** The client; null before the first `hold`. */
  get client() {
    return this.#client;
  }

  get snapshot() {
    return this.#snapshot;
  }

  /** Options that changed since the last call count from the next connection on. A device chosen meanwhile stays. */
  configure(options) {
    const changed = Object.entries(options).filter(([name, value]) => value !== this.#options[name]);
    this.#options = options;
    if (changed.length) this.#client?.configure(Object.fromEntries(changed));
  }

  /** A component shows it. Returns the function that ends this; a second after the last one it is disconnected. */
  hold() {
    if (!this.#client) this.#listen((this.#client = this.#makeClient(this.#options)));
    conversations.set(this.#name, this);
    this.#holders += 1;
    clearTimeout(this.#leaving);
    let isHeld = true;
    return () => {
      if (isHeld) this.#release();
      isHeld = false;
    };
  }

  subscribe(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** `listener({input, output})`, at most 20 times a second. */
  subscribeLevels(listener) {
    this.#levelListeners.add(listener);
    return () => this.#levelListeners.delete(listener);
  }

  /** Start, or resume after an error or an unmount; nothing while no component could stop it. */
  async start() {
    if (!this.#holders || this.#client.isActive) return;
    const isOther = !this.#client.canResume;
    if (isOther) this.#places.clear();
    this.#change({ error: null, ...(isOther && { transcripts: INITIAL.transcripts, context: null }) });
    await this.#client.start();
  }

  /** Send a typed question; it appears among the transcripts. */
  sendText(text) {
    const isSent = this.#client?.sendText(text) ?? false;
    const itemId = `typed-${this.#places.size}`;
    if (isSent) this.#write({ role: "user", itemId, responseId: null, text, isFinal: true });
    return isSent;
  }

  #release() {
    this.#holders -= 1;
    if (this.#holders) return;
    this.#leaving = setTimeout(() => {
      this.#client.disconnect();
      if (!this.#client.canResume) conversations.delete(this.#name);
    }, GRACE_MS);
  }

  #listen(client) {
    const on = (type, change) => client.addEventListener(type, ({ detail }) => this.#change(change(detail)));
    this.#change({ canResume: client.canResume });
    on("state", ({ state }) => ({ state, ...this.#afterState(state), canResume: client.canResume }));
    on("error", (error) => ({ error, canResume: client.canResume }));
    on("microphone", ({ state, reason = null }) => ({ microphone: state, microphoneReason: reason }));
    on("output", ({ state }) => ({ output: state }));
    on("context", (context) => ({ context }));
    on("ready", ({ expiresAt }) => ({ expiresAt, secondsLeft: null, reconnecting: null, canResume: client.canResume }));
    on("expiring", ({ secondsLeft }) => ({ secondsLeft }));
    on("reconnecting", (reconnecting) => ({ reconnecting, isRecovering: false }));
    on("recovering", ({ recovering }) => ({ isRecovering: recovering }));
    on("waiting", ({ seconds }) => ({ waitingSeconds: seconds }));
    on("devices", (devices) => ({ devices }));
    client.addEventListener("speech", ({ detail }) => this.#place(detail.itemId));
    client.addEventListener("transcript", ({ detail }) => this.#write(detail));
    client.addEventListener("level", ({ detail }) => {
      Object.assign(this.levels, detail);
      for (const listener of this.#levelListeners) listener(detail);
    });
  }

  /** An answer that is audible is neither awaited nor failed. The end leaves transcripts, context and error. */
  #afterState(state) {
    const { error } = this.#snapshot;
    if (state === "speaking") return { waitingSeconds: 0, error: error?.isFatal ? error : null };
    if (state !== "idle" && state !== "error") return {};
    const { expiresAt, secondsLeft, reconnecting, isRecovering, waitingSeconds } = INITIAL;
    const { microphone } = this.#client;
    return { microphone, expiresAt, secondsLeft, reconnecting, isRecovering, waitingSeconds };
  }

  /** Items keep the order in which they began, though words of the user may come after those of the answer. */
  #place(itemId) {
    if (!this.#places.has(itemId)) this.#places.set(itemId, this.#places.size);
    return this.#places.get(itemId);
  }

  #write(entry) {
    const place = this.#place(entry.itemId);
    const others = this.#snapshot.transcripts.filter(({ itemId }) => itemId !== entry.itemId);
    const before = others.filter(({ itemId }) => this.#place(itemId) < place);
    const transcripts = [...before, entry, ...others.slice(before.length)].slice(-TRANSCRIPTS_MAX);
    this.#change({ transcripts, waitingSeconds: 0 });
  }

  #change(changes) {
    this.#snapshot = Object.freeze({ ...this.#snapshot, ...changes });
    for (const listener of this.#listeners) listener();
  }
}
