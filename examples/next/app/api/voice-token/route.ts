import { SignJWT } from "jose";

import { currentUser } from "../../user";

/** A token for the gateway, as text: a JWT of the user who is signed in, good for one minute. */
export async function POST() {
  const user = await currentUser();
  if (!user) return new Response("no user is signed in", { status: 401 });
  const token = await new SignJWT({ plan: user.plan })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(user.id)
    .setIssuedAt()
    .setExpirationTime("1 minute")
    .sign(new TextEncoder().encode(process.env.JWT_SECRET));
  return new Response(token, { headers: { "Cache-Control": "no-store" } });
}
