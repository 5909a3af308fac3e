/** The microphone of a conversation. It knows no socket; its audio goes to whatever it was given. */

import { ContextKeeper, loadWorklet, workletIn } from "./contexts.js";

const GONE = new Set(["NotFoundError", "OverconstrainedError"]);

/** The microphone over changes of the device: its state, its mute, and the audio of the current device only. */
export class Microphone {
  #options;
  #tell;
  #device = null;
  #isOpen = false;
  #muted = false;
  #reason = null; // why there is none
  #isLost = false; // lost while the page could not open another
  #told = "off";

  /** `tell`: {frame(pcm), level(level), changed({state, reason})}. */
  constructor(options, tell) {
    this.#options = options;
    this.#tell = tell;
  }

  /** `off`, `on`, `muted`, `suspended` (the browser or the system stopped it) or `refused`. */
  get state() {
    if (this.#device && this.#muted) return "muted";
    if (this.#device) return this.#device.isStopped ? "suspended" : "on";
    if (this.#isLost) return "suspended";
    return this.#reason && this.#reason !== "unreachable" ? "refused" : "off";
  }

  /** A refusal of an earlier conversation is forgotten; a device is opened by `use`. */
  open() {
    this.#isOpen = true;
    this.#reason = null;
  }

  /** Open the device of `options.deviceId` in place of the present one, which stays if this fails; `quietly` then. */
  async use(quietly = false) {
    const opened = new MicrophoneDevice(this.#options.workletBase, {
      frame: (pcm, level) => this.#onFrame(opened, pcm, level),
      lost: () => this.#onLost(opened),
      changed: () => opened === this.#device && this.#tellState(),
    });
    try {
      await this.#openDevice(opened);
    } catch (error) {
      opened.close();
      if (this.#isOpen && !(quietly && this.#device)) this.#onFailed(error);
      return;
    }
    if (!this.#isOpen) {
      opened.close();
      return;
    }
    this.#device?.close();
    this.#device = opened;
    this.#isLost = false;
    this.#reason = null;
    opened.mute(this.#muted);
    this.#tellState();
  }

  mute(muted) {
    this.#muted = muted;
    this.#device?.mute(muted);
    this.#tellState();
  }

  /** Resume what the browser has stopped, or open another device after a loss. */
  wake() {
    if (this.#isLost && this.#isOpen) {
      this.#isLost = false;
      this.use();
    }
    this.#device?.wake();
  }

  /** The gateway is there: open the microphone that could not be opened without it. */
  retry() {
    if (this.#isOpen && this.#reason === "unreachable") this.use();
  }

  /** `inputs` are plugged in now: use the chosen one again after it was away, or one where there was none. */
  devicesChanged(inputs) {
    if (!this.#isOpen) return;
    const { deviceId } = this.#options;
    const isBack = this.#device && deviceId && this.#device.requestedId !== deviceId;
    const isChosen = isBack && inputs.some((input) => input.deviceId === deviceId);
    if (isChosen || (this.#reason === "missing" && inputs.length > 0)) this.use(true);
  }

  close() {
    this.#isOpen = false;
    this.#isLost = false;
    this.#device?.close();
    this.#device = null;
    this.#told = this.state;
  }

  /** The chosen device, or, if it is gone and there is no other, the browser's choice. */
  async #openDevice(opened) {
    const { deviceId } = this.#options;
    try {
      await opened.open(deviceId);
    } catch (error) {
      if (!deviceId || this.#device || !GONE.has(error.name)) throw error;
      await opened.open(undefined);
    }
  }

  #onFailed(error) {
    const reason = microphoneReason(error);
    if (!this.#device) this.#reason = reason;
    if (reason !== "unreachable") this.#tellState(reason);
  }

  /** The device was unplugged, its permission withdrawn, or the system took it. */
  #onLost(source) {
    if (source !== this.#device) return;
    source.close();
    this.#device = null;
    this.#isLost = true;
    this.#tellState();
    if (document.visibilityState === "visible") this.wake(); // else the page may open none: `wake` once it is shown
  }

  #onFrame(source, pcm, level) {
    if (source !== this.#device) return;
    this.#tell.level(this.#muted ? 0 : level);
    if (!this.#muted) this.#tell.frame(pcm);
  }

  #tellState(reason) {
    const { state } = this;
    if (state === this.#told && !reason) return;
    this.#told = state;
    this.#tell.changed(reason ? { state, reason } : { state });
  }
}

/** One device, in a context at its own rate: some browsers refuse two rates in one context. */
class MicrophoneDevice {
  #workletBase;
  #tell;
  #stream = null;
  #context = null;
  #keeper = null;
  requestedId = undefined;

  /** `tell`: {frame(pcm, level), lost(), changed()}. */
  constructor(workletBase, tell) {
    this.#workletBase = workletBase;
    this.#tell = tell;
  }

  /** Whether the browser has stopped its context, or the system has muted its track. */
  get isStopped() {
    return (this.#keeper?.isStopped ?? false) || (this.#stream?.getAudioTracks().some(({ muted }) => muted) ?? false);
  }

  /** Throws the errors of getUserMedia, or a SoundError. */
  async open(deviceId) {
    if (!navigator.mediaDevices) throw new DOMException("not a secure page", "SecurityError");
    const audio = { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true };
    if (deviceId) audio.deviceId = { exact: deviceId };
    this.requestedId = deviceId;
    this.#stream = await navigator.mediaDevices.getUserMedia({ audio });
    for (const track of this.#stream.getTracks()) {
      track.onended = () => this.#tell.lost();
      track.onmute = track.onunmute = () => this.#tell.changed();
    }
    const context = (this.#context = new AudioContext({ latencyHint: "interactive" }));
    this.#keeper = new ContextKeeper(context, this.#tell.changed);
    await loadWorklet(context, captureUrl(this.#workletBase), 0);
    const node = new AudioWorkletNode(context, "voice-trio-capture", { numberOfOutputs: 1 });
    node.port.onmessage = ({ data }) => this.#tell.frame(data.pcm, data.level);
    // Connected to the destination, to which it adds silence: some browsers run connected nodes only.
    context.createMediaStreamSource(this.#stream).connect(node).connect(context.destination);
  }

  wake() {
    this.#keeper?.wake();
  }

  mute(muted) {
    for (const track of this.#stream?.getAudioTracks() ?? []) track.enabled = !muted;
  }

  close() {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#keeper?.release();
    this.#context?.close().catch(() => {});
    this.#stream = this.#context = this.#keeper = null;
  }
}

/** Bundlers emit a file for exactly this expression: a literal name and `import.meta.url`. */
function captureUrl(base) {
  return base ? workletIn(base, "voice-capture.js") : new URL("./voice-capture.js", import.meta.url);
}

/** `denied`, `missing`, `busy`, `insecure`, `unreachable` (its worklet was not loaded) or `failed`. */
export function microphoneReason({ name, code }) {
  const reasons = {
    NotAllowedError: "denied",
    NotFoundError: "missing",
    OverconstrainedError: "missing",
    NotReadableError: "busy",
    SecurityError: "insecure",
  };
  return code === "unreachable" ? code : (reasons[name] ?? "failed");
}
