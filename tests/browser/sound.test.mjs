// Sound and the shared conversation, as far as they need no browser. Run by Node's test runner, from test_javascript.py.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";
import { pathToFileURL } from "node:url";

const load = (name) => import(pathToFileURL(`${process.env.VOICE_TRIO_STATIC}/${name}`));
const { ContextKeeper, contextState, loadWorklet } = await load("contexts.js");
const { isMissing, sortDevices } = await load("devices.js");
const { LevelMeter, Levels } = await load("levels.js");
const { PlaybackCursor } = await load("positions.js");
const { finalCode } = await load("retry.js");
const { INITIAL, sharedConversation } = await load("store.js");
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

describe("closes", () => {
  it("that end a conversation have a code, the others none", () => {
    assert.equal(finalCode(1006, ""), null);
    assert.equal(finalCode(1008, "Session ended by an operator"), "ended_by_operator");
    assert.equal(finalCode(4001, "Resumed elsewhere"), "resumed_elsewhere");
    assert.equal(finalCode(1008, "Rate limit exceeded"), "closed");
  });
});

class FakeClient extends EventTarget {
  calls = [];
  isActive = false;
  canResume = false;
  microphone = "off";

  constructor(options) {
    super();
    this.options = options;
  }

  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  async start() {
    this.calls.push("start");
    this.isActive = true;
    this.canResume = true;
  }

  disconnect() {
    if (this.isActive) this.calls.push("disconnect");
    this.isActive = false;
  }

  sendText() {
    return this.isActive;
  }

  configure(options) {
    Object.assign(this.options, options);
  }
}

describe("a conversation shared by components", () => {
  let made;
  let names = 0;
  const shared = (name) => sharedConversation(name, (options) => made[made.push(new FakeClient({ ...options })) - 1]);

  beforeEach(() => {
    made = [];
    names += 1;
    globalThis.document = {};
    mock.timers.enable({ apis: ["setTimeout"] });
  });
  afterEach(() => {
    delete globalThis.document;
    mock.timers.reset();
  });

  it("keeps one client over mounts, and leaves a second after the last one is gone F31", async () => {
    const first = shared(`a${names}`);
    first.configure({ url: "ws://x/" });
    first.hold()(); // strict mode
    const release = first.hold();
    await first.start();
    release();
    mock.timers.tick(900);
    const second = shared(`a${names}`);
    const leave = second.hold();
    mock.timers.tick(5000);
    assert.deepEqual(made[0].calls, ["start"]);
    leave();
    leave();
    mock.timers.tick(1000);
    assert.deepEqual(made[0].calls, ["start", "disconnect"]);
    await second.start();
    assert.deepEqual(made[0].calls, ["start", "disconnect"], "no component could stop it");
    const third = shared(`a${names}`);
    third.hold();
    await third.start();
    assert.equal(made.length, 1, "the same client resumes");
    assert.deepEqual(made[0].calls, ["start", "disconnect", "start"]);
  });

  it("is another one for another name, and after one that cannot be resumed F31", () => {
    const first = shared(`b${names}`);
    first.hold()();
    shared(`c${names}`).hold();
    mock.timers.tick(1000);
    assert.equal(made.length, 2);
    assert.notEqual(shared(`b${names}`), first);
  });

  it("takes options that change, and keeps a device that was chosen meanwhile F33", () => {
    const one = shared(`d${names}`);
    one.configure({ token: "1", deviceId: "a" });
    one.hold();
    made[0].options.deviceId = "chosen";
    one.configure({ token: "2", deviceId: "a" });
    assert.deepEqual(made[0].options, { token: "2", deviceId: "chosen" });
  });

  it("shows all that a page needs, and clears what is over F33", async () => {
    const one = shared(`e${names}`);
    assert.equal(one.snapshot, INITIAL);
    one.hold();
    const [client] = made;
    let renders = 0;
    one.subscribe(() => (renders += 1));
    const seen = [];
    one.subscribeLevels((levels) => seen.push(levels));
    client.tell("level", { input: 0.1, output: 0.2 });
    assert.deepEqual([renders, seen, one.levels], [0, [{ input: 0.1, output: 0.2 }], { input: 0.1, output: 0.2 }]);
    client.tell("microphone", { state: "refused", reason: "denied" });
    client.tell("output", { state: "blocked" });
    client.tell("ready", { expiresAt: new Date(0) });
    client.tell("reconnecting", { attempt: 2 });
    client.tell("recovering", { recovering: true });
    client.tell("waiting", { seconds: 8 });
    client.tell("expiring", { secondsLeft: 60 });
    client.tell("error", { code: "answer_failed", isFatal: false });
    const { microphone, microphoneReason, output, expiresAt, reconnecting, waitingSeconds, secondsLeft } = one.snapshot;
    assert.deepEqual([microphone, microphoneReason, output], ["refused", "denied", "blocked"]);
    assert.deepEqual([+expiresAt, reconnecting.attempt, waitingSeconds, secondsLeft], [0, 2, 8, 60]);
    assert.ok(one.snapshot.isRecovering && one.snapshot.error);
    client.tell("state", { state: "speaking" });
    assert.deepEqual([one.snapshot.error, one.snapshot.waitingSeconds], [null, 0]);
    client.tell("state", { state: "idle" });
    assert.deepEqual([one.snapshot.expiresAt, one.snapshot.reconnecting, one.snapshot.isRecovering], [null, null, false]);
  });

  it("has the words of both sides in the order in which they began F33", async () => {
    const one = shared(`f${names}`);
    one.hold();
    const [client] = made;
    await one.start();
    client.tell("speech", { speaking: true, itemId: "q" });
    client.tell("transcript", { role: "assistant", itemId: "r", text: "Thirty", isFinal: false });
    client.tell("transcript", { role: "user", itemId: "q", text: "How warm?", isFinal: true });
    client.tell("transcript", { role: "assistant", itemId: "r", text: "Thirty four.", isFinal: true });
    assert.equal(one.sendText("And ducks?"), true);
    const texts = one.snapshot.transcripts.map(({ role, text }) => [role, text]);
    assert.deepEqual(texts, [["user", "How warm?"], ["assistant", "Thirty four."], ["user", "And ducks?"]]);
  });
});
