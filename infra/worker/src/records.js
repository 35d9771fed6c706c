/**
 * What must outlast a request: one small object per generation that needs it, changed only by whoever read its
 * last state (conditional puts), so that of any number of polls exactly one submits, advances or finishes a job.
 * A generation that was submitted at once and without Idempotency-Key has none until it ends: its id says it all.
 *
 * States: submitting (claimed; a request may be under way) · queued (the provider said 429) · submitted ·
 * succeeded · failed · canceled.
 */

import { ONCE, stored } from "./storage.js";

const FINAL = new Set(["succeeded", "failed", "canceled"]);
const LARGEST_QUEUE = 200;
const WRITE_PAUSE_MS = 1100; // R2 takes one write of an object per second
export const QUEUE_DEADLINE_MS = 15 * 60 * 1000;

export function isFinal(record) {
  return FINAL.has(record.state);
}

/** @returns {Promise<{record: object, etag: string} | null>} */
export function readRecord(bucket, name) {
  return stored(async () => {
    const object = await bucket.get(recordKey(name));
    return object && { record: await object.json(), etag: object.etag };
  });
}

/**
 * Writes a record over the one that was read (`held`), or as the first one when nothing was (`null`).
 * @returns {Promise<{record: object, etag: string} | null>} null when somebody else was quicker
 */
export function writeRecord(bucket, name, held, record) {
  const onlyIf = held ? { etagMatches: held.etag } : ONCE;
  const options = { onlyIf, httpMetadata: { contentType: "application/json" } };
  const write = () => bucket.put(recordKey(name), JSON.stringify(record), options);
  return stored(async () => {
    const object = await write().catch(() => scheduler.wait(WRITE_PAUSE_MS).then(write));
    return object && { record, etag: object.etag };
  });
}

export function deleteRecord(bucket, name) {
  return stored(() => bucket.delete(recordKey(name)));
}

/** Keeps a request until its provider takes it. The bytes of an image by key stay where they are. */
export function keepRequest(bucket, generation, request) {
  const image = request.image && keptImage(request.image);
  return stored(() => bucket.put(requestKey(generation), JSON.stringify({ ...request, image })));
}

export function keptRequest(bucket, generation) {
  return stored(async () => (await bucket.get(requestKey(generation)))?.json());
}

export function dropRequest(bucket, generation) {
  return stored(() => bucket.delete(requestKey(generation)));
}

/** Requests that nobody polled past their deadline no longer count. */
export async function queueIsFull(bucket) {
  const { objects } = await stored(() => bucket.list({ prefix: "_queue/", limit: LARGEST_QUEUE }));
  const stale = objects.filter(({ uploaded }) => uploaded.getTime() < Date.now() - QUEUE_DEADLINE_MS);
  if (stale.length > 0) await stored(() => bucket.delete(stale.map(({ key }) => key)));
  return objects.length - stale.length >= LARGEST_QUEUE;
}

function keptImage({ key, bytes }) {
  return key ? { key } : { base64: bytes.toBase64() };
}

function recordKey(name) {
  return `_jobs/${name}.json`;
}

function requestKey(generation) {
  return `_queue/${generation}.json`;
}
