import type {
  MicrophoneReason,
  MicrophoneState,
  OutputState,
  Passage,
  VoiceDevices,
  VoiceError,
  VoiceEvents,
  VoiceOptions,
  VoiceState,
} from "./voice.js";

export type Transcript = VoiceEvents["transcript"];
export type Levels = VoiceEvents["level"];

export interface UseVoiceOptions extends VoiceOptions {
  /**
   * A name: components with the same name share one client, also one after another. Default "". Where users take turns
   * in one page, use the user's id, so that a conversation is never resumed for another user.
   */
  conversation?: string;
}

export interface Voice {
  state: VoiceState;
  isConnected: boolean;
  isListening: boolean;
  isSpeaking: boolean;
  /** The connection is lost and tried again; `reconnecting` says which attempt. */
  isReconnecting: boolean;
  reconnecting: VoiceEvents["reconnecting"] | null;
  /** The gateway has lost the model and connects to it again; the conversation goes on. */
  isRecovering: boolean;
  /** For how long nothing has come of an answer; 0 unless it takes 8 s or more. */
  waitingSeconds: number;
  /** A fatal one until the next start, another one until the next answer is audible. */
  error: VoiceError | null;
  microphone: MicrophoneState;
  microphoneReason: MicrophoneReason | null;
  /** Unless it is `running` or `closed`, show a button that calls `resumeAudio`. */
  output: OutputState;
  /** The newest 200 items of both sides in their order, typed questions among them. */
  transcripts: readonly Transcript[];
  /** The passages of the newest turn; `getPassage` opens one. */
  context: VoiceEvents["context"] | null;
  /** When the session ends; null unless connected. */
  expiresAt: Date | null;
  /** 60 and 10 before that; null before. */
  secondsLeft: number | null;
  devices: VoiceDevices;
  /** Whether `startConversation` would resume an earlier conversation. */
  canResume: boolean;
  /** The newest loudness of both sides, from 0 to 1: one object that changes in place, for animation frames. */
  readonly levels: Readonly<Levels>;
  /** Calls `listener` at most 20 times a second, without a render. For effects. Returns the function that ends it. */
  subscribeLevels(listener: (levels: Levels) => void): () => void;
  /** Loudness from 0 to 1 of the louder side. Reading it renders the component up to 10 times a second. */
  readonly audioLevel: number;
  /** Start, or resume. Call it from a click. */
  startConversation(): Promise<void>;
  /** End; the conversation cannot be resumed. */
  stopConversation(): void;
  /** Disconnect; `startConversation` can resume within an hour. Unmounting does the same after a second. */
  disconnect(): void;
  interrupt(): void;
  sendText(text: string): boolean;
  mute(muted?: boolean): void;
  /** Let stopped or blocked audio run again; call it from a click. Resolves to whether it plays. */
  resumeAudio(): Promise<boolean>;
  /** Device ids of `devices`; "" for the browser's choice. */
  selectDevices(chosen: { input?: string; output?: string }): Promise<void>;
  getPassage(id: string): Promise<Passage>;
}

export declare function useVoice(
  options?: UseVoiceOptions,
  on?: { [K in keyof VoiceEvents]?: (detail: VoiceEvents[K]) => void },
): Voice;
