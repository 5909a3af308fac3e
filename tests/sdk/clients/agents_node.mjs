// npm `@openai/agents-realtime` in Node: a user's token in a header.

import * as sdk from "@openai/agents-realtime";

import { converse } from "./agents_conversation.mjs";
import { job, pcm, tell } from "./node_job.mjs";

tell(await converse(sdk, { apiKey: job.token, url: job.url, pcm: new Uint8Array(pcm) }));
