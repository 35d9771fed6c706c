/** RunPod serverless with worker-comfyui inside (runpod-workers/worker-comfyui 5.8.5). */

import { ProviderFailure } from "../failures.js";
import { signalOfBody } from "../failure_signals.js";
import { Session } from "../http.js";
import { graphFor } from "../workflows.js";

const BASE_URL = "https://api.runpod.ai/v2";
const LARGEST_REQUEST = 10_000_000; // RunPod's limit for the body of /run
const JOB_LIFETIME_MS = 30 * 60 * 1000; // a job that nobody wants any more ends by itself

const STATUS = {
  IN_QUEUE: "queued",
  IN_PROGRESS: "running",
  RUNNING: "running",
  COMPLETED: "succeeded",
  CANCELLED: "canceled",
};

export const runpod = {
  name: "runpod",
  variables: ["RUNPOD_API_KEY", "RUNPOD_COMFYUI_ENDPOINT_ID"],
  secrets: (env) => [env.RUNPOD_API_KEY, env.RUNPOD_COMFYUI_ENDPOINT_ID],
  maxImageBytes: Math.floor((LARGEST_REQUEST - 100_000) * 0.75), // base64, and the graph beside it
  operations: () => ["txt2img", "img2img", "remove_background", "pipeline"],
  stages: () => 1,
  webhookJob: ({ id }) => (typeof id === "string" && /^[\w-]{1,100}$/.test(id) ? id : undefined),
  connect(env, settings) {
    const base = (env.RUNPOD_ENDPOINT_BASE_URL || BASE_URL).replace(/\/+$/, "");
    const session = new Session("runpod", `${base}/${encodeURIComponent(env.RUNPOD_COMFYUI_ENDPOINT_ID)}`, {
      Authorization: `Bearer ${env.RUNPOD_API_KEY}`,
    });
    return {
      submit: (work) => submit(session, settings, work),
      poll: (job) => poll(session, job),
      find: () => find(session),
      cancel: (job) => cancel(session, job),
      health: () => health(session),
    };
  },
};

async function submit(session, settings, work) {
  const image = work.request.image;
  const name = image && `${work.generation}.${image.extension}`;
  const input = { workflow: graphFor(work, settings, name) };
  if (image) input.images = [{ name, image: image.bytes.toBase64() }];
  const answer = await session.submit("/run", {
    input,
    webhook: work.webhook,
    policy: { ttl: JOB_LIFETIME_MS },
  });
  if (typeof answer.id !== "string") throw new ProviderFailure(signalOfBody(answer, "runpod"), { ambiguous: true });
  return answer.id;
}

async function poll(session, job) {
  const answer = await status(session, job);
  if (answer === null) return forgotten(session);
  const timings = { queue_ms: answer.delayTime, run_ms: answer.executionTime };
  const word = session.state(answer);
  const found = { status: STATUS[word] ?? "failed", word, timings };
  if (found.status === "queued" || found.status === "running") return found;
  const signal = signalOfBody(answer, "runpod");
  if (found.status !== "succeeded") return { ...found, signal };
  // "success" with errors beside the images is a part of the result; without an output it is nothing.
  if (/\bresult:/.test(signal.code)) return { ...found, status: "failed", signal };
  return { ...found, outputs: answer.output.images.map((image) => ({ read: () => read(session, image) })) };
}

async function status(session, job) {
  try {
    return inCurrentForm(await session.get(`/status/${encodeURIComponent(job)}`));
  } catch (error) {
    if (error instanceof ProviderFailure && error.signal.status === 404) return null;
    throw error;
  }
}

/** worker-comfyui before 5.0 gave one picture, as `message`: an address, or base64. */
function inCurrentForm(answer) {
  const { status: ending, message, images } = answer.output ?? {};
  if (ending !== "success" || images !== undefined) return answer;
  const type = /^https?:\/\//.test(message) ? "s3_url" : "base64";
  return { ...answer, output: { images: [{ type, data: message }] } };
}

/** RunPod forgets a job 30 minutes after it ended, or when its time to live is over. */
function forgotten(session) {
  return { status: "failed", word: "gone", signal: session.signal("", "RunPod no longer knows the job", 404) };
}

async function read(session, image) {
  if (image?.type === "s3_url") return session.download(image.data);
  try {
    return Uint8Array.fromBase64(String(image?.data).replace(/^data:[^,]*,/, ""));
  } catch {
    return new Uint8Array(0); // no picture: EMPTY_RESULT
  }
}

/**
 * RunPod takes no id of ours and lists no jobs: whether a lost /run arrived, only its webhook will tell. What can
 * be known now is whether RunPod answers at all.
 */
async function find(session) {
  await health(session);
  return undefined;
}

async function cancel(session, job) {
  try {
    await session.tell(`/cancel/${encodeURIComponent(job)}`, {});
  } catch (error) {
    if (!(error instanceof ProviderFailure) || ![400, 404, 409].includes(error.signal.status)) throw error;
  }
}

/** Zero workers is healthy: they start on demand. Only unhealthy or throttled ones, and none else, are not. */
async function health(session) {
  const { jobs = {}, workers = {} } = await session.get("/health");
  const sum = (names) => names.reduce((total, name) => total + (workers[name] ?? 0), 0);
  const isAble = sum(["idle", "initializing", "ready", "running"]) > 0 || sum(["unhealthy", "throttled"]) === 0;
  const seen = Object.entries(workers).filter(([, count]) => count > 0);
  const detail = seen.map(([name, count]) => `${count} ${name}`).join(", ") || "no workers, they start on demand";
  return { healthy: isAble, detail: `${detail}; ${jobs.inQueue ?? 0} jobs in the queue` };
}
