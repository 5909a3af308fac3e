// Conversations that components share. Run by Node's test runner, from test_javascript.py.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";
import { pathToFileURL } from "node:url";

const load = (name) => import(pathToFileURL(`${process.env.VOICE_TRIO_STATIC}/${name}`));
const { INITIAL, sharedConversation } = await load("store.js");

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
