/** All sound of a conversation: loudspeaker, microphone, devices and levels. It knows no socket. */

import { SoundError, whenPageReturns } from "./contexts.js";
import { Devices, isMissing } from "./devices.js";
import { Levels } from "./levels.js";
import { Microphone } from "./microphone.js";
import { Speaker } from "./speaker.js";

export class Sound {
  #options;
  #devices;
  #levels;
  #sinkId = null; // the loudspeaker in use, if it was chosen
  #unwatch = () => {};
  speaker;
  microphone;

  /**
   * `tell`: {frame(pcm), position(itemId, playedMs, isFinal), playback(detail), output(state), microphone(detail),
   * level({input, output}), devices(list)}.
   */
  constructor(options, tell) {
    this.#options = options;
    this.#levels = new Levels(tell.level);
    this.#devices = new Devices((list, haveChanged) => {
      if (haveChanged) this.#adapt(list);
      tell.devices(list);
    });
    this.microphone = new Microphone(options, {
      frame: tell.frame,
      level: (level) => this.#levels.input(level),
      changed: (detail) => {
        if (detail.state === "on" && !detail.reason) this.#devices.list(); // only now the browser names them
        tell.microphone(detail);
      },
    });
    this.speaker = new Speaker(options, {
      position: tell.position,
      playback: ({ level, ...detail }) => {
        this.#levels.output(level);
        tell.playback(detail);
      },
      changed: tell.output,
    });
  }

  get devices() {
    return this.#devices.known;
  }

  /** Open both, in a click. Throws a SoundError if the browser has no audio. */
  open() {
    const { audioSession } = globalThis.navigator ?? {};
    if (audioSession) audioSession.type = this.#options.microphone ? "play-and-record" : "playback";
    this.microphone.open();
    try {
      this.speaker.open();
    } catch ({ message }) {
      throw new SoundError("audio_unavailable", `This browser cannot play sound here (${message}).`);
    }
    this.#sinkId = this.#options.sinkId ?? null;
    if (this.#options.microphone) this.microphone.use();
    this.#levels.start();
    this.#devices.watch();
    this.#unwatch = whenPageReturns(() => this.wake());
  }

  /** Resume what the browser has stopped; resolves to whether audio plays. */
  wake() {
    this.microphone.wake();
    return this.speaker.wake();
  }

  listDevices() {
    return this.#devices.list();
  }

  async useSpeaker(sinkId) {
    this.#options.sinkId = sinkId;
    await this.speaker.use(sinkId);
    this.#sinkId = sinkId;
  }

  close() {
    this.#unwatch();
    this.#devices.unwatch();
    this.microphone.close();
    this.speaker.close();
    this.#levels.stop();
    const { audioSession } = globalThis.navigator ?? {};
    if (audioSession) audioSession.type = "auto";
  }

  /** Follow the devices that are plugged in: the chosen ones while they are there, else the browser's choice. */
  #adapt({ inputs, outputs }) {
    this.microphone.devicesChanged(inputs);
    const { sinkId } = this.#options;
    const wanted = isMissing(sinkId, outputs) ? "" : sinkId;
    if (!sinkId || wanted === this.#sinkId) return;
    this.#sinkId = wanted;
    this.speaker.use(wanted).catch(() => {}); // gone again: the next change of devices decides
  }
}
