/** The states of a conversation. */

/** The states a conversation is in; see `VoiceClient.state`. */
export const STATES = Object.freeze(["idle", "connecting", "listening", "thinking", "speaking", "error"]);

/** The state that these facts amount to; `isThinking`: a response is awaited and not yet audible. */
export function stateOf(isWanted, error, isReady, isPlaying, isThinking) {
  if (!isWanted) return error ? "error" : "idle";
  if (!isReady) return "connecting";
  if (isPlaying) return "speaking";
  return isThinking ? "thinking" : "listening";
}
