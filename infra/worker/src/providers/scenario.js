/** Scenario: jobs, then assets. Both request shapes: `custom` (current) and `legacy` (one route per operation). */

import { ProviderFailure } from "../failures.js";
import { signalOfBody } from "../failure_signals.js";
import { Session } from "../http.js";
import { nativeSize } from "../workflows.js";

const BASE_URL = "https://api.cloud.scenario.com/v1";
const CLOCK_TOLERANCE_MS = 60_000; // between Scenario's clock and ours

const STATUS = {
  pending: "queued",
  queued: "queued",
  "warming-up": "queued",
  "in-progress": "running",
  finalizing: "running",
  success: "succeeded",
  failure: "failed",
  canceled: "canceled",
};
const LEGACY_ROUTE = { txt2img: "txt2img", img2img: "img2img", remove_background: "remove-background" };

export const scenario = {
  name: "scenario",
  variables: ["SCENARIO_API_KEY", "SCENARIO_SECRET_API_KEY"],
  secrets: (env) => [env.SCENARIO_API_KEY, env.SCENARIO_SECRET_API_KEY],
  maxImageBytes: 6_000_000, // POST /assets; what larger uploads answer is not confirmed
  operations({ scenario: { requestShape, models } }) {
    const isServed = (operation) => models[operation] || (requestShape === "legacy" && operation === "remove_background");
    const single = ["txt2img", "img2img", "remove_background"].filter(isServed);
    return single.includes("txt2img") && single.includes("remove_background") ? [...single, "pipeline"] : single;
  },
  stages: (operation) => (operation === "pipeline" ? 2 : 1),
  connect(env, settings) {
    const credentials = new TextEncoder().encode(`${env.SCENARIO_API_KEY}:${env.SCENARIO_SECRET_API_KEY}`);
    const headers = { Authorization: `Basic ${credentials.toBase64()}` };
    const session = new Session("scenario", env.SCENARIO_BASE_URL || BASE_URL, headers);
    return {
      submit: (work) => submit(session, settings.scenario, work),
      poll: (job) => poll(session, job),
      find: (work) => find(session, work),
      cancel: (job) => cancel(session, job),
      health: () => health(session),
    };
  },
};

async function submit(session, shape, work) {
  const image = work.input ?? (work.request.image && (await upload(session, work)));
  const [path, body] = creation(shape, work, image);
  const answer = await session.submit(path, body);
  const job = answer.job?.jobId ?? answer.job?.id; // the quick start shows `id`, everything else `jobId`
  if (typeof job !== "string") throw new ProviderFailure(signalOfBody(answer, "scenario"), { ambiguous: true });
  return job;
}

/** The call that creates a job: `[path, body]`. */
function creation({ requestShape, models }, work, image) {
  const operation = stageOperation(work);
  const model = models[operation];
  if (requestShape === "legacy") {
    const route = `/generate/${LEGACY_ROUTE[operation]}`;
    if (operation === "remove_background") return [route, { image, format: "png" }];
    const { negative_prompt: negativePrompt, ...fields } = generationFields(work);
    return [route, { modelId: model, numSamples: 1, ...fields, negativePrompt, image }];
  }
  const path = `/generate/custom/${encodeURIComponent(model)}`;
  if (operation === "remove_background") return [path, { image }];
  const { negative_prompt: negativePrompt, ...fields } = generationFields(work);
  return [path, { ...fields, negativePrompt, image }];
}

/** Scenario has no step that scales down: a pipeline generates at the model's size, and the gateway scales. */
function generationFields({ operation, request }) {
  const { prompt, negative_prompt, seed, strength } = request;
  const [width, height] =
    operation === "pipeline" ? nativeSize(request.width, request.height) : [request.width, request.height];
  return { prompt, negative_prompt, width, height, seed, strength };
}

function stageOperation({ operation, stage }) {
  if (operation !== "pipeline") return operation;
  return stage === 0 ? "txt2img" : "remove_background";
}

async function upload(session, { generation, request: { image } }) {
  const name = `${generation}.${image.extension}`;
  const { asset } = await session.post("/assets", { image: image.bytes.toBase64(), name });
  if (typeof asset?.id !== "string") throw new ProviderFailure(session.signal("result:missing", "the upload gave no asset"));
  return asset.id;
}

async function poll(session, job) {
  const answer = await session.get(`/jobs/${encodeURIComponent(job)}`);
  const word = session.state(answer.job);
  const found = { status: STATUS[word] ?? "failed", word, timings: timingsOf(answer.job) };
  if (found.status === "queued" || found.status === "running") return found;
  const signal = signalOfBody(answer, "scenario");
  if (found.status !== "succeeded") return { ...found, signal };
  if (/\bresult:/.test(signal.code)) return { ...found, status: "failed", signal };
  return { ...found, outputs: answer.job.metadata.assetIds.map((id) => ({ handle: id, read: () => read(session, id) })) };
}

/** The asset's address is signed and expires: it is used at once and kept nowhere. */
async function read(session, id) {
  const { asset } = await session.get(`/assets/${encodeURIComponent(id)}?originalAssets=true`);
  if (typeof asset?.url !== "string") {
    throw new ProviderFailure(session.signal("result:missing", "the finished asset has no address"));
  }
  return session.download(asset.url);
}

function timingsOf(job) {
  const at = (status) => Date.parse((job?.statusHistory ?? []).find((entry) => entry.status === status)?.date ?? "");
  const [created, started] = [Date.parse(job?.createdAt ?? ""), at("in-progress")];
  return { queue_ms: difference(created, started), run_ms: difference(started, at("success")) };
}

function difference(from, to) {
  return Number.isFinite(from) && Number.isFinite(to) ? Math.max(0, to - from) : undefined;
}

/**
 * Looks for the job among the newest: a chain's second stage by its input asset, a first stage by prompt and seed.
 * That a job's metadata.input repeats its inputs is from the SDK's types, not confirmed on the wire.
 */
async function find(session, work) {
  if (!work.input && !work.request?.prompt) return undefined;
  const { jobs } = await session.get("/jobs?pageSize=100");
  if (!Array.isArray(jobs)) return undefined;
  const recent = jobs.filter((job) => Date.parse(job.createdAt ?? "") >= work.since - CLOCK_TOLERANCE_MS);
  const match = recent.find((job) => isOf(job.metadata?.input ?? {}, work));
  return match ? (match.jobId ?? match.id) : null;
}

function isOf(input, { input: asset, request }) {
  if (asset) return input.image === asset;
  return input.prompt === request.prompt && Number(input.seed) === request.seed;
}

async function cancel(session, job) {
  try {
    await session.tell(`/jobs/${encodeURIComponent(job)}/action`, { action: "cancel" });
  } catch (error) {
    if (!(error instanceof ProviderFailure) || ![400, 404, 409].includes(error.signal.status)) throw error;
  }
}

/** The cheapest question that proves key and secret (as two public clients ask it). */
async function health(session) {
  await session.get("/models?pageSize=1");
  return { healthy: true, detail: "the credentials are accepted" };
}
