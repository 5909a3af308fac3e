import { connection } from "next/server";

import { Conversation } from "./conversation";

/** Rendered for each request, so that the same build serves any gateway. */
export default async function Page() {
  await connection();
  return <Conversation url={process.env.VOICE_URL ?? "ws://127.0.0.1:8000/v1/ws/voice"} />;
}
