// npm `openai` as Azure's customers use it: a deployment in the address, the token in `api-key`.

import { AzureOpenAI } from "openai";
import { OpenAIRealtimeWS } from "openai/realtime/ws";

import { Listener } from "./listener.mjs";
import { job, tell } from "./node_job.mjs";

const heard = new Listener();
const endpoint = job.base_url.replace(/\/v1$/, "");
const options = { apiKey: job.token, endpoint, apiVersion: "2025-04-01-preview", deployment: job.model };
const realtime = await OpenAIRealtimeWS.azure(new AzureOpenAI(options));
realtime.on("event", (event) => heard.note(event));
realtime.on("error", (error) => heard.complain(error));

await heard.hears("session.created");
const item = { type: "message", role: "user", content: [{ type: "input_text", text: "How warm must the brooder be?" }] };
realtime.send({ type: "conversation.item.create", item });
realtime.send({ type: "response.create" });
await heard.hears("response.done");
realtime.close();
tell(heard.report());
