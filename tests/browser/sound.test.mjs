// Sound, as far as it needs no browser. Run by Node's test runner, from test_javascript.py.

import assert from "node:assert/strict";
import { describe, it, mock } from "node:test";
import { pathToFileURL } from "node:url";

const load = (name) => import(pathToFileURL(`${process.env.VOICE_TRIO_STATIC}/${name}`));
const { ContextKeeper, contextState, loadWorklet } = await load("contexts.js");
const { isMissing, sortDevices } = await load("devices.js");
const { LevelMeter, Levels } = await load("levels.js");
const { PlaybackCursor } = await load("positions.js");
const { microphoneReason } = await load("voice.js");

class FakeContext extends EventTarget {
  state = "suspended";
  resumes = 0;
  canRun = true;

  async resume() {
    this.resumes += 1;
    await null;
    if (this.canRun) this.become("running");
  }

  async suspend() {
    this.become("suspended");
  }

  become(state) {
    this.state = state;
    this.dispatchEvent(new Event("statechange"));
  }
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

describe("an audio context", () => {
  it("is blocked only before it ever ran, and closed to the page while it opens F30", () => {
    assert.equal(contextState("suspended", false, false), "closed");
    assert.equal(contextState("suspended", false, true), "blocked");
    assert.equal(contextState("suspended", true, true), "suspended");
    assert.equal(contextState("interrupted", true, true), "interrupted");
    assert.equal(contextState("running", false, false), "running");
  });

  it("says once that it is blocked, and is resumed when asked, not for each piece of audio F30", async () => {
    mock.timers.enable({ apis: ["setTimeout"] });
    const context = new FakeContext();
    context.canRun = false;
    const seen = [];
    const keeper = new ContextKeeper(context, () => seen.push(keeper.state));
    await settle();
    mock.timers.tick(2000);
    assert.deepEqual(seen, ["blocked"]);
    assert.equal(context.resumes, 1);
    context.canRun = true;
    assert.equal(await keeper.wake(), true);
    assert.deepEqual(seen, ["blocked", "running"]);
    keeper.release();
    context.become("suspended");
    assert.deepEqual(seen, ["blocked", "running"]);
    mock.timers.reset();
  });

  it("is resumed at once after a suspension, and not within an interruption F29", async () => {
    const context = new FakeContext();
    const seen = [];
    const keeper = new ContextKeeper(context, () => seen.push(keeper.state));
    await settle();
    context.become("suspended");
    await settle();
    assert.deepEqual(seen, ["running", "suspended", "running"]);
    assert.equal(context.resumes, 2);
    context.become("interrupted");
    assert.equal(context.resumes, 2);
    assert.ok(keeper.isStopped);
    context.become("suspended"); // Safari, when the call is over
    await settle();
    assert.deepEqual(seen.slice(3), ["interrupted", "suspended", "running"]);
    keeper.release();
  });

  it("is restarted when it runs and its clock stands still, as after a call on a phone F29", async () => {
    mock.timers.enable({ apis: ["setTimeout"] });
    const context = new FakeContext();
    const seen = [];
    const keeper = new ContextKeeper(context, () => seen.push(keeper.state));
    await settle();
    context.currentTime = 1;
    keeper.wake();
    context.currentTime = 1.4;
    mock.timers.tick(400);
    await settle();
    assert.deepEqual(seen, ["running"]);
    keeper.wake();
    keeper.wake();
    mock.timers.tick(400);
    await settle();
    assert.deepEqual(seen, ["running", "suspended", "running"]);
    keeper.release();
    mock.timers.reset();
  });

  it("tells an absent gateway from a wrong address and from a browser without audio F34 F28", async () => {
    const url = new URL("https://gateway.example/client/voice-playback.js");
    const asked = [];
    const refuse = async (address) => {
      asked.push(address.search);
      throw new DOMException("Unable to load a worklet's module.", "AbortError");
    };
    const context = { audioWorklet: { addModule: refuse } };
    const codeFor = async (answer, attempt = 0) => {
      mock.method(globalThis, "fetch", answer);
      const code = await loadWorklet(context, url, attempt).then(() => "loaded", (error) => error.code);
      mock.restoreAll();
      return code;
    };
    const answer = (status, type) => async () => new Response("", { status, headers: { "Content-Type": type } });
    assert.equal(await codeFor(async () => Promise.reject(new TypeError("Failed to fetch"))), "unreachable");
    assert.equal(await codeFor(answer(502, "text/html")), "unreachable");
    assert.equal(await codeFor(answer(404, "text/html")), "worklet_missing");
    assert.equal(await codeFor(answer(200, "text/html")), "worklet_missing", "a page for every address");
    assert.equal(await codeFor(answer(200, "text/javascript"), 2), "audio_unavailable");
    assert.deepEqual(asked, ["", "", "", "", "?attempt=2"]);
    mock.timers.enable({ apis: ["setTimeout"] });
    const hanging = { audioWorklet: { addModule: () => new Promise(() => {}) } };
    const late = loadWorklet(hanging, url, 0).catch((error) => error.code);
    mock.timers.tick(15_000);
    assert.equal(await late, "unreachable");
    mock.timers.reset();
    const insecure = await loadWorklet({}, url, 0).catch((error) => error);
    assert.equal(insecure.code, "audio_unavailable");
  });
});

describe("levels", () => {
  it("rise at once and fall smoothly: no zero between two syllables F32", () => {
    const meter = new LevelMeter();
    const shown = [];
    for (let now = 0; now < 1000; now += 40) {
      meter.note(now % 120 ? 0 : 0.3, now);
      shown.push(meter.at(now + 20));
    }
    assert.ok(Math.min(...shown) > 0.15, `${Math.min(...shown)}`);
    assert.equal(meter.at(3000), 0);
  });

  it("are told of both sides at most 20 times a second, only while they change, and end in silence F32", () => {
    mock.timers.enable({ apis: ["setInterval"] });
    const now = mock.method(performance, "now", () => 0);
    const told = [];
    const levels = new Levels((level) => told.push(level));
    levels.start();
    for (let ms = 0; ms < 1000; ms += 10) {
      now.mock.mockImplementation(() => ms);
      levels.input(0.2 + 0.1 * Math.random());
      levels.output(0.4);
      mock.timers.tick(10);
    }
    assert.ok(told.length <= 20 && told.length >= 18, `${told.length}`);
    assert.deepEqual(Object.keys(told[0]), ["input", "output"]);
    levels.stop();
    assert.deepEqual(told.at(-1), { input: 0, output: 0 });
    const { length } = told;
    levels.start();
    mock.timers.tick(1000);
    assert.equal(told.length, length, "silence is told once");
    levels.stop();
    mock.restoreAll();
    mock.timers.reset();
  });
});

describe("the playback cursor", () => {
  it("knows what plays next without the worklet F29", () => {
    const cursor = new PlaybackCursor();
    assert.equal(cursor.next, null);
    cursor.pushed("a");
    cursor.pushed("a");
    cursor.pushed("b");
    assert.deepEqual(cursor.next, { itemId: "a", playedMs: 0 });
    cursor.moved("playing", "a", 10);
    cursor.pushed("a");
    assert.deepEqual(cursor.next, { itemId: "a", playedMs: 10 });
    cursor.moved("silent", "a", 20);
    assert.deepEqual(cursor.next, { itemId: "b", playedMs: 0 });
    cursor.moved("status", "b", 5);
    assert.deepEqual(cursor.next, { itemId: "b", playedMs: 5 });
    cursor.flushed();
    cursor.pushed("c");
    cursor.moved("flushed", "b", 5); // the worklet's late answer
    assert.deepEqual(cursor.next, { itemId: "c", playedMs: 0 });
  });
});

describe("devices", () => {
  it("are those that can be chosen, and missing only if the browser names any F33", () => {
    const of = (kind, deviceId) => ({ kind, deviceId, label: deviceId, groupId: "" });
    const found = [of("audioinput", "default"), of("audioinput", "a"), of("audiooutput", "b"), of("videoinput", "c")];
    assert.deepEqual(sortDevices(found, true), {
      inputs: [{ deviceId: "a", label: "a" }],
      outputs: [{ deviceId: "b", label: "b" }],
    });
    assert.deepEqual(sortDevices(found, false).outputs, []);
    assert.deepEqual(sortDevices([of("audioinput", "")], true).inputs, [], "without a permission they have no id");
    assert.ok(isMissing("x", [{ deviceId: "a" }]) && !isMissing("a", [{ deviceId: "a" }]) && !isMissing("x", []));
  });

  it("name an absent gateway as a reason of its own F34", () => {
    assert.equal(microphoneReason({ name: "Error", code: "unreachable" }), "unreachable");
    assert.equal(microphoneReason({ name: "NotFoundError", code: 8 }), "missing");
  });
});
