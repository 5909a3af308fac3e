/**
 * Finds when a voice ended. The gateway notices it only after a silence, and a person's wait began before. Pure.
 *
 * Two sources: the moment the gateway noticed, less the silence it waits for and the way there; and what the microphone
 * heard. The earlier one counts, so that no wait is shown shorter than a stopwatch would measure.
 */

const KEPT_MS = 20_000;
const SOFT_END_MS = 600; // detection holds on for so long at most; what was quiet for longer is a pause or noise
const UNKNOWN_SILENCE_MS = 8_000; // the longest that a model waits that decides by meaning
const LOUD_SHARE = 0.12; // of the loudest: 18 dB below a voice's peak is its last syllable
const ABOVE_NOISE = 2.5;
const RELEASE_MS = 200; // the client's levels fall no faster than to a third in this time
const RISE = 1.05; // a level this far above that fall is new sound
const TAIL_MS = 200; // of a last syllable after its loudest moment: that fall hides it for so long

export class VoiceEnd {
  #levels = []; // {at, level, isNew: whether more was heard than the fall of an earlier sound}
  silenceMs = null; // what the gateway waits for; null if it decides otherwise
  roundTripMs = 0;

  /** The level of the microphone, 0 to 1, at the time `at` in ms. */
  hear(level, at) {
    const last = this.#levels.at(-1);
    const isNew = !last || level > RISE * last.level * Math.exp((last.at - at) / RELEASE_MS);
    this.#levels.push({ at, level, isNew });
    while (this.#levels[0].at < at - KEPT_MS) this.#levels.shift();
  }

  /** The session's settings, as `session.updated` shows them. */
  configure(session) {
    const detection = session?.audio?.input?.turn_detection;
    this.silenceMs = detection?.type === "server_vad" ? (detection.silence_duration_ms ?? null) : null;
  }

  /** When the voice ended; the gateway's event arrived at `noticed`. Not before `began`. */
  before(noticed, began = Number.NEGATIVE_INFINITY) {
    const latest = noticed - this.roundTripMs - (this.silenceMs ?? 0);
    const earliest = Math.max(began, latest - (this.silenceMs === null ? UNKNOWN_SILENCE_MS : SOFT_END_MS));
    const heard = this.#lastLoud(earliest, latest, began);
    return Math.max(heard ?? latest, Math.min(began, noticed));
  }

  #lastLoud(earliest, latest, began) {
    const spoken = this.#levels.filter(({ at }) => at >= began && at <= latest).map(({ level }) => level);
    if (!spoken.length) return null;
    const quietest = this.#levels.map(({ level }) => level).sort((a, b) => a - b)[Math.floor(this.#levels.length / 20)];
    const loud = Math.max(LOUD_SHARE * Math.max(...spoken), ABOVE_NOISE * quietest);
    const heard = this.#levels.findLast(({ at, level, isNew }) => isNew && level >= loud && at >= earliest && at <= latest);
    return heard ? Math.min(latest, heard.at + TAIL_MS) : null;
  }
}

const AUDIBLE = 160; // of 32,768: 46 dB below full scale
const SAMPLES_PER_MS = 24;

/** Ms of inaudible audio at the beginning of PCM16, all of it if nothing is audible. */
export function quietMs(buffer) {
  const samples = new Int16Array(buffer, 0, buffer.byteLength >> 1);
  const at = samples.findIndex((sample) => Math.abs(sample) > AUDIBLE);
  return (at < 0 ? samples.length : at) / SAMPLES_PER_MS;
}
