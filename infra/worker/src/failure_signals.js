/**
 * Brings every shape of failure into the table's one form `{provider, status, code, text}`, as
 * provider_client/failure_signals.py does; the words are explained in failure_kinds.json.
 */

const FINISHED_JOBS = new Set(["COMPLETED", "success", "success_no_images"]);
const LONGEST_PAGE = 20_000;
const MOST_ITEMS = 20;
const TRACEBACK = /Traceback \(most recent call last\):(?:\n[ \t][^\n]*)*\n?/g;

/** Codes and texts in the order in which they are found, each once. */
class Words {
  codes = new Set();
  texts = new Set();

  code(value) {
    if (typeof value === "string" && value) this.codes.add(value);
  }

  /** What was raised is kept of a traceback, where it was raised is not. */
  text(value) {
    const text = typeof value === "string" ? value.replace(TRACEBACK, "").trim() : "";
    if (text) this.texts.add(text);
  }

  signal(provider, status) {
    return { provider, status, code: [...this.codes].join(" "), text: [...this.texts].join("\n") };
  }
}

/** The signal of a provider's parsed body: an error, a job, a ComfyUI history entry. */
export function signalOfBody(body, provider, status = null) {
  const words = new Words();
  if (isObject(body)) readBody(body, words);
  return words.signal(provider, status);
}

/** The signal of an HTTP answer whose text has been read. */
export function signalOfAnswer(text, contentType, provider, status) {
  const words = new Words();
  const body = parse(text);
  if (isObject(body)) {
    readBody(body, words);
  } else if (contentType.includes("html") || text.trimStart().startsWith("<")) {
    words.code("answer:html");
    words.text(visible(text));
  } else {
    if (status < 300) words.code("answer:not_json");
    readText(body ?? text, words);
  }
  return words.signal(provider, status);
}

function visible(page) {
  const words = page.slice(0, LONGEST_PAGE).replace(/<[^<>]*>/g, " ");
  return words.split(/\s+/).join(" ").trim();
}

function readBody(body, words) {
  for (const entry of historyEntries(body)) readHistory(entry, words);
  if (isObject(body.job)) return readJob(body.job, words);
  readFrame([body.type, body.data], words);
  readJob(body, words);
  readNodeErrors(body.node_errors, words);
}

/** A job of RunPod or Scenario, what worker-comfyui's handler returned, or any error body. */
function readJob(job, words) {
  if (typeof job.status === "string" && !FINISHED_JOBS.has(job.status)) words.code(`job:${job.status}`);
  for (const part of [job, job.metadata, job.output]) {
    if (!isObject(part)) continue;
    readError(part.error, words);
    readMessages(part, words);
  }
  if (FINISHED_JOBS.has(job.status)) readResult(job, words);
}

/** COMPLETED does not mean that there is a picture. */
function readResult(job, words) {
  let holder = job.status === "success_no_images" ? job : {};
  if (isObject(job.output)) holder = job.output;
  if (isObject(job.metadata)) holder = { images: job.metadata.assetIds };
  if (items(holder.images).length === 0) {
    words.code("result:none");
    // worker-comfyui before 5.0 says in this way what went wrong
    if (holder.status !== "error") words.text("success was reported without an image");
  } else if (items(holder.errors).length > 0) {
    words.code("result:partial");
    words.text("the result is incomplete");
  }
}

function readMessages(body, words) {
  for (const key of ["message", "detail", "details", "reason", "hint", "title", "errors"]) readText(body[key], words);
  for (const key of ["code", "type"]) {
    if (typeof body[key] === "string" && !/^(http|about:)/.test(body[key])) words.code(body[key]);
  }
  readExecutionError(body.execution_error, words);
}

/** A message, a list of them, or the objects in which servers wrap them. */
function readText(value, words) {
  if (typeof value === "string") words.text(value);
  else if (Array.isArray(value)) value.slice(0, MOST_ITEMS).forEach((item) => readText(item, words));
  else if (isObject(value)) ["message", "msg", "actionName", "error"].forEach((key) => words.text(value[key]));
}

function readError(error, words) {
  if (isObject(error)) {
    words.code(error.type);
    readMessages(error, words);
  } else if (typeof error === "string") {
    const wrapped = wrappedException(error);
    words.code(wrapped?.error_type);
    words.text(wrapped ? wrapped.error_message : error);
  }
}

/** RunPod's SDK sends an uncaught exception as JSON inside the error string (rp_job.py). */
function wrappedException(error) {
  const wrapped = error.trimStart().startsWith("{") ? parse(error) : undefined;
  return isObject(wrapped) && "error_message" in wrapped ? wrapped : undefined;
}

function readNodeErrors(nodeErrors, words) {
  if (!isObject(nodeErrors) || Object.keys(nodeErrors).length === 0) return;
  words.code("node_errors");
  for (const node of Object.values(nodeErrors)) {
    for (const error of items(node?.errors)) {
      words.code(`${textOf(error?.type)}:${textOf(error?.extra_info?.input_name)}`);
      words.text([error?.message, error?.details].map(textOf).filter(Boolean).join(": "));
    }
  }
}

/** GET /history/{id} answers {id: entry}; an entry is known by its status object. */
function historyEntries(body) {
  const values = Object.values(body);
  return (values.length === 1 ? [body, ...values] : [body]).filter((entry) => isObject(entry) && isObject(entry.status));
}

function readHistory(entry, words) {
  for (const message of items(entry.status.messages)) readFrame(items(message), words);
  if (entry.status.status_str === "success" && Object.keys(entry.outputs ?? {}).length === 0) {
    words.code("result:none");
    words.text("success was reported without an image");
  }
}

/** One event of a run, as in a history entry and on the WebSocket. */
function readFrame([type, content], words) {
  if (type === "execution_interrupted") {
    words.code("execution_interrupted");
    words.text("the run was interrupted");
  } else if (type === "execution_error") {
    readExecutionError(content, words);
  }
}

/** Only type and message: current_inputs hold tensors and prompts, tracebacks the server's paths. */
function readExecutionError(error, words) {
  if (!isObject(error)) return;
  words.code(error.exception_type);
  words.text(error.exception_message);
  words.text(error.error_message);
}

function items(value) {
  return Array.isArray(value) ? value : [];
}

function textOf(value) {
  return typeof value === "string" ? value : "";
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
