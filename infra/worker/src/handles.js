/** A generation as its signed id describes it. */

import { ID_LIFETIME_SECONDS, keyedDigest, sign, verify } from "./job_id.js";

/**
 * @typedef {object} Handle
 * @property {string} generation uuid; ComfyUI's prompt id as well
 * @property {string} record name of its record: what its Idempotency-Key stands for, else the generation
 * @property {string} provider the one that runs it, whoever is configured now
 * @property {string} operation
 * @property {number} stage
 * @property {string} [job] the provider's job, where it was known when the id was given out
 * @property {number[]} [size] the size that a pipeline scales to
 * @property {"verification"} [purpose] what a verification made expires soon
 * @property {number} issued unix seconds
 */

/**
 * Every generation is a new one: when a key is used again after its record expired, neither the pictures nor
 * ComfyUI's prompt of its first use must be taken for the new ones.
 * @returns {Handle}
 */
export function newHandle(provider, { operation, width, height }, headers, record) {
  const generation = crypto.randomUUID();
  const size = operation === "pipeline" ? [width, height] : undefined;
  const purpose = headers.get("Switchback-Purpose") ?? undefined;
  const issued = Math.floor(Date.now() / 1000);
  return { generation, record: record ?? generation, provider, operation, stage: 0, size, purpose, issued };
}

export function idOf(handle, settings) {
  return sign("generation", claimsOf(handle), settings.signingKeys);
}

/** @returns {Promise<Handle>} */
export async function handleOf(id, settings) {
  return fromClaims(await verify("generation", id, settings.signingKeys));
}

/** Where RunPod reports that a job ended. The address is a right to do so for this one generation. */
export async function webhookUrl(handle, { url, settings }) {
  const token = await sign("webhook", claimsOf(handle), settings.signingKeys);
  return `${url.origin}/v1/webhooks/${handle.provider}/${token}`;
}

export async function webhookHandle(token, settings) {
  return fromClaims(await verify("webhook", token, settings.signingKeys));
}

/**
 * The records that an Idempotency-Key may stand for, the one for new work first: one per signing key, so that a
 * rotation of keys does not pay twice. Keyed, so that nobody can guess the place of a record in a public bucket.
 */
export function recordsOfKey(idempotencyKey, settings) {
  const digests = settings.signingKeys.map((key) => keyedDigest(`idempotency ${idempotencyKey}`, key));
  return Promise.all(digests.map(async (digest) => uuidOf(await digest)));
}

function claimsOf({ generation, record, provider, operation, stage, job, size, purpose, issued }) {
  const [g, p, o, s, j, z, u, t] = [generation, provider, operation, stage, job, size, purpose, issued];
  return { g, r: record === g ? undefined : record, p, o, s, j, z, u, t, e: issued + ID_LIFETIME_SECONDS };
}

function fromClaims({ g, r = g, p, o, s, j, z, u, t }) {
  return { generation: g, record: r, provider: p, operation: o, stage: s, job: j, size: z, purpose: u, issued: t };
}

function uuidOf(hex) {
  const groups = [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)];
  return groups.join("-"); // version 8, RFC 9562: made from our own digest
}
