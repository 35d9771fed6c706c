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
  const [digest, ...accepted] = await Promise.all([sha256(sent), ...digestsOf(settings)]);
  // No early exit: the time must not say which of the tokens matched.
  return accepted.map((known) => crypto.subtle.timingSafeEqual(digest, known)).includes(true);
}

const tokenDigests = new WeakMap();

function digestsOf(settings) {
  if (!tokenDigests.has(settings)) tokenDigests.set(settings, settings.tokens.map(sha256));
  return tokenDigests.get(settings);
}

export function tokenOf(request) {
  return /^Bearer +(\S+) *$/i.exec(request.headers.get("Authorization") ?? "")?.[1] ?? "";
}

function sha256(text) {
  return crypto.subtle.digest("SHA-256", encoder.encode(text));
}
