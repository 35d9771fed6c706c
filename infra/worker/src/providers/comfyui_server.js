/**
 * Where one prompt is: on a server of one's own, and on Comfy Cloud, which differs in exactly this.
 *
 * `look(job)` answers {place: "queued" | "running"}, {place: "ended", entry}, {place: "failed" | "canceled", signal},
 * or {place: "nowhere"}. Sources: recordings of 0.25.0 and 0.3.64; docs.comfy.org for Comfy Cloud, not called live.
 */

import { ProviderFailure } from "../failures.js";
import { signalOfBody } from "../failure_signals.js";

const CLOUD_HOST = "cloud.comfy.org";
const CLOUD_PLACE = {
  success: "ended",
  completed: "ended",
  error: "failed",
  failed: "failed",
  non_retryable_error: "failed",
  cancelled: "canceled",
  lost: "nowhere",
  running: "running",
  executing: "running",
  in_progress: "running",
};

export function serverAt(endpoint, session) {
  const isCloud = URL.canParse(endpoint) && new URL(endpoint).host === CLOUD_HOST;
  const look = isCloud ? lookAtCloud : lookAtServer;
  return { look: (job) => look(session, encodeURIComponent(job), job), cancel: (job) => cancel(session, look, job) };
}

/** /history is `{}` for a prompt that waits, runs, was deleted or never came: the queue tells which. */
async function lookAtServer(session, path, job) {
  const entry = await history(session, path, job);
  if (entry) return { place: "ended", entry };
  const place = await placeInQueue(session, job);
  if (place) return { place };
  const late = await history(session, path, job); // it may have ended between the two questions
  return late ? { place: "ended", entry: late } : { place: "nowhere" };
}

async function history(session, path, job) {
  return (await session.get(`/history/${path}`))[job];
}

async function placeInQueue(session, job) {
  const queue = await session.get("/queue");
  const has = (entries) => (entries ?? []).some(([, id]) => id === job);
  if (has(queue.queue_running)) return "running";
  return has(queue.queue_pending) ? "queued" : undefined;
}

async function lookAtCloud(session, path, job) {
  const status = await cloudStatus(session, path);
  const place = CLOUD_PLACE[status] ?? (status === undefined ? "nowhere" : "queued");
  if (place === "ended") {
    const answer = await session.get(`/history_v2/${path}`);
    return { place, entry: answer[job] ?? answer };
  }
  if (place === "failed") return { place, signal: signalOfBody(await session.get(`/jobs/${path}`), "comfyui") };
  if (place === "canceled") return { place, signal: session.signal("interrupted", "the job was cancelled") };
  return { place };
}

async function cloudStatus(session, path) {
  try {
    return (await session.get(`/job/${path}/status`)).status ?? "queued";
  } catch (error) {
    if (error instanceof ProviderFailure && error.signal.status === 404) return undefined;
    throw error;
  }
}

/** Interrupts only what runs: a server that ignores the id would end somebody else's run. */
async function cancel(session, look, job) {
  const { place } = await look(session, encodeURIComponent(job), job);
  if (place === "queued") await session.tell("/queue", { delete: [job] });
  if (place !== "queued" && place !== "running") return;
  const now = await look(session, encodeURIComponent(job), job);
  if (now.place === "running") await session.tell("/interrupt", { prompt_id: job });
}
