/** Bearer tokens, compared without telling by time how much of one was right. */

import { Problem } from "./problems.js";

const encoder = new TextEncoder();

/** Raises 401 unless the caller has one of the accepted tokens. */
export async function requireToken(context) {
  if (context.settings.tokens.length === 0) {
    throw new Problem(503, "UNAVAILABLE", "this gateway has no tokens configured, so it accepts nobody");
  }
  if (await hasToken(context)) return;
  throw new Problem(401, "AUTH", "a valid gateway token is needed", {
    headers: { "WWW-Authenticate": 'Bearer realm="switchback"' },
    mitigation: "Send `Authorization: Bearer <token>` with one of the stack's gatewayTokens.",
  });
}

export async function hasToken({ request, settings }) {
  const sent = tokenOf(request);
  if (sent === "") return false;
  const digest = await sha256(sent);
  let accepted = false;
  for (const token of settings.tokens) {
    // No early exit: the time must not say which of the tokens matched.
    accepted = crypto.subtle.timingSafeEqual(digest, await sha256(token)) || accepted;
  }
  return accepted;
}

export function tokenOf(request) {
  return /^Bearer +(\S+) *$/i.exec(request.headers.get("Authorization") ?? "")?.[1] ?? "";
}

function sha256(text) {
  return crypto.subtle.digest("SHA-256", encoder.encode(text));
}
