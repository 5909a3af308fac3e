// The parts of the console that need no page. Run by Node's test runner, from test_javascript.py.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { beforeEach, describe, it } from "node:test";
import { pathToFileURL } from "node:url";

const FOLDER = `${process.env.VOICE_TRIO_STATIC}/console`;
const load = (name) => import(pathToFileURL(`${FOLDER}/${name}`));
const { wholeSentences } = await load("announcer.js");
const { Marks } = await load("marks.js");
const { TABLES, choose, preferred, seconds, t } = await load("strings.js");
const { shapes } = await load("timeline.js");
const { VoiceEnd, quietMs } = await load("voice-end.js");
const words = await load("words.js");

const SOURCE = readdirSync(FOLDER).filter((name) => /\.(js|html)$/.test(name) && !name.startsWith("strings-"))
  .map((name) => readFileSync(`${FOLDER}/${name}`, "utf8")).join("\n");
const SCHEMA_CODES = JSON.parse(process.env.VOICE_TRIO_ERROR_CODES);
const now = new Date(2026, 10, 21, 14, 20);
const refusal = (code, given = {}) => words.refusalWords({ code, message: "", retryAfter: null, ...given }, now);

beforeEach(() => choose("en"));

describe("the texts", () => {
  it("have the same keys and the same holes in every language (F39)", () => {
    const holes = (text) => [...new Set([...JSON.stringify(text).matchAll(/\{(\w+)\}/g)].map(([, name]) => name))].sort();
    for (const [name, texts] of Object.entries(TABLES)) {
      assert.deepEqual(Object.keys(texts), Object.keys(TABLES.en), name);
      for (const [key, text] of Object.entries(texts)) {
        assert.deepEqual(holes(text), holes(TABLES.en[key]), `${name} ${key}`);
        assert.equal(Array.isArray(text), Array.isArray(TABLES.en[key]), `${name} ${key}`);
      }
    }
  });

  it("are all used, and none that is used is missing (F39)", () => {
    const literal = [...SOURCE.matchAll(/(?:\bt\(|data-t(?:-[a-z-]+)?=|trouble\()"([a-z_.]+)"/g)].map(([, key]) => key);
    for (const key of literal) assert.ok(key in TABLES.en, key);
    const composed = ["status.", "context.", "microphone.", "passage.", "refusal.", "ending."];
    for (const key of Object.keys(TABLES.en)) {
      assert.ok(SOURCE.includes(`"${key}"`) || composed.some((start) => key.startsWith(start)) || key === "language", key);
    }
  });

  it("have words for every code of the schema, in every language (F39)", () => {
    assert.ok(SCHEMA_CODES.length >= 20);
    for (const language of Object.keys(TABLES)) {
      choose(language);
      for (const code of [...SCHEMA_CODES, "unreachable", "closed", "audio_unavailable", "resumed_elsewhere", "worklet_missing"]) {
        const { title, text } = refusal(code);
        assert.ok(Object.hasOwn(TABLES[language], `refusal.${code}`), `${language} ${code}`);
        assert.ok(title && text, `${language} ${code}`);
      }
    }
  });

  it("are those of the first language that the browser names and the page has (F39)", () => {
    assert.equal(preferred("de-CH", "fr-CH", "en"), "fr");
    assert.equal(preferred(null, "pt-BR"), "en");
    assert.equal(preferred("toString", "constructor"), "en");
  });

  it("count, and write numbers, as the language does (F39)", () => {
    assert.equal(t("welcome.documents", { n: 1 }), "It answers from one document");
    choose("fr");
    assert.equal(seconds(620), "0,62\u00a0s");
    assert.match(words.moneyWords({ usd: 0.00423, isEstimate: true }), /^environ 0,0042\s\$$/);
    assert.equal(refusal("rate_limited", { retryAfter: 60 }).text.endsWith("dans 60 secondes."), true);
    assert.equal(refusal("plan_required", { message: "Voice is reserved for plans elite, pro." }).text, "La voix est réservée aux offres elite, pro.");
  });
});

describe("a refusal", () => {
  it("says when the next slot opens", () => {
    const { title, text } = refusal("rate_limited", { retryAfter: 720 });
    assert.equal(title, "Enough for now");
    assert.match(text, /next one can begin at .*32.*, in 12 minutes\.$/);
    assert.match(refusal("at_capacity", { retryAfter: 1 }).text, /in 1 second\.$/);
  });

  it("shows an operator's words, and the page's own in place of the gateway's", () => {
    assert.equal(refusal("not_in_rollout", { message: "Back on Monday." }).text, "Back on Monday.");
    const usual = { message: "Voice is not available at the moment." };
    assert.match(refusal("feature_disabled", usual).text, /switched voice off/);
    assert.equal(refusal("from_the_future", { message: "So it is." }).text, "So it is.");
  });

  it("of one question is no end of the budget", () => {
    assert.equal(refusal("budget_exhausted", { isFatal: false }).title, "Not answered");
    assert.equal(refusal("budget_exhausted").title, "The budget is used up");
  });
});

describe("the end of a voice", () => {
  const speak = (voiceEnd, from, to, { decays = true, noise = 0 } = {}) => {
    let level = 0;
    for (let at = from - 1000; at <= to + 1200; at += 50) {
      const heard = at >= from && at <= to ? 0.3 : noise;
      level = decays ? Math.max(heard, level * Math.exp(-50 / 200)) : heard;
      voiceEnd.hear(level, at);
    }
  };
  const configured = () => {
    const voiceEnd = new VoiceEnd();
    const detection = { type: "server_vad", silence_duration_ms: 500 };
    voiceEnd.configure({ audio: { input: { turn_detection: detection } } });
    voiceEnd.roundTripMs = 20;
    return voiceEnd;
  };

  it("is before the silence that the gateway waits for, and the way there (F37)", () => {
    assert.equal(configured().before(3520, 1000), 3000);
  });

  it("is where the microphone heard it, if detection held on for longer (F37)", () => {
    for (const decays of [true, false]) {
      for (const noise of [0, 0.004]) {
        const voiceEnd = configured();
        speak(voiceEnd, 1000, 3000, { decays, noise });
        const end = voiceEnd.before(3800, 1000);
        assert.ok(Math.abs(end - 3000) <= 200, `${end} with ${decays} and ${noise}`);
      }
    }
  });

  it("is never later than the gateway could have noticed, whatever noise there is (F37)", () => {
    const voiceEnd = configured();
    speak(voiceEnd, 1000, 3000, { noise: 0.29 });
    assert.ok(voiceEnd.before(3600, 1000) <= 3080);
  });

  it("comes from the microphone alone where the model decides by meaning (F37)", () => {
    const voiceEnd = configured();
    voiceEnd.configure({ audio: { input: { turn_detection: { type: "semantic_vad" } } } });
    speak(voiceEnd, 1000, 3000, { decays: false });
    assert.ok(Math.abs(voiceEnd.before(4000, 1000) - 3000) <= 200);
  });

  it("is not before the voice began, even if almost nothing was heard (F37)", () => {
    assert.equal(configured().before(1200, 1100), 1100);
  });

  it("leaves inaudible audio at the beginning of a response to the wait (F37)", () => {
    const samples = new Int16Array(4800);
    assert.equal(quietMs(samples.buffer), 200);
    samples[2400] = -3000;
    assert.equal(quietMs(samples.buffer), 100);
    assert.equal(quietMs(new Uint8Array(3).buffer), 1 / 24);
  });
});

describe("a timeline", () => {
  const answered = () => {
    const marks = new Marks(1000);
    marks.speechStarts(1000);
    marks.words.push(2000);
    marks.speechStops(2500);
    marks.commit = 3000;
    marks.soundStarts(3300);
    marks.leadMs = 100;
    marks.soundStops(5000);
    return marks;
  };
  const scale = (ms) => Math.round(10 * (58 + (ms / 4000) * 262)) / 10;

  it("counts from the end of the voice, with the silence as its own part (F37)", () => {
    const marks = answered();
    assert.deepEqual([marks.answeredAfter, marks.silenceMs], [900, 500]);
    const { found, seconds: ticks } = shapes(marks, 99_999);
    const of = (kind) => found.find((shape) => shape.kind === kind);
    assert.deepEqual([of("speech").x, of("silence").x, of("commit").x], [58, scale(1500), scale(2000)]);
    assert.deepEqual([of("wait").x, of("play").x], [scale(2000), scale(2400)]);
    assert.ok(Math.abs(of("silence").width - (scale(2000) - scale(1500))) < 0.11);
    assert.deepEqual(ticks.map(({ second }) => second), [0, 1, 2, 3, 4]);
  });

  it("of a typed question has no silence (F37)", () => {
    const marks = new Marks(1000);
    marks.commit = 1000;
    marks.soundStarts(1400);
    assert.deepEqual([marks.answeredAfter, marks.silenceMs, marks.isTyped], [400, 0, true]);
    assert.equal(shapes(marks, 2000).found.some(({ kind }) => kind === "silence"), false);
  });

  it("shows each search where it was, and one that never came back up to the answer", () => {
    const marks = answered();
    marks.leadMs = 0;
    marks.queriesWere([
      { at_ms: 1000, took_ms: 500, outcome: "found" },
      { at_ms: 1200, took_ms: 2, outcome: "nothing" },
      { at_ms: 1800, took_ms: null, outcome: "unfinished" },
    ]);
    const [first, second, third] = shapes(marks, 99_999).found.filter(({ kind }) => kind.startsWith("query"));
    assert.deepEqual([first.kind, first.x], ["query found", scale(1000)]);
    assert.deepEqual([second.kind, second.width], ["query nothing", 4]); // as short as can be seen
    assert.ok(second.y >= first.y + first.height);
    assert.equal(third.kind, "query unfinished");
    assert.ok(Math.abs(third.x + third.width - scale(2300)) < 0.11);
  });
});

describe("what is announced", () => {
  it("is each sentence once it is whole, and at the end the rest (F39)", () => {
    const text = "It is 34 °C, i.e. warm. Then it falls by 3.5 degrees a we";
    const { sentences, length } = wholeSentences(text, false, "en");
    assert.deepEqual(sentences, ["It is 34 °C, i.e. warm."]);
    assert.deepEqual(wholeSentences(`${text}ek`.slice(length), true, "en").sentences, ["Then it falls by 3.5 degrees a week"]);
  });
});

describe("figures", () => {
  it("are money by the digits that count, and the time that is left", () => {
    assert.equal(words.moneyWords({ usd: 0.00423, isEstimate: false }), "$0.0042");
    assert.equal(words.moneyWords({ usd: 0.0423, isEstimate: true }), "about $0.042");
    assert.equal(words.moneyWords({ usd: 1.239, isEstimate: false }), "$1.24");
    assert.equal(words.leftWords(61.2), "1:02 left");
  });

  it("name the state in which a person waits", () => {
    assert.equal(words.statusWords("thinking", "on", 8), "Still waiting for the answer, 8 s now");
    assert.equal(words.statusWords("listening", "refused"), "Waiting for your question in writing");
  });
});
