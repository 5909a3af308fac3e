/** The events of the gateway, as the events of VoiceClient. It knows no socket and no device. */

/** The responses and texts of one conversation; `isThinking` while a response is awaited and not yet audible. */
export class Responses {
  #emit;
  #player;
  #items = new Map(); // response id → item ids, of responses that are not done
  #dropped = new Set(); // ids of responses that the user has interrupted
  #texts = new Map(); // item id → transcript so far
  isThinking = false;

  /** `emit(type, detail)`: an event for the page. `player`: {push(itemId, pcm), end(itemId), flush(itemId)}. */
  constructor(emit, player) {
    this.#emit = emit;
    this.#player = player;
  }

  /** Audio of the present responses that is still to come is not played; another response may be awaited now. */
  drop(isThinking) {
    this.isThinking = isThinking;
    for (const id of this.#items.keys()) this.#dropped.add(id);
  }

  /** The connection is lost: the rest of the responses will never come. */
  abandon() {
    this.isThinking = false;
    for (const id of this.#items.keys()) this.#endAudio(id);
    this.#items.clear();
  }

  /** One event of the gateway, as in docs/protocol.md. */
  handle(event) {
    switch (event.type) {
      case "response.audio.delta":
        return this.#play(event);
      case "response.created":
        this.#items.set(event.response_id, new Set());
        this.isThinking = true;
        return undefined;
      case "response.audio.done":
        return this.#player.end(event.item_id);
      case "response.done":
        return this.#onDone(event);
      case "playback.flush":
        return this.#player.flush(event.item_id);
      case "input_audio_buffer.speech_started":
        this.isThinking = false;
        return this.#emit("speech", { speaking: true, itemId: event.item_id });
      case "input_audio_buffer.speech_stopped":
        return this.#emit("speech", { speaking: false, itemId: event.item_id });
      case "input_audio_buffer.committed":
        this.isThinking = true;
        return undefined;
      case "conversation.item.input_audio_transcription.delta":
        return this.#tellWords("user", event.item_id, event.delta);
      case "conversation.item.input_audio_transcription.completed":
        return this.#tellAll("user", event.item_id, event.transcript);
      case "response.audio_transcript.delta":
        return this.#tellWords("assistant", event.item_id, event.delta, event.response_id);
      case "response.audio_transcript.done":
        return this.#tellAll("assistant", event.item_id, event.transcript, event.response_id);
      case "context.injected": {
        const { outcome, waited_ms: waitedMs, stale = false, passages } = event;
        return this.#emit("context", { outcome, waitedMs, stale, passages });
      }
      case "session.expiring":
        return this.#emit("expiring", { secondsLeft: event.seconds_left });
      case "session.recovering":
        return this.#emit("recovering", { recovering: true });
      case "session.recovered":
        return this.#emit("recovering", { recovering: false });
      case "session.waiting":
        return this.#emit("waiting", { seconds: event.seconds });
      default:
        return undefined;
    }
  }

  #onDone({ response_id: responseId, status }) {
    this.#endAudio(responseId);
    this.#items.delete(responseId);
    this.#dropped.delete(responseId);
    this.isThinking &&= status === "cancelled"; // the response to a later question is pending
  }

  #tellWords(role, itemId, delta, responseId = null) {
    const text = (this.#texts.get(itemId) ?? "") + delta;
    this.#texts.set(itemId, text);
    this.#emit("transcript", { role, itemId, responseId, text, isFinal: false });
  }

  #tellAll(role, itemId, text, responseId = null) {
    this.#texts.delete(itemId);
    this.#emit("transcript", { role, itemId, responseId, text, isFinal: true });
  }

  #play({ item_id: itemId, response_id: responseId, delta }) {
    if (this.#dropped.has(responseId)) return;
    this.#items.get(responseId)?.add(itemId);
    this.#player.push(itemId, decodeBase64(delta));
  }

  #endAudio(responseId) {
    for (const itemId of this.#items.get(responseId) ?? []) this.#player.end(itemId);
  }
}

/** Base64 as an ArrayBuffer. */
export function decodeBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text).buffer;
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i += 1) bytes[i] = binary.charCodeAt(i);
  return bytes.buffer;
}
