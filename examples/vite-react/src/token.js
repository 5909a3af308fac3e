/**
 * A token for the gateway: a JWT of the user who is signed in, good for a few minutes.
 *
 * In production your own server signs it, after it has looked at its own session: the signing secret never reaches the
 * page. VITE_VOICE_TOKEN is for development only.
 */
export async function fetchToken() {
  if (import.meta.env.VITE_VOICE_TOKEN) return import.meta.env.VITE_VOICE_TOKEN;
  const response = await fetch("/api/voice-token", { method: "POST" });
  if (!response.ok) throw new Error(`/api/voice-token: ${response.status}`);
  return response.text();
}
