// `@openai/agents-realtime`: an agent with a tool, all else at its defaults, and what is said to it. In Node and in pages.

import { Listener, pause, speak } from "./listener.mjs";

const NOTED = ["audio", "audio_interrupted", "agent_end", "agent_tool_start", "agent_tool_end", "history_added"];

export async function converse({ RealtimeAgent, RealtimeSession, tool }, { apiKey, url, pcm }) {
  const heard = new Listener();
  const seen = new Set();
  const countBirds = tool({
    name: "count_birds",
    description: "Counts the birds in a shed.",
    parameters: {
      type: "object",
      properties: { shed: { type: "string" } },
      required: ["shed"],
      additionalProperties: false,
    },
    execute: async ({ shed }) => `${shed}: 42 birds`,
  });
  const agent = new RealtimeAgent({ name: "Farmhand", instructions: "Help with the farm.", tools: [countBirds] });
  const session = new RealtimeSession(agent, { transport: "websocket" });
  session.on("transport_event", (event) => heard.note(event));
  session.on("error", (error) => heard.complain(error));
  for (const name of NOTED) session.on(name, () => seen.add(name));

  await session.connect({ apiKey, url });
  await heard.hears("session.updated");
  await talk(session, heard, pcm);
  const history = structuredClone(session.history);
  session.close();
  return heard.report({ seen: [...seen].sort(), history });
}

async function talk(session, heard, pcm) {
  const append = (piece) => session.sendAudio(piece.slice().buffer);

  let mark = heard.events.length;
  await speak(pcm, append);
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
  await speak(pcm, append);
  await heard.hears("conversation.item.truncated", mark);
  mark = (await heard.hears("response.done", mark)) + 1;
  await heard.hears("response.done", mark);

  // Everything has come, and most of it is still to be played.
  mark = heard.events.length;
  await speak(pcm, append);
  await heard.hears("conversation.item.truncated", mark);
  await heard.hears("response.done", mark);
  const completed = await heard.hears("conversation.item.input_audio_transcription.completed", mark);
  await heard.hears("conversation.item.retrieved", completed);
}
