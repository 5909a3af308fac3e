// npm `openai` in Node, its class over `ws`: the token in a header, every turn a raw client has.

import OpenAI from "openai";
import { OpenAIRealtimeWS } from "openai/realtime/ws";

import { Listener, pause, speak } from "./listener.mjs";
import { job, pcm, tell } from "./node_job.mjs";

const heard = new Listener();
const client = new OpenAI({ apiKey: job.token, baseURL: job.base_url });
const realtime = new OpenAIRealtimeWS({ model: job.model }, client);
realtime.on("event", (event) => heard.note(event));
realtime.on("error", (error) => heard.complain(error));

const COUNT_BIRDS = {
  type: "function",
  name: "count_birds",
  description: "Counts the birds in a shed.",
  parameters: { type: "object", properties: { shed: { type: "string" } }, required: ["shed"] },
};
const append = (piece) => realtime.send({ type: "input_audio_buffer.append", audio: piece.toString("base64") });

function ask(text, response) {
  const item = { type: "message", role: "user", content: [{ type: "input_text", text }] };
  const mark = heard.events.length;
  realtime.send({ type: "conversation.item.create", item });
  realtime.send({ type: "response.create", ...(response && { response }) });
  return mark;
}

await heard.hears("session.created");
const transcription = { model: "gpt-realtime-whisper" };
realtime.send({ type: "session.update", session: { type: "realtime", audio: { input: { transcription } }, tools: [COUNT_BIRDS] } });
await heard.hears("session.updated");

let mark = heard.events.length;
await speak(pcm, append);
await heard.hears("response.done", mark);
await heard.hears("conversation.item.input_audio_transcription.completed", mark);

await heard.hears("response.done", ask("How many hours of light do layers need?", { metadata: { client_event_id: "mine" } }));

mark = ask("Please count the birds in shed 3.");
const call = heard.events[await heard.hears("response.function_call_arguments.done", mark)];
await heard.hears("response.done", mark);
mark = heard.events.length;
const output = `${JSON.parse(call.arguments).shed}: 42 birds`;
realtime.send({ type: "conversation.item.create", item: { type: "function_call_output", call_id: call.call_id, output } });
realtime.send({ type: "response.create" });
await heard.hears("response.done", mark);

mark = ask("Tell me about it at length.");
const { item_id } = heard.events[await heard.hears("response.output_audio.delta", mark)];
await pause(500);
const speaking = speak(pcm, append);
await heard.hears("input_audio_buffer.speech_started", mark);
realtime.send({ type: "conversation.item.truncate", item_id, content_index: 0, audio_end_ms: 400 });
await heard.hears("conversation.item.truncated", mark);
await speaking;
mark = (await heard.hears("response.done", mark)) + 1;
await heard.hears("response.done", mark);
await heard.hears("conversation.item.input_audio_transcription.completed", mark);

realtime.close();
tell(heard.report());
