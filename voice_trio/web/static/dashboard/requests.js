/** The dashboard's requests to its gateway, with an administrator's token, which stays in this tab. */

import { token } from "./token.js";

const TOKEN_STATUSES = new Set([401, 403]);

/** A request that failed. `needsToken`: only another token can help. */
class RequestFailed extends Error {
  constructor(message, { status = 0, needsToken = false } = {}) {
    super(message);
    this.status = status;
    this.needsToken = needsToken;
  }
}

/** The JSON of `path`, relative to the dashboard; throws `RequestFailed`. */
export async function ask(path, method = "GET") {
  let response;
  try {
    const headers = { Authorization: `Bearer ${token() ?? ""}` };
    response = await fetch(path, { method, headers, cache: "no-store" });
  } catch {
    throw new RequestFailed("The gateway does not answer.");
  }
  const body = await response.json().catch(() => null);
  if (response.ok && body) return body;
  const { status } = response;
  const told = body?.error?.message ?? `The gateway answers with status ${status}.`;
  throw new RequestFailed(told, { status, needsToken: TOKEN_STATUSES.has(status) });
}
