// npm `openai`, its class over the platform's own WebSocket, as in a page: a client secret among the subprotocols.

import OpenAI from "openai";
import { OpenAIRealtimeWebSocket } from "openai/realtime/websocket";

import { Listener } from "./listener.mjs";
import { job, tell } from "./node_job.mjs";

const heard = new Listener();
const backend = new OpenAI({ apiKey: job.token, baseURL: job.base_url });
const secret = await backend.realtime.clientSecrets.create({ session: { type: "realtime", output_modalities: ["text"] } });

const client = new OpenAI({ apiKey: secret.value, baseURL: job.base_url });
const realtime = new OpenAIRealtimeWebSocket({ model: job.model }, client);
realtime.on("event", (event) => heard.note(event));
realtime.on("error", (error) => heard.complain(error));

await heard.hears("session.created");
const protocol = realtime.socket.protocol;
const item = { type: "message", role: "user", content: [{ type: "input_text", text: "How warm must the brooder be?" }] };
realtime.send({ type: "conversation.item.create", item });
realtime.send({ type: "response.create" });
await heard.hears("response.done");
realtime.close();
tell(heard.report({ secret, protocol }));
