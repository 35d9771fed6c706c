/** POST, GET and DELETE of generations. */

import { admit } from "./admission.js";
import { readJson } from "./body.js";
import { handleOf, idOf, newHandle, recordsOfKey } from "./handles.js";
import { Problem } from "./problems.js";
import { advance, cancel, recorded } from "./progress.js";
import { connect } from "./providers/index.js";
import { isFinal, readRecord, writeRecord } from "./records.js";
import { completed } from "./requests.js";
import { assetUrl } from "./storage.js";
import { attempt, retryAfterSeconds } from "./submission.js";
import { validate } from "./validation.js";

const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;
const LONGEST_WAIT_SECONDS = 60;
const FIRST_POLL_MS = 250;
const LONGEST_POLL_MS = 2000;

export async function createGeneration(context) {
  const { settings, request: { headers } } = context;
  const provider = connect(settings.provider, context);
  const key = idempotencyKey(headers);
  checkPurpose(headers);
  const body = await readJson(context.request, settings.gateway.maxBodyBytes);
  const asked = validate(body, provider.operations(settings), settings.gateway);
  const digest = key && (await digestOf(asked));
  const repeated = key && (await repeatedGeneration(context, key, digest));
  if (repeated) return answerWaiting(context, repeated);
  admit(context);
  const request = await completed(context, provider, asked);
  const created = key
    ? await createOnce(context, provider, request, key, digest)
    : await create(context, provider, request, newHandle(provider.name, request, headers));
  return answerWaiting(context, created);
}

export async function showGeneration(context, id) {
  const handle = await handleOf(id, context.settings);
  return answer(context, { handle, record: await advance(context, handle) }, 200);
}

export async function cancelGeneration(context, id) {
  const handle = await handleOf(id, context.settings);
  return answer(context, { handle, record: await cancel(context, handle) }, 200);
}

/** The claim comes first: of any number of requests with one key exactly one submits, across versions too. */
async function createOnce(context, provider, request, key, digest) {
  const [name] = await recordsOfKey(key, context.settings);
  const handle = newHandle(provider.name, request, context.request.headers, name);
  const claim = { ...submitting(), digest, handle };
  const held = await writeRecord(context.bucket, name, null, claim);
  if (held) return create(context, provider, request, handle, held);
  const repeated = await repeatedGeneration(context, key, digest);
  if (repeated) return repeated;
  throw new Problem(409, "BAD_REQUEST", "a request with this Idempotency-Key was just refused; send it again", {
    retryable: true,
  });
}

/** Without a claim nothing is written for a job that starts at once: its id says all that is needed. */
async function create(context, provider, request, handle, held = null) {
  const record = held?.record ?? submitting();
  const step = { context, handle, provider, held, record };
  const outcome = await attempt(step, request);
  const started = { handle: { ...handle, job: outcome.job }, record: { ...record, ...outcome } };
  const isStarted = outcome.state === "submitted";
  if (isStarted && !held) return started;
  try {
    return { handle, record: await recorded(step, outcome, request) };
  } catch (error) {
    if (isStarted) return started; // paid, but the bucket refused the note: then the id has to carry the job
    throw error;
  }
}

function submitting() {
  return { state: "submitting", stage: 0, since: Date.now() };
}

async function repeatedGeneration(context, key, digest) {
  for (const name of await recordsOfKey(key, context.settings)) {
    const held = await readRecord(context.bucket, name);
    if (!held) continue;
    if (held.record.digest === digest) return { handle: held.record.handle, record: held.record };
    throw new Problem(422, "BAD_REQUEST", "this Idempotency-Key was used for another request");
  }
  return undefined;
}

async function digestOf(request) {
  const canonical = JSON.stringify(Object.entries(request).sort(([a], [b]) => (a < b ? -1 : 1)));
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(canonical))).toHex();
}

function idempotencyKey(headers) {
  const key = headers.get("Idempotency-Key");
  if (key === null || IDEMPOTENCY_KEY.test(key)) return key;
  throw new Problem(400, "BAD_REQUEST", "Idempotency-Key must be 1 to 255 printable ASCII characters without blanks");
}

function checkPurpose(headers) {
  if (["verification", null].includes(headers.get("Switchback-Purpose"))) return;
  throw new Problem(400, "BAD_REQUEST", "Switchback-Purpose can only be verification");
}

/** `Prefer: wait=N` (RFC 7240): the answer is held back until the generation ends, at most so many seconds. */
async function answerWaiting(context, created) {
  const seconds = preferredWait(context.request.headers);
  const headers = seconds === undefined ? {} : { "Preference-Applied": `wait=${seconds}` };
  const end = Date.now() + (seconds ?? 0) * 1000;
  let { record } = created;
  for (let pause = FIRST_POLL_MS; !isFinal(record) && Date.now() < end; pause = Math.min(pause * 1.5, LONGEST_POLL_MS)) {
    await scheduler.wait(Math.min(pause, end - Date.now()));
    const next = await orNothing(advance(context, created.handle));
    if (!next) break; // the caller gets the id and asks again, instead of losing it to a provider's hiccup
    record = next;
  }
  return answer(context, { ...created, record }, isFinal(record) ? 200 : 202, headers);
}

async function orNothing(promise) {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof Problem) return undefined;
    throw error;
  }
}

function preferredWait(headers) {
  const [, seconds] = /(?:^|[,;\s])wait=(\d{1,6})(?:$|[,;\s])/i.exec(headers.get("Prefer") ?? "") ?? [];
  return seconds === undefined ? undefined : Math.min(Number(seconds), LONGEST_WAIT_SECONDS);
}

async function answer(context, { handle, record }, status, extra = {}) {
  const id = await idOf(handle, context.settings);
  const headers = { "Cache-Control": "no-store", ...extra };
  if (context.request.method === "POST") headers.Location = `/v1/generations/${id}`;
  const retryAfter = retryAfterSeconds(record);
  if (retryAfter !== undefined) headers["Retry-After"] = String(retryAfter);
  return Response.json(view(context, id, handle, record), { status, headers });
}

function view(context, id, handle, record) {
  const { queue_ms, run_ms, store_ms } = record.timings ?? {};
  return {
    id,
    status: statusOf(record),
    provider: handle.provider,
    operation: handle.operation,
    assets: (record.assets ?? []).map((asset) => ({ url: assetUrl(context, asset.key), ...asset })),
    timings: { queue_ms, run_ms, store_ms },
    error: record.error,
  };
}

function statusOf({ state, stage, progress }) {
  if (state === "submitted") return progress ?? (stage > 0 ? "running" : "queued");
  if (state === "queued" || state === "submitting") return stage > 0 ? "running" : "queued";
  return state;
}
