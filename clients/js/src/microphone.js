/** The microphone of a conversation. It knows no socket; its audio goes to whatever it was given. */

/** The microphone over changes of the device: its state, its mute, and the audio of the current device only. */
export class Microphone {
  #options;
  #tell;
  #device = null;
  #isOpen = false;
  #muted = false;
  #refused = false;

  /** `tell`: {frame(pcm), level(level), changed({state, reason})}. */
  constructor(options, tell) {
    this.#options = options;
    this.#tell = tell;
  }

  /** `off`, `on`, `muted` or `refused`. */
  get state() {
    if (this.#device) return this.#muted ? "muted" : "on";
    return this.#refused ? "refused" : "off";
  }

  /** A refusal of an earlier conversation is forgotten; a device is opened by `use`. */
  open() {
    this.#isOpen = true;
    this.#refused = false;
  }

  /** Open the device of `options.deviceId` in place of the present one, which stays if this fails. */
  async use() {
    const opened = new MicrophoneDevice(this.#options, {
      frame: (pcm, level) => this.#onFrame(opened, pcm, level),
      lost: () => this.#onLost(opened),
    });
    try {
      await opened.open();
    } catch (error) {
      opened.close();
      this.#refused = !this.#device;
      this.#tellState(microphoneReason(error));
      return;
    }
    if (!this.#isOpen) {
      opened.close();
      return;
    }
    this.#device?.close();
    this.#device = opened;
    this.#refused = false;
    opened.mute(this.#muted);
    this.#tellState();
  }

  mute(muted) {
    this.#muted = muted;
    this.#device?.mute(muted);
    this.#tellState();
  }

  close() {
    this.#isOpen = false;
    this.#device?.close();
    this.#device = null;
  }

  /** The device was unplugged, or the user withdrew the permission. */
  #onLost(source) {
    if (source !== this.#device) return;
    source.close();
    this.#device = null;
    this.#refused = true;
    this.#tellState("missing");
  }

  #onFrame(source, pcm, level) {
    if (source !== this.#device) return;
    this.#tell.level(this.#muted ? 0 : level);
    if (!this.#muted) this.#tell.frame(pcm);
  }

  #tellState(reason) {
    this.#tell.changed(reason ? { state: this.state, reason } : { state: this.state });
  }
}

/** One device, in a context at its own rate: some browsers refuse two rates in one context. */
class MicrophoneDevice {
  #options;
  #tell;
  #stream = null;
  #context = null;

  constructor(options, tell) {
    this.#options = options;
    this.#tell = tell;
  }

  /** Throws the errors of getUserMedia. */
  async open() {
    if (!navigator.mediaDevices) throw new DOMException("not a secure page", "SecurityError");
    const { deviceId } = this.#options;
    const audio = { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true };
    if (deviceId) audio.deviceId = { exact: deviceId };
    this.#stream = await navigator.mediaDevices.getUserMedia({ audio });
    for (const track of this.#stream.getTracks()) track.onended = () => this.#tell.lost();
    const context = (this.#context = new AudioContext({ latencyHint: "interactive" }));
    await context.audioWorklet.addModule(captureUrl(this.#options.workletBase));
    const node = new AudioWorkletNode(context, "voice-trio-capture", { numberOfOutputs: 1 });
    node.port.onmessage = ({ data }) => this.#tell.frame(data.pcm, data.level);
    // Connected to the destination, to which it adds silence: some browsers run connected nodes only.
    context.createMediaStreamSource(this.#stream).connect(node).connect(context.destination);
    await context.resume();
  }

  mute(muted) {
    for (const track of this.#stream?.getAudioTracks() ?? []) track.enabled = !muted;
  }

  close() {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#context?.close().catch(() => {});
    this.#stream = this.#context = null;
  }
}

/** Bundlers emit a file for exactly this expression: a literal name and `import.meta.url`. */
function captureUrl(base) {
  return base ? new URL("voice-capture.js", base) : new URL("./voice-capture.js", import.meta.url);
}

/** `denied`, `missing`, `busy`, `insecure` or `failed`: the reason for having no microphone. */
export function microphoneReason({ name }) {
  const reasons = {
    NotAllowedError: "denied",
    NotFoundError: "missing",
    OverconstrainedError: "missing",
    NotReadableError: "busy",
    SecurityError: "insecure",
  };
  return reasons[name] ?? "failed";
}
