/**
 * Signed ids: all that is needed to follow a job, so that any version of the gateway can. Not encrypted, only
 * unforgeable. Each purpose has its own signatures: a webhook's address is no job id.
 */

import { Problem } from "./problems.js";

const encoder = new TextEncoder();
const BASE64URL = { alphabet: "base64url", omitPadding: true };
const SIGNED = /^([A-Za-z0-9_-]{8,2000})\.([A-Za-z0-9_-]{43})$/;
export const ID_LIFETIME_SECONDS = 24 * 3600;

const importedKeys = new Map();

/** @param {"generation" | "webhook"} purpose */
export async function sign(purpose, claims, keys) {
  if (keys.length === 0) throw noKeys();
  const payload = encoder.encode(JSON.stringify(claims)).toBase64(BASE64URL);
  const signature = await crypto.subtle.sign("HMAC", await hmacKey(keys[0]), encoder.encode(`${purpose}.${payload}`));
  return `${payload}.${new Uint8Array(signature).toBase64(BASE64URL)}`;
}

/** The claims of a valid id. Raises 404 for what this gateway never gave out, 410 when it expired. */
export async function verify(purpose, id, keys, now = Date.now()) {
  if (keys.length === 0) throw noKeys();
  const [, payload, signature] = SIGNED.exec(id) ?? [];
  if (!payload || !(await isSigned(`${purpose}.${payload}`, signature, keys))) {
    throw new Problem(404, "BAD_REQUEST", "this gateway did not give out this id");
  }
  const claims = JSON.parse(new TextDecoder().decode(Uint8Array.fromBase64(payload, BASE64URL)));
  if (claims.e * 1000 < now) throw new Problem(410, "BAD_REQUEST", "this id has expired");
  return claims;
}

/** Hex digest of a text that only holders of the key can compute. */
export async function keyedDigest(text, key) {
  const digest = await crypto.subtle.sign("HMAC", await hmacKey(key), encoder.encode(text));
  return new Uint8Array(digest).toHex();
}

async function isSigned(text, signature, keys) {
  const bytes = decoded(signature);
  if (!bytes) return false;
  let valid = false;
  for (const key of keys) {
    valid = (await crypto.subtle.verify("HMAC", await hmacKey(key), bytes, encoder.encode(text))) || valid;
  }
  return valid;
}

function decoded(text) {
  try {
    return Uint8Array.fromBase64(text, BASE64URL);
  } catch {
    return null; // 43 characters can still carry bits that no 32 bytes have
  }
}

async function hmacKey(secret) {
  if (!importedKeys.has(secret)) {
    const algorithm = { name: "HMAC", hash: "SHA-256" };
    const key = await crypto.subtle.importKey("raw", encoder.encode(secret), algorithm, false, ["sign", "verify"]);
    importedKeys.set(secret, key);
  }
  return importedKeys.get(secret);
}

function noKeys() {
  return new Problem(503, "UNAVAILABLE", "this gateway has no job signing keys configured");
}
