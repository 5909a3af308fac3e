/** Types of voice.js. Times in ms unless named otherwise. */

export type VoiceState = "idle" | "connecting" | "listening" | "thinking" | "speaking" | "error";
/** `suspended`: the browser or the system has stopped it, for example during a call. */
export type MicrophoneState = "off" | "on" | "muted" | "suspended" | "refused";
export type MicrophoneReason = "denied" | "missing" | "busy" | "insecure" | "unreachable" | "failed";
/**
 * `blocked`: the browser waits for a gesture before it plays anything. `suspended`, `interrupted`: stopped while it
 * ran, the latter by the system (Safari). Unheard audio waits in all three, and plays once audio runs again. `closed`: no
 * conversation, or its audio is just being opened.
 */
export type OutputState = "running" | "suspended" | "blocked" | "interrupted" | "closed";
export type Role = "user" | "assistant";
export type ContextOutcome = "hidden" | "waited" | "local" | "late" | "none";

export interface VoiceOptions {
  /** The gateway's WebSocket; by default `/v1/ws/voice` on the origin of voice.js, if bundled on the page's origin. */
  url?: string;
  /** A token, or a function that makes one: called before each connection, so that tokens may be short-lived. */
  token?: string | (() => string | null | Promise<string | null>);
  /** False for a conversation in writing only. Default true. */
  microphone?: boolean;
  /** The microphone to use; see `navigator.mediaDevices.enumerateDevices`. */
  deviceId?: string;
  /** The loudspeaker to use, if the browser supports the choice. */
  sinkId?: string;
  /** How much audio is buffered before it plays; grows after underruns. Default 80. */
  jitterMs?: number;
  /** The folder of the two worklets, a whole URL or a path at the page's origin; by default beside voice.js. */
  workletBase?: string | URL;
  /** Stores the resume token over a reload, for example in sessionStorage. `set(null)` removes it. */
  resumeStore?: { get(): string | null; set(token: string | null): void };
}

export interface VoiceError {
  /**
   * As in the protocol; also `unreachable`, `closed`, `resumed_elsewhere`, `token_unavailable`, `audio_unavailable`
   * (this browser or page cannot play sound), `worklet_missing` (`workletBase` is wrong).
   */
  code: string;
  message: string;
  /** Seconds until another attempt may succeed. */
  retryAfter: number | null;
  closeCode: number | null;
  /** Whether the conversation is over. */
  isFatal: boolean;
}

export interface Passage {
  id: string;
  title: string;
  /** The document's own text: show it as text, never as HTML. */
  text: string;
}

export interface Position {
  itemId: string | null;
  playedMs: number;
}

export interface VoiceDevice {
  deviceId: string;
  label: string;
}

/** Empty until the microphone is allowed; `outputs` is always empty where the browser offers no choice. */
export interface VoiceDevices {
  inputs: VoiceDevice[];
  outputs: VoiceDevice[];
}

export interface VoiceEvents {
  state: { state: VoiceState; previous: VoiceState };
  ready: { sessionId: string; expiresAt: Date; resumed: boolean };
  /** The user began or stopped speaking. */
  speech: { speaking: boolean; itemId: string };
  /** `text` is all of the item so far. */
  transcript: { role: Role; itemId: string; responseId: string | null; text: string; isFinal: boolean };
  context: {
    outcome: ContextOutcome;
    waitedMs: number;
    stale: boolean;
    /** With an `id` unless the gateway keeps the texts back (`VOICE_SHOW_PASSAGES`): `getPassage` opens it. */
    passages: { title: string; source: string; id?: string }[];
  };
  playback: Position & { type: "playing" | "status" | "silent"; queuedMs: number; underruns: number };
  /** A response was interrupted after `playedMs`. */
  cut: Position & { by: "gateway" | "user" };
  /** Loudness of both sides from 0 to 1, smoothed; at most 20 a second, only while they change. */
  level: { input: number; output: number };
  output: { state: OutputState };
  /** After the microphone was allowed, and when a device comes or goes. */
  devices: VoiceDevices;
  microphone: { state: MicrophoneState; reason?: MicrophoneReason };
  latency: { roundTripMs: number };
  expiring: { secondsLeft: number };
  /** Nothing has come of the answer for so long; after 30 s an `error` follows. */
  waiting: { seconds: number };
  /** The connection to the model was lost (true) and is there again (false); the conversation goes on. */
  recovering: { recovering: boolean };
  /** `error`: the reason, where it is known: the gateway's last `error` event, or `unreachable` before the first `ready`. */
  reconnecting: {
    attempt: number;
    delayMs: number;
    closeCode: number;
    error: { code: string; message: string; retryAfter: number | null } | null;
  };
  /** The session could not be resumed; a new one has begun in its place. */
  fresh: Record<string, never>;
  ended: { reason: string };
  error: VoiceError;
  /** Every event of the gateway, unchanged; see docs/protocol.md and /v1/voice/schema.json. */
  event: { type: string; [field: string]: unknown };
}

export declare class VoiceClient extends EventTarget {
  constructor(options?: VoiceOptions);
  readonly state: VoiceState;
  readonly isActive: boolean;
  readonly isConnected: boolean;
  readonly microphone: MicrophoneState;
  readonly outputState: OutputState;
  readonly devices: VoiceDevices;
  readonly canResume: boolean;
  readonly output: AudioNode | null;
  readonly error: VoiceError | null;
  /** Call it from a click. Resolves once the gateway is ready or has refused; never rejects. */
  start(): Promise<void>;
  /** Change options; they count from the next connection on, those of devices from the next `start`. */
  configure(options: Partial<VoiceOptions>): void;
  /** End; the conversation cannot be resumed. */
  stop(): void;
  /** Disconnect; `start` can resume. */
  disconnect(): void;
  interrupt(): Promise<void>;
  sendText(text: string): boolean;
  /**
   * The text of a passage of the `context` event, kept once it is opened. Rejects with an `Error` that has a `code`:
   * `not_found` (of another connection, or forgotten), `not_allowed`, `bad_message` (too many at once), `unreachable`.
   */
  getPassage(id: string): Promise<Passage>;
  setLanguage(bcp47: string): void;
  mute(muted?: boolean): void;
  /** Let stopped or blocked audio run again; call it from a click. Resolves to whether it plays, within a second. */
  resumeAudio(): Promise<boolean>;
  listDevices(): Promise<VoiceDevices>;
  useMicrophone(deviceId?: string): Promise<void>;
  useSpeaker(deviceId: string): Promise<void>;
  addEventListener<K extends keyof VoiceEvents>(
    type: K,
    listener: (event: CustomEvent<VoiceEvents[K]>) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<K extends keyof VoiceEvents>(
    type: K,
    listener: (event: CustomEvent<VoiceEvents[K]>) => void,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
}

export declare const STATES: readonly VoiceState[];

/** Sends at most one position each 250 ms, and every final one. */
export declare class PositionReporter {
  constructor(send: (itemId: string, playedMs: number, isFinal: boolean) => void);
  running(itemId: string | null, playedMs: number, nowMs: number, isLast?: boolean): void;
  final(itemId: string, playedMs: number): void;
}
export declare function backoffMs(attempt: number, random: number): number;
export declare function decodeBase64(text: string): ArrayBuffer;
export declare function microphoneReason(error: { name: string; code?: unknown }): MicrophoneReason;
