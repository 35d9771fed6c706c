/** The one place where money is spent: a submit is made only by whoever holds the generation's claim. */

import { ProviderFailure, classify } from "./failures.js";
import { webhookUrl } from "./handles.js";
import { logError } from "./log.js";
import { Problem } from "./problems.js";
import { QUEUE_DEADLINE_MS } from "./records.js";

const LONGEST_PAUSE_MS = 30_000;

/** What an adapter needs to know of a job. */
export async function workOf({ context, handle, record }, request) {
  const { generation, operation } = handle;
  const webhook = await webhookUrl(handle, context);
  return { generation, operation, stage: record.stage, input: record.input, request, webhook, since: record.since };
}

/**
 * Submits once and says what the record has to become.
 * @returns {Promise<object>} a change of the record: submitted, queued after a 429, still submitting when the
 *   answer got lost and the job may exist, or failed
 */
export async function attempt(step, request) {
  const { provider, record } = step;
  const work = await workOf(step, request ?? { ...sizeOf(step.handle) });
  try {
    return { state: "submitted", job: await provider.client.submit(work), ambiguous: undefined };
  } catch (error) {
    if (error instanceof TypeError) return unreadable(step.context, error);
    if (!(error instanceof ProviderFailure)) throw error;
    if (error.ambiguous) return { state: "submitting", ambiguous: true };
    const failure = failureOf(error, step);
    if (failure.kind === "RATE_LIMITED") return queued(record, error.retryAfter);
    return { state: "failed", error: failure };
  }
}

/** The provider answered in a form that the adapter does not know: the job may exist. */
function unreadable(context, error) {
  logError(context, error);
  return { state: "submitting", ambiguous: true };
}

export function failureOf({ signal }, { context, provider }) {
  return classify(signal, context.settings, provider.secrets(context.env));
}

/** How long this record may wait for the provider's first yes. */
export function isPastQueueDeadline(record, now) {
  return now > (record.queuedSince ?? now) + QUEUE_DEADLINE_MS;
}

export function retryAfterSeconds(record, now = Date.now()) {
  return record.state === "queued" ? Math.max(1, Math.ceil((record.notBefore - now) / 1000)) : undefined;
}

export function queueFull() {
  return new Problem(429, "RATE_LIMITED", "the provider limits its rate and the gateway's own queue is full", {
    headers: { "Retry-After": "30" },
    mitigation: "Wait as long as Retry-After says and send fewer at once.",
  });
}

function queued(record, retryAfter) {
  const now = Date.now();
  const attempts = (record.attempts ?? 0) + 1;
  const pause = retryAfter !== undefined ? retryAfter * 1000 : Math.min(1000 * 2 ** attempts, LONGEST_PAUSE_MS);
  const notBefore = now + pause * (1 + Math.random() / 4); // jitter: queued jobs must not come back all at once
  return { state: "queued", ambiguous: undefined, attempts, notBefore, queuedSince: record.queuedSince ?? now };
}

function sizeOf({ size: [width, height] = [] }) {
  return { width, height };
}
