/** The audio devices that the browser names. It opens none. */

/** Lists devices, and tells when they change. */
export class Devices {
  #tell;
  #list = NONE;
  #look = () => this.list(true);

  /** `tell(list, haveChanged)`: as `VoiceDevices` in voice.d.ts, and whether a device came or went. */
  constructor(tell) {
    this.#tell = tell;
  }

  /** The newest list; empty before `list`. */
  get known() {
    return this.#list;
  }

  watch() {
    globalThis.navigator?.mediaDevices?.addEventListener?.("devicechange", this.#look);
  }

  unwatch() {
    globalThis.navigator?.mediaDevices?.removeEventListener?.("devicechange", this.#look);
  }

  /** List them now. Browsers give names and ids only once the microphone is allowed. */
  async list(haveChanged = false) {
    const found = (await globalThis.navigator?.mediaDevices?.enumerateDevices?.().catch(() => [])) ?? [];
    const canChooseOutput = Boolean(globalThis.AudioContext && "setSinkId" in AudioContext.prototype);
    this.#list = sortDevices(found, canChooseOutput);
    this.#tell(this.#list, haveChanged);
    return this.#list;
  }
}

const NONE = Object.freeze({ inputs: [], outputs: [] });

/** `found` as {inputs, outputs}, of {deviceId, label} each; without the browser's own choice, which is no device. */
export function sortDevices(found, canChooseOutput) {
  const of = (kind) =>
    found
      .filter((device) => device.kind === kind && device.deviceId && device.deviceId !== "default")
      .map(({ deviceId, label }) => ({ deviceId, label }));
  return { inputs: of("audioinput"), outputs: canChooseOutput ? of("audiooutput") : [] };
}

/** Whether the device `id` is missing from `devices`; false if the list is empty, as it is without a permission. */
export function isMissing(id, devices) {
  return Boolean(id) && devices.length > 0 && !devices.some(({ deviceId }) => deviceId === id);
}
