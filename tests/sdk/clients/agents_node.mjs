// npm `@openai/agents-realtime` in Node: an agent with a tool, everything else at its defaults.

import { RealtimeAgent, RealtimeSession, tool } from "@openai/agents-realtime";
import { z } from "zod";

import { Listener, job, pause, speak } from "./listener.mjs";

const heard = new Listener();
const seen = new Set();
const countBirds = tool({
  name: "count_birds",
  description: "Counts the birds in a shed.",
  parameters: z.object({ shed: z.string() }),
  execute: async ({ shed }) => `${shed}: 42 birds`,
});
const agent = new RealtimeAgent({ name: "Farmhand", instructions: "Help with the farm.", tools: [countBirds] });
const session = new RealtimeSession(agent, { transport: "websocket" });
session.on("transport_event", (event) => heard.note(event));
session.on("error", (error) => heard.complain(error));
for (const name of ["audio", "audio_interrupted", "agent_end", "agent_tool_start", "agent_tool_end", "history_added"]) {
  session.on(name, () => seen.add(name));
}
const append = (piece) => session.sendAudio(piece.buffer.slice(piece.byteOffset, piece.byteOffset + piece.byteLength));

await session.connect({ apiKey: job.token, url: job.url });
await heard.hears("session.updated");

let mark = heard.events.length;
await speak(append);
await heard.hears("response.done", mark);
await heard.hears("conversation.item.input_audio_transcription.completed", mark);
await heard.hears("conversation.item.retrieved", mark);

mark = heard.events.length;
session.sendMessage("How many hours of light do layers need?");
await heard.hears("response.done", mark);

mark = heard.events.length;
session.sendMessage("Please count the birds in shed 3.");
await heard.hears("response.done", (await heard.hears("response.done", mark)) + 1);

mark = heard.events.length;
session.sendMessage("Tell me about it at length.");
await heard.hears("response.output_audio.delta", mark);
await pause(500);
await speak(append);
await heard.hears("conversation.item.truncated", mark);
mark = (await heard.hears("response.done", mark)) + 1;
await heard.hears("response.done", mark);

// Everything has come, and most of it is still to be played.
mark = heard.events.length;
await speak(append);
await heard.hears("conversation.item.truncated", mark);
await heard.hears("response.done", mark);
const completed = await heard.hears("conversation.item.input_audio_transcription.completed", mark);
await heard.hears("conversation.item.retrieved", completed);

const history = structuredClone(session.history);
session.close();
heard.report({ seen: [...seen].sort(), history });
