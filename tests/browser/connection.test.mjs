// The connection to the gateway, with a socket made by hand. Run by Node's test runner, from test_javascript.py.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";
import { pathToFileURL } from "node:url";

const load = (name) => import(pathToFileURL(`${process.env.VOICE_TRIO_STATIC}/${name}`));
const { Connection } = await load("connection.js");
const { finalCode } = await load("retry.js");

const settle = () => new Promise((resolve) => setImmediate(resolve));
const READY = { type: "connection.ready", session_id: "s", resume_token: "r", expires_at: 1 };

class FakeSocket {
  static OPEN = 1;
  static CLOSING = 2;
  static made = [];
  readyState = 1;

  constructor(url) {
    this.url = url;
    FakeSocket.made.push(this);
  }

  send() {}
  close() {}

  hear(event) {
    this.onmessage({ data: JSON.stringify(event) });
  }
}

describe("the connection", () => {
  let told;
  let options;
  let prepare;
  const tell = new Proxy({}, { get: (_, name) => (name === "prepare" ? () => prepare() : (detail) => told.push([name, detail])) });
  const of = (name) => told.filter(([each]) => each === name).map(([, detail]) => detail);
  const pass = async () => {
    mock.timers.tick(15_000);
    await settle();
  };

  beforeEach(() => {
    told = [];
    FakeSocket.made = [];
    globalThis.WebSocket = FakeSocket;
    options = { url: "ws://gateway.example/", token: "t" };
    prepare = async () => {};
    mock.timers.enable({ apis: ["setTimeout"] });
  });
  afterEach(() => mock.timers.reset());

  it("says that the gateway is unreachable, tries again eight times, and begins anew when asked F34", async () => {
    prepare = async () => Promise.reject(Object.assign(new Error("away"), { code: "unreachable" }));
    const connection = new Connection(options, tell);
    for (const start of [1, 2]) {
      connection.open();
      await settle();
      for (let attempt = 0; attempt < 8; attempt += 1) await pass();
      assert.equal(of("reconnecting").length, 8 * start);
      assert.ok(of("reconnecting").every(({ error }) => error.code === "unreachable"));
      assert.deepEqual(of("failed").map(({ code, isFatal }) => [code, isFatal]), Array(start).fill(["unreachable", true]));
    }
    assert.equal(FakeSocket.made.length, 0);
  });

  it("names no gateway unreachable that it was connected to a moment ago F34", async () => {
    const connection = new Connection(options, tell);
    connection.open();
    await settle();
    FakeSocket.made[0].hear(READY);
    FakeSocket.made[0].onclose({ code: 1006, reason: "" });
    assert.equal(of("reconnecting")[0].error, null);
    await pass();
    assert.match(FakeSocket.made[1].url.href, /resume=r/);
    connection.close();
  });

  it("ends when there is no token at first, and asks for one again while it reconnects F34", async () => {
    const connection = new Connection(options, tell);
    options.token = async () => Promise.reject(new TypeError("Failed to fetch"));
    connection.open();
    await settle();
    assert.equal(of("failed")[0].code, "token_unavailable");
    options.token = "t";
    connection.open();
    await settle();
    FakeSocket.made[0].hear(READY);
    options.token = async () => Promise.reject(new TypeError("Failed to fetch"));
    FakeSocket.made[0].onclose({ code: 1006, reason: "" });
    await pass();
    assert.equal(of("reconnecting")[1].error.code, "token_unavailable");
    options.token = "t";
    await pass();
    FakeSocket.made[1].hear(READY);
    assert.equal(of("ready").length, 2);
    assert.equal(of("failed").length, 1);
    connection.close();
  });

  it("is one, however often it was closed and opened while it prepared", async () => {
    const waiting = [];
    prepare = () => new Promise((resolve, reject) => waiting.push({ resolve, reject }));
    const connection = new Connection(options, tell);
    connection.open();
    connection.close();
    connection.open();
    waiting[0].reject(new Error("the context was closed"));
    waiting[1].resolve();
    await settle();
    assert.equal(FakeSocket.made.length, 1);
    assert.deepEqual(of("failed"), []);
    connection.close();
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
