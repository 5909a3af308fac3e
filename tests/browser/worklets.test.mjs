// The two worklets, sample by sample. Run by Node's test runner, from test_javascript.py.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";

const load = (name) => import(pathToFileURL(`${process.env.VOICE_TRIO_STATIC}/${name}`));
const { FRAME_SAMPLES, Framer, RATE, Resampler } = await load("voice-capture.js");
const { PlaybackQueue } = await load("voice-playback.js");

const MS = 24; // samples
const sine = (hz, rate, seconds) => Float32Array.from({ length: rate * seconds }, (_, i) => Math.sin((2 * Math.PI * hz * i) / rate));
const rms = (samples) => Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length);
const resampled = (samples, from, to) => {
  const out = [];
  const resampler = new Resampler(from, to);
  for (const sample of samples) resampler.push(sample, (made) => out.push(made));
  return out;
};
const piece = (ms, value = 1000) => new Int16Array(ms * MS).fill(value);
/** Render until `ms` have passed; returns every sample. */
const play = (queue, ms) => {
  const heard = [];
  for (let at = 0; at < ms * MS; at += 128) {
    const out = new Float32Array(128);
    queue.render(out);
    heard.push(...out);
  }
  return heard;
};

describe("the resampler", () => {
  for (const from of [48_000, 44_100, 16_000, 8_000, 96_000]) {
    it(`keeps a tone of 1 kHz as it was, and its length, from ${from} Hz`, () => {
      const out = resampled(sine(1000, from, 1), from, RATE);
      assert.ok(Math.abs(out.length - RATE) <= 1, `${out.length} samples`);
      const { delaySamples } = new Resampler(from, RATE);
      const late = delaySamples / from; // seconds between a sample and its echo
      const errors = out.slice(1000, 20_000).map((x, i) => x - Math.sin(2 * Math.PI * 1000 * ((i + 1000) / RATE - late)));
      assert.ok(rms(errors) < 0.002, `error ${rms(errors)}`);
      assert.ok(Math.abs(rms(out.slice(1000, 20_000)) - Math.SQRT1_2) < 0.002);
    });
  }

  it("lets nothing fold back from above 12 kHz", () => {
    for (const hz of [14_000, 17_000, 23_000]) {
      const out = resampled(sine(hz, 48_000, 1), 48_000, RATE).slice(1000, 20_000);
      assert.ok(20 * Math.log10(rms(out) / Math.SQRT1_2) < -60, `${hz} Hz at ${20 * Math.log10(rms(out) / Math.SQRT1_2)} dB`);
    }
  });
});

describe("the framer", () => {
  it("makes little-endian frames of 40 ms, mixes channels, clips, and loses nothing", () => {
    const frames = [];
    const framer = new Framer(RATE, (frame) => frames.push(frame));
    const left = new Float32Array(FRAME_SAMPLES * 2.5).fill(3);
    framer.push([left, new Float32Array(left.length)]);
    assert.equal(frames.length, 2);
    assert.equal(frames[0].pcm.byteLength, 1920);
    assert.equal(new DataView(frames[0].pcm).getInt16(0, true), 32_767);
    assert.ok(Math.abs(frames[0].level - 1) < 1e-9);
    framer.push([new Float32Array(FRAME_SAMPLES / 2)]);
    assert.equal(frames.length, 3);
  });
});

describe("the playback queue", () => {
  it("collects before it plays, and then plays every sample once and in order", () => {
    const queue = new PlaybackQueue(80);
    const ramp = Int16Array.from({ length: 100 * MS }, (_, i) => i + 1);
    queue.push("a", ramp.slice(0, 50 * MS));
    assert.equal(rms(play(queue, 20)), 0);
    queue.push("a", ramp.slice(50 * MS));
    const heard = play(queue, 110).map((x) => Math.round(x * 32_768)).filter((x) => x !== 0);
    assert.deepEqual(heard, [...ramp]);
    assert.deepEqual(queue.position(), { itemId: "a", playedMs: 100 });
  });

  it("waits no longer than its target when less comes, nor at all for a complete item", () => {
    const slow = new PlaybackQueue(80);
    slow.push("a", piece(20));
    play(slow, 75);
    assert.equal(slow.position(), null);
    play(slow, 40);
    assert.equal(slow.position().playedMs, 20);
    const complete = new PlaybackQueue(80);
    complete.push("a", piece(20));
    complete.end("a");
    assert.ok(rms(play(complete, 5)) > 0);
  });

  it("collects more after running dry, and an end is no running dry", () => {
    const queue = new PlaybackQueue(80);
    queue.push("a", piece(100));
    play(queue, 300);
    queue.push("a", piece(100));
    assert.equal(queue.underruns, 1);
    assert.equal(queue.targetMs, 120);
    assert.equal(queue.state, "filling");
    queue.end("a");
    play(queue, 300);
    queue.push("b", piece(10));
    assert.equal(queue.underruns, 1);
    assert.deepEqual(queue.position("a"), { itemId: "a", playedMs: 200 });
  });

  it("is silent one quantum after a flush, and counts that quantum as played", () => {
    const queue = new PlaybackQueue(80);
    queue.push("a", piece(1000));
    play(queue, 100);
    const before = queue.position().playedMs;
    const stopped = queue.flush();
    assert.equal(stopped.itemId, "a");
    assert.ok(Math.abs(stopped.playedMs - before - 128 / MS) < 1e-9);
    const after = play(queue, 100);
    assert.ok(after[0] > 0.9 * (1000 / 32_768) && after[127] < 0.1 * (1000 / 32_768), "it fades");
    assert.equal(rms(after.slice(128)), 0);
    assert.equal(queue.position("a").playedMs, stopped.playedMs);
    assert.equal(queue.queuedMs, 0);
  });

  it("names what was being played at a flush, else what was about to be, else what it was asked about", () => {
    const queue = new PlaybackQueue(80);
    assert.equal(queue.flush("never heard of"), null);
    queue.push("a", piece(100));
    queue.end("a");
    play(queue, 200);
    queue.push("b", piece(10));
    assert.deepEqual(queue.flush("a"), { itemId: "b", playedMs: 0 });
    assert.deepEqual(queue.flush("a"), { itemId: "a", playedMs: 100 });
  });

  it("plays the next item right behind the last, and forgets old ones", () => {
    const queue = new PlaybackQueue(80);
    for (let i = 0; i < 30; i += 1) {
      queue.push(`item ${i}`, piece(10));
      queue.end(`item ${i}`);
    }
    const heard = play(queue, 310);
    assert.equal(heard.filter((x) => x !== 0).length, 300 * MS);
    assert.equal(queue.items.size, 16);
    assert.deepEqual(queue.position(), { itemId: "item 29", playedMs: 10 });
  });

  it("needs not be told the end after an item was forgotten", () => {
    const queue = new PlaybackQueue(80);
    queue.end("unknown");
    assert.equal(queue.state, "empty");
  });
});
