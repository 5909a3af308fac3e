import { connection } from "next/server";

import { Conversation } from "./conversation";
import { currentUser } from "./user";

/** Rendered for each request, so that the same build serves any gateway and every user. */
export default async function Page() {
  await connection();
  const user = await currentUser();
  if (!user) return <p className="hint">Sign in to talk.</p>;
  return <Conversation url={process.env.VOICE_URL ?? "ws://127.0.0.1:8000/v1/ws/voice"} userId={user.id} />;
}
