// The parts of the browser client that need no browser. Run by Node's test runner, from test_javascript.py.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it, mock } from "node:test";
import { pathToFileURL } from "node:url";

const load = (name) => import(pathToFileURL(`${process.env.VOICE_TRIO_STATIC}/${name}`));
const text = (name) => readFileSync(`${process.env.VOICE_TRIO_STATIC}/${name}`, "utf8");
const { PositionReporter, VoiceClient, backoffMs, decodeBase64, microphoneReason } = await load("voice.js");
const { Passages } = await load("passages.js");

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
