import type { VoiceError, VoiceEvents, VoiceOptions, VoiceState } from "./voice.js";

export interface Voice {
  state: VoiceState;
  isConnected: boolean;
  isListening: boolean;
  isSpeaking: boolean;
  error: VoiceError | null;
  /** Loudness from 0 to 1 of the side that is speaking. */
  audioLevel: number;
  startConversation(): Promise<void>;
  stopConversation(): void;
  interrupt(): void;
  sendText(text: string): boolean;
  mute(muted?: boolean): void;
}

export declare function useVoice(
  options?: VoiceOptions,
  on?: { [K in keyof VoiceEvents]?: (detail: VoiceEvents[K]) => void },
): Voice;
