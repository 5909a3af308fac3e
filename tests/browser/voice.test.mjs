// The parts of the browser client that need no browser. Run by Node's test runner, from test_javascript.py.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it, mock } from "node:test";
import { pathToFileURL } from "node:url";

const load = (name) => import(pathToFileURL(`${process.env.VOICE_TRIO_STATIC}/${name}`));
const text = (name) => readFileSync(`${process.env.VOICE_TRIO_STATIC}/${name}`, "utf8");
const { FRAME_SAMPLES, Framer, RATE, Resampler } = await load("voice-capture.js");
const { PlaybackQueue } = await load("voice-playback.js");
const { PositionReporter, VoiceClient, backoffMs, decodeBase64, microphoneReason } = await load("voice.js");
const { Passages } = await load("passages.js");

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

describe("the position reporter", () => {
  it("speaks at most four times a second, always at a flush, and at last of the end", () => {
    mock.timers.enable({ apis: ["setTimeout"] });
    const sent = [];
    const reporter = new PositionReporter((...report) => sent.push(report));
    for (let now = 0; now <= 1000; now += 40) reporter.running("a", now, now);
    assert.ok(sent.length <= 5 && sent.length >= 4, `${sent.length} in a second`);
    reporter.final("a", 1001.5);
    assert.deepEqual(sent.at(-1), ["a", 1001.5, true]);
    const before = sent.length;
    reporter.running("a", 1020, 1040, true);
    assert.equal(sent.length, before);
    mock.timers.tick(250);
    assert.deepEqual(sent.at(-1), ["a", 1020, false]);
    reporter.running("a", 1020, 9000);
    assert.equal(sent.length, before + 1, "nothing is said twice");
    mock.timers.reset();
  });
});

describe("small things", () => {
  it("backs off longer each time, never for long, never in step with others", () => {
    const least = [0, 1, 2, 3, 9].map((attempt) => backoffMs(attempt, 0));
    const most = [0, 1, 2, 3, 9].map((attempt) => backoffMs(attempt, 1));
    assert.deepEqual(least, [250, 500, 1000, 2000, 7500]);
    assert.deepEqual(most, [500, 1000, 2000, 4000, 15_000]);
  });

  it("reads base64", () => {
    assert.deepEqual([...new Uint8Array(decodeBase64("AAH/gA=="))], [0, 1, 255, 128]);
  });

  it("knows why there is no microphone", () => {
    assert.equal(microphoneReason({ name: "NotAllowedError" }), "denied");
    assert.equal(microphoneReason({ name: "Surprise" }), "failed");
  });

  it("can be made without a browser, and does nothing before it is started", () => {
    const voice = new VoiceClient();
    assert.deepEqual([voice.state, voice.isActive, voice.microphone, voice.canResume], ["idle", false, "off", false]);
    assert.equal(voice.sendText("hello"), false);
    voice.stop();
    assert.equal(voice.state, "idle");
  });

  it("is what its types say it is", () => {
    const types = text("voice.d.ts");
    const body = types.split("export declare class VoiceClient")[1].split("\n}")[0];
    const declared = [...body.matchAll(/^ {2}(?:readonly )?(\w+)[(:<]/gm)].map(([, name]) => name);
    const own = Object.getOwnPropertyNames(VoiceClient.prototype);
    const inherited = ["addEventListener", "removeEventListener"];
    assert.deepEqual([...new Set(declared)].sort(), [...own, ...inherited].sort());
    const events = types.split("interface VoiceEvents")[1].split("\n}")[0];
    const promised = [...events.matchAll(/^ {2}(\w+):/gm)].map(([, name]) => name);
    const sources = ["voice.js", "responses.js"].map(text).join("");
    const emitted = [...sources.matchAll(/#(?:emit|tell)\("(\w+)"/g)].map(([, name]) => name);
    assert.deepEqual(promised.sort(), [...new Set([...emitted, "ended", "error"])].sort());
  });

  it("is described whole by the page of its API, and so is the hook F57", () => {
    const page = readFileSync(new URL("../../docs/reference/javascript.md", import.meta.url), "utf8");
    const [client, hook] = page.split("\n## React\n");
    const fields = (file, head, pattern) =>
      [...text(file).split(head)[1].split("\n}")[0].matchAll(pattern)].map(([, name]) => name);
    const own = [
      ...fields("voice.d.ts", "interface VoiceOptions", /^ {2}(\w+)\?:/gm),
      ...fields("voice.d.ts", "interface VoiceEvents", /^ {2}(\w+):/gm),
      ...fields("voice.d.ts", "class VoiceClient", /^ {2}(?:readonly )?(\w+)[(:<]/gm).filter((name) => name !== "constructor"),
      ...[...text("voice.d.ts").matchAll(/^export type (?:OutputState|Microphone\w+) = (.*);$/gm)]
        .flatMap(([, names]) => names.match(/\w+/g)),
    ];
    const missing = own.filter((name) => !new RegExp(`\`${name}[\`(]`).test(client));
    assert.deepEqual(missing, []);
    const returned = fields("react.d.ts", "interface Voice {", /^ {2}(?:readonly )?(\w+)[(:]/gm);
    assert.ok(returned.length > 25);
    assert.deepEqual(returned.filter((name) => !new RegExp(`\`${name}[\`(]`).test(hook)), []);
  });
});
