/** ComfyUI over its own HTTP API: a server of one's own, one behind a proxy that wants a key, or Comfy Cloud. */

import { ProviderFailure } from "../failures.js";
import { signalOfBody } from "../failure_signals.js";
import { Session } from "../http.js";
import { graphFor, outputNode } from "../workflows.js";
import { serverAt } from "./comfyui_server.js";

export const comfyui = {
  name: "comfyui",
  variables: ["COMFYUI_ENDPOINT"],
  secrets: (env) => [env.COMFYUI_ENDPOINT, ...Object.values(authHeaders(env.COMFYUI_API_KEY))],
  maxImageBytes: 100 * 1024 * 1024, // --max-upload-size
  operations: () => ["txt2img", "img2img", "remove_background", "pipeline"],
  stages: () => 1,
  connect(env, settings) {
    const session = new Session("comfyui", env.COMFYUI_ENDPOINT, authHeaders(env.COMFYUI_API_KEY));
    const server = serverAt(env.COMFYUI_ENDPOINT, session);
    return {
      submit: (work) => submit(session, server, settings, work),
      poll: (job, work) => poll(session, server, job, work),
      find: (work) => find(server, work.generation),
      cancel: server.cancel,
      health: () => health(session),
    };
  },
};

/** ComfyUI knows no keys; what guards it takes a bearer token, X-API-Key, or the header in a key like "Name: value". */
function authHeaders(key) {
  if (!key) return {};
  const [, name, value] = /^([^:]+):(.*)$/.exec(key) ?? [];
  return name ? { [name.trim()]: value.trim() } : { Authorization: `Bearer ${key}`, "X-API-Key": key };
}

/** The prompt's id is the generation's: a submit whose answer got lost can be looked for. */
async function submit(session, server, settings, work) {
  const image = work.request.image;
  const name = image && (await upload(session, work.generation, image));
  const answer = await session.submit("/prompt", {
    prompt: graphFor(work, settings, name),
    prompt_id: work.generation,
    client_id: work.generation,
  });
  if (answer.prompt_id && Object.keys(answer.node_errors ?? {}).length === 0) return answer.prompt_id;
  // 200 with node errors: a part of the graph runs and would be paid for.
  if (answer.prompt_id) await server.cancel(answer.prompt_id);
  throw new ProviderFailure(signalOfBody(answer, "comfyui", 200));
}

async function upload(session, generation, image) {
  const form = new FormData();
  form.append("image", new File([image.bytes], `${generation}.${image.extension}`, { type: image.type }));
  form.append("overwrite", "true");
  const { name, subfolder } = await session.json("/upload/image", { method: "POST", body: form });
  return subfolder ? `${subfolder}/${name}` : name;
}

async function poll(session, server, job, work) {
  const { place, entry, signal } = await server.look(job);
  if (entry) return finished(session, entry, work);
  if (place !== "nowhere") return { status: place, word: place, signal };
  const lost = "the server no longer knows the prompt: it was deleted, or the server restarted";
  return { status: "failed", word: "lost", signal: session.signal("deadline:lost", lost) };
}

function finished(session, entry, { operation }) {
  const timings = timingsOf(entry);
  const signal = signalOfBody(entry, "comfyui");
  if (/\bexecution_interrupted\b/.test(signal.code)) return { status: "canceled", word: "interrupted", timings, signal };
  if (entry.status?.status_str === "error") return { status: "failed", word: "error", timings, signal };
  const images = (entry.outputs?.[outputNode(operation)]?.images ?? []).filter(({ type }) => type === "output");
  if (images.length === 0) {
    const none = session.signal("result:none", "success was reported without an image");
    return { status: "failed", word: "success", timings, signal: none };
  }
  return { status: "succeeded", word: "success", timings, outputs: images.map((image) => ({ read: () => view(session, image) })) };
}

/** 0.3.64 does not say when a prompt was created, so its time in the queue stays unknown. */
function timingsOf(entry) {
  const times = Object.fromEntries((entry.status?.messages ?? []).map(([name, content]) => [name, content?.timestamp]));
  const end = times.execution_success ?? times.execution_error ?? times.execution_interrupted;
  const created = entry.prompt?.[3]?.create_time;
  return { queue_ms: difference(created, times.execution_start), run_ms: difference(times.execution_start, end) };
}

function difference(from, to) {
  return Number.isFinite(from) && Number.isFinite(to) ? Math.max(0, to - from) : undefined;
}

function view(session, { filename, subfolder = "", type }) {
  return session.download(`/view?${new URLSearchParams({ filename, subfolder, type })}`);
}

async function find(server, job) {
  const { place } = await server.look(job);
  return place === "nowhere" ? null : job;
}

async function health(session) {
  const waiting = (await session.get("/prompt")).exec_info?.queue_remaining;
  if (waiting !== undefined) return { healthy: true, detail: `${waiting} prompts running or waiting` };
  throw new ProviderFailure(session.signal("answer:not_json", "the address answers, but not as ComfyUI"));
}
