export interface User {
  id: string;
  /** A plan that the gateway's VOICE_ALLOWED_PLANS has. */
  plan: string;
}

/**
 * The user who is signed in, or null. Replace the body by a look at your own session, for example with Auth.js:
 * `const session = await auth()`.
 */
export async function currentUser(): Promise<User | null> {
  const id = process.env.DEVELOPMENT_USER;
  return id ? { id, plan: "elite" } : null;
}
