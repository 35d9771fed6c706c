/** Brings a generation one step further whenever somebody asks for it. */

import { ProviderFailure } from "./failures.js";
import { sniff, isPng } from "./images.js";
import { logError, logGeneration } from "./log.js";
import { scaled } from "./png_scale.js";
import { Problem, upstreamProblem } from "./problems.js";
import { connect } from "./providers/index.js";
import {
  deleteRecord, dropRequest, isFinal, keepRequest, keptRequest, queueIsFull, readRecord, writeRecord,
} from "./records.js";
import { loadImage } from "./requests.js";
import { storeAsset } from "./storage.js";
import { attempt, failureOf, isPastQueueDeadline, queueFull, workOf } from "./submission.js";

const GENERATION_DEADLINE_MS = 30 * 60 * 1000; // RunPod keeps results no longer
const LEASE_MS = 90_000; // a submit takes at most 30 s, with an upload before it 60 s
const QUIET_MS = 15_000; // after this a request that is not at the provider is no longer on its way
const CONFIRMATION_DEADLINE_MS = 5 * 60 * 1000;

/** The generation's record after one step. Raises a Problem when the provider cannot be asked now. */
export async function advance(context, handle) {
  const step = await currentStep(context, handle);
  if (isFinal(step.record)) return step.record;
  const connected = { ...step, provider: connect(handle.provider, context) };
  return asking(connected, () => {
    if (step.record.state === "queued") return resume(connected);
    if (step.record.state === "submitting") return confirm(connected);
    return follow(connected);
  });
}

/** Stops a generation at its provider, so that nothing bills that nobody waits for. */
export async function cancel(context, handle) {
  const step = await currentStep(context, handle);
  if (isFinal(step.record)) return step.record;
  const connected = { ...step, provider: connect(handle.provider, context) };
  return asking(connected, async () => {
    const job = step.record.job ?? (step.record.ambiguous ? await locate(connected) : undefined);
    if (job) await connected.provider.client.cancel(job);
    const record = await settle(connected, { state: "canceled" });
    return isFinal(record) ? record : cancel(context, handle); // the job moved on meanwhile: stop that one
  });
}

/** A provider names the job of a generation: the proof that a submit whose answer got lost did arrive. */
export async function arrived(context, handle) {
  const step = await currentStep(context, handle);
  if (!step.held || isFinal(step.record)) return !isFinal(step.record);
  if (step.held.record.job) return step.held.record.job === handle.job;
  await settle({ ...step, record: step.held.record }, { state: "submitted", job: handle.job, ambiguous: undefined });
  return true;
}

/** What is known of a generation without asking its provider. */
export async function currentStep(context, handle) {
  const held = await readRecord(context.bucket, handle.record);
  if (!held && !handle.job) throw new Problem(410, "BAD_REQUEST", "this generation is no longer known");
  // A job is known before its submit is on record: from an id given out when the bucket refused, or from a webhook.
  const isAhead = !held || (handle.job && held.record.state === "submitting" && held.record.stage === handle.stage);
  const fromId = { state: "submitted", job: handle.job, stage: handle.stage, since: handle.issued * 1000 };
  const record = isAhead ? { ...held?.record, ambiguous: undefined, ...fromId } : held.record;
  return { context, handle, held, record };
}

/** Records what a submit came to, keeping the request where it has to be sent again. */
export async function recorded(step, outcome, request) {
  const { context, handle, held, record, provider } = step;
  const waits = outcome.state === "queued" || outcome.state === "submitting";
  if (waits && request) {
    const isNew = record.queuedSince === undefined && !record.ambiguous;
    if (isNew && outcome.state === "queued" && (await queueIsFull(context.bucket))) {
      if (held) await deleteRecord(context.bucket, handle.record);
      throw queueFull();
    }
    await keepRequest(context.bucket, handle.generation, request);
  }
  const result = await settle(step, outcome);
  if (result.state === "canceled" && outcome.job) await asking(step, () => provider.client.cancel(outcome.job));
  return result;
}

async function submitHeld(step, request) {
  return recorded(step, await attempt(step, request), request);
}

/** Writes the next state, or returns the one that somebody else wrote first. An end outlasts other news of the job. */
export async function settle(step, change) {
  const { context, handle, held, record } = step;
  const next = { ...record, ...change };
  const written = await writeRecord(context.bucket, handle.record, held, next);
  if (!written) {
    const now = await currentStep(context, handle);
    const isSameJob = now.record.stage === record.stage && now.record.job === record.job;
    return isFinal(next) && isSameJob && !isFinal(now.record) ? settle({ ...step, held: now.held }, change) : now.record;
  }
  if (isFinal(next)) logGeneration(context, handle, { ...next, status: next.state });
  const waited = record.queuedSince !== undefined || record.ambiguous || held?.record.ambiguous;
  if (waited && (isFinal(next) || next.state === "submitted")) await dropRequest(context.bucket, handle.generation);
  return next;
}

async function asking(step, question) {
  try {
    return await question();
  } catch (error) {
    if (error instanceof ProviderFailure) throw upstreamProblem(failureOf(error, step), error.retryAfter);
    if (!(error instanceof TypeError)) throw error;
    logError(step.context, error);
    const signal = { provider: step.handle.provider, status: null, code: "answer:not_json", text: "an answer of unknown form" };
    throw upstreamProblem(failureOf({ signal }, step));
  }
}

/** The provider said 429 before: one poll after the pause submits again. */
async function resume(step) {
  const { record } = step;
  const now = Date.now();
  if (isPastQueueDeadline(record, now)) return fail(step, "", "it refused the job for its rate limit until the deadline", 429);
  if (now < record.notBefore) return record;
  return submitAgain(step);
}

/** A submit's answer got lost, or whoever submitted did. Before anything is sent again, the job is looked for. */
async function confirm(step) {
  const { record } = step;
  const waited = Date.now() - record.since;
  if (!record.ambiguous && waited < LEASE_MS) return record;
  const job = await locate(step);
  if (job) return settle(step, { state: "submitted", job, ambiguous: undefined });
  if (job === null && waited > QUIET_MS) return submitAgain(step);
  if (waited > CONFIRMATION_DEADLINE_MS) return unconfirmed(step);
  return record;
}

async function locate(step) {
  const request = step.record.input ? undefined : await keptRequest(step.context.bucket, step.handle.generation);
  return step.provider.client.find(await workOf(step, request));
}

async function submitAgain(step) {
  const { context, handle, record, held } = step;
  const kept = record.input ? undefined : await keptRequest(context.bucket, handle.generation);
  if (!record.input && !kept) return unconfirmed(step);
  const request = kept && { ...kept, image: await loadImage(context, step.provider, kept.image) };
  const next = { ...record, state: "submitting", ambiguous: undefined, since: Date.now() };
  const claim = await writeRecord(context.bucket, handle.record, held, next);
  if (!claim) return (await currentStep(context, handle)).record;
  return submitHeld({ ...step, held: claim, record: { ...claim.record, ambiguous: record.ambiguous } }, request);
}

function unconfirmed(step) {
  return fail(step, "transport:timeout", "the answer to the submit got lost and the job was not found; it may have run once");
}

async function follow(step) {
  const { provider, handle, record } = step;
  const polled = await provider.client.poll(record.job, { operation: handle.operation, stage: record.stage });
  const timings = total(record.timings, polled.timings);
  if (polled.status === "queued" || polled.status === "running") {
    if (Date.now() > handle.issued * 1000 + GENERATION_DEADLINE_MS) return giveUp(step, polled.word);
    return { ...record, progress: polled.status, timings };
  }
  if (polled.status !== "succeeded") {
    return settle(step, { state: polled.status, error: failureOf(polled, step), timings });
  }
  const isLast = record.stage + 1 >= provider.stages(handle.operation);
  return isLast ? store(step, polled.outputs, timings) : nextStage(step, polled.outputs[0].handle, timings);
}

async function giveUp(step, word) {
  await step.provider.client.cancel(step.record.job);
  return fail(step, `deadline:${word}`, "it did not finish before the gateway's deadline; the job was cancelled");
}

async function nextStage(step, input, timings) {
  const { context, handle, held, record } = step;
  const next = { ...record, state: "submitting", stage: record.stage + 1, job: undefined, input, since: Date.now(), timings };
  const claim = await writeRecord(context.bucket, handle.record, held, next);
  if (!claim) return (await currentStep(context, handle)).record;
  return submitHeld({ ...step, held: claim, record: next });
}

async function store(step, outputs, timings) {
  const { context, handle } = step;
  const started = Date.now();
  const assets = [];
  for (const [index, output] of outputs.entries()) {
    const bytes = await readOutput(step, output);
    if (!bytes.content) return settle(step, { state: "failed", error: failureOf(bytes, step), timings });
    const asset = await storeAsset(context.bucket, handle, index, bytes.content);
    if (!asset) return fail(step, "result:not_an_image", "the finished picture is damaged or no picture", null, timings);
    assets.push(asset);
  }
  return settle(step, { state: "succeeded", assets, timings: { ...timings, store_ms: Date.now() - started } });
}

/** `{content}`, in the size that a pipeline was asked for, or `{signal}` when there is nothing to be had. */
async function readOutput({ handle, provider }, output) {
  try {
    const bytes = await output.read();
    return { content: handle.size ? await fitted(bytes, handle.size, provider.name) : bytes };
  } catch (error) {
    if (error instanceof ProviderFailure && error.signal.code.startsWith("result:")) return { signal: error.signal };
    throw error;
  }
}

async function fitted(bytes, [width, height], provider) {
  const picture = sniff(bytes);
  if (!picture?.complete || (picture.width === width && picture.height === height)) return bytes;
  const result = isPng(bytes) ? await scaled(bytes, width, height) : null;
  if (result) return result;
  const shape = `${picture.width} × ${picture.height}, ${picture.type}`;
  const text = `the picture (${shape}) is damaged or in a form that cannot be scaled`;
  throw new ProviderFailure({ provider, status: null, code: "result:not_scalable", text });
}

function fail(step, code, text, status = null, timings = step.record.timings) {
  const signal = { provider: step.handle.provider, status, code, text };
  return settle(step, { state: "failed", error: failureOf({ signal }, step), timings });
}

function total(before = {}, now = {}) {
  const sum = (name) => (before[name] === undefined ? now[name] : before[name] + (now[name] ?? 0));
  return { queue_ms: sum("queue_ms"), run_ms: sum("run_ms") };
}
