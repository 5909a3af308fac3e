/**
 * The AudioWorklet of voice.js for the microphone: converts the device's audio into 24 kHz PCM16 in frames of 40 ms.
 * It knows no socket. Loaded by voice.js; the classes are exported for tests.
 *
 * It imports nothing: bundlers copy a worklet as it is. It is larger than 4 KiB: Vite writes smaller files into the
 * page as data: URLs, which a Content-Security-Policy with `script-src 'self'` refuses.
 */

export const RATE = 24_000;
export const FRAME_SAMPLES = 960; // 40 ms
const ZERO_CROSSINGS = 16; // of the windowed sinc, each side: -70 dB above 12 kHz for 48 kHz input
const PHASES = 256; // kernels for fractions of a sample; the nearest one is used

/** Any rate to any other, sample by sample, by a windowed sinc. Its delay is `delaySamples` samples of the input. */
export class Resampler {
  constructor(from, to) {
    this.step = from / to;
    const cutoff = Math.min(1, to / from) * 0.95;
    this.delaySamples = Math.ceil(ZERO_CROSSINGS / cutoff);
    this.taps = 2 * this.delaySamples;
    this.kernels = makeKernels(this.delaySamples, cutoff);
    this.history = new Float32Array(2 * this.taps); // each sample is stored twice, so that a window never wraps
    this.at = 0;
    this.wait = 0; // input samples until the next output is due
  }

  /** Input of one sample; calls `emit` with each output sample. */
  push(sample, emit) {
    this.history[this.at] = sample;
    this.history[this.at + this.taps] = sample;
    this.at = (this.at + 1) % this.taps;
    this.wait -= 1;
    while (this.wait < 0) {
      emit(this.read(this.wait + 1));
      this.wait += this.step;
    }
  }

  read(fraction) {
    const kernel = this.kernels[Math.round(fraction * PHASES)];
    let sum = 0;
    for (let i = 0; i < this.taps; i += 1) sum += kernel[i] * this.history[this.at + i];
    return sum;
  }
}

function makeKernels(half, cutoff) {
  return Array.from({ length: PHASES + 1 }, (_, phase) => {
    const kernel = new Float32Array(2 * half);
    let sum = 0;
    for (let i = 0; i < kernel.length; i += 1) {
      const x = i - (half - 1) - phase / PHASES;
      kernel[i] = cutoff * sinc(cutoff * x) * blackman(x / half);
      sum += kernel[i];
    }
    return kernel.map((weight) => weight / sum);
  });
}

const sinc = (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));
const blackman = (x) => (Math.abs(x) >= 1 ? 0 : 0.42 + 0.5 * Math.cos(Math.PI * x) + 0.08 * Math.cos(2 * Math.PI * x));

/** Converts samples of any rate into frames: `emit({pcm: ArrayBuffer, level})`, `level` is the loudness from 0 to 1. */
export class Framer {
  constructor(rate, emit) {
    this.resampler = rate === RATE ? null : new Resampler(rate, RATE);
    this.emit = emit;
    this.take = (sample) => this.keep(sample);
    this.begin();
  }

  /** `channels`: one Float32Array each, of equal length; they are mixed down. */
  push(channels) {
    const length = channels[0].length;
    for (let i = 0; i < length; i += 1) {
      let sample = channels[0][i];
      for (let c = 1; c < channels.length; c += 1) sample += channels[c][i];
      sample /= channels.length;
      if (this.resampler) this.resampler.push(sample, this.take);
      else this.keep(sample);
    }
  }

  begin() {
    this.pcm = new DataView(new ArrayBuffer(2 * FRAME_SAMPLES));
    this.filled = 0;
    this.power = 0;
  }

  keep(sample) {
    const clipped = Math.max(-1, Math.min(1, sample));
    this.pcm.setInt16(2 * this.filled, Math.round(clipped * 32_767), true); // the protocol is little-endian
    this.filled += 1;
    this.power += clipped * clipped;
    if (this.filled === FRAME_SAMPLES) {
      this.emit({ pcm: this.pcm.buffer, level: Math.sqrt(this.power / FRAME_SAMPLES) });
      this.begin();
    }
  }
}

if (globalThis.registerProcessor) {
  class Capture extends AudioWorkletProcessor {
    constructor() {
      super();
      this.framer = new Framer(sampleRate, (frame) => this.port.postMessage(frame, [frame.pcm]));
    }

    process([channels]) {
      if (channels.length) this.framer.push(channels); // empty while the device changes
      return true;
    }
  }
  registerProcessor("voice-trio-capture", Capture);
}
