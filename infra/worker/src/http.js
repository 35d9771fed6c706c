/** One provider's HTTP: every failure becomes a ProviderFailure, nothing is retried here. */

import { readBytes } from "./body.js";
import { ProviderFailure } from "./failures.js";
import { signalOfAnswer } from "./failure_signals.js";

const TIMEOUT_MS = 30_000; // from the request to the last byte of its answer
const LARGEST_ANSWER = 64 * 1024 * 1024;
const LONGEST_RETRY_AFTER = 15 * 60; // seconds: no queued job waits longer
const MAYBE_TAKEN = new Set([504, 520, 524]); // a proxy gave up waiting for an answer
const REDIRECTS = new Set([302, 303, 307]);
const NOT_FOUND = new Set([404]);
// A storage that refuses says that the picture is gone or its link expired, and nothing about the provider's key.
const REFUSED_BY_STORAGE = new Set([400, 401, 403, 404, 410]);

/** @typedef {{status: number, headers: Headers, bytes: Uint8Array}} Answer */

export class Session {
  /** @param {Record<string, string>} headers with the credentials; never sent to another host */
  constructor(provider, baseUrl, headers) {
    this.provider = provider;
    this.baseUrl = baseUrl.replace(/\/+$/, "");
    this.headers = headers;
  }

  get(path) {
    return this.json(path, {});
  }

  post(path, body) {
    return this.json(path, jsonPost(body));
  }

  /** A POST that costs money: a failure says whether it may have been taken. */
  submit(path, body) {
    return this.json(path, { ...jsonPost(body), paid: true });
  }

  /** A POST whose answer has no body. */
  async tell(path, body) {
    await this.own(path, jsonPost(body));
  }

  /** The JSON object that a successful answer is. */
  async json(path, options) {
    const answer = await this.own(path, options);
    const text = new TextDecoder().decode(answer.bytes);
    const found = parsed(text);
    if (typeof found === "object" && found !== null) return found;
    const isCut = found === undefined && /json/.test(contentType(answer));
    const signal = isCut
      ? this.signal("transport:truncated", "the answer ended too early")
      : signalOfAnswer(text, contentType(answer), this.provider, answer.status);
    throw new ProviderFailure(signal, { ambiguous: isCut && options.paid === true });
  }

  /** The picture behind a path of this API, or behind an address that the provider gave (without credentials). */
  async download(address) {
    if (!String(address).startsWith("/")) return this.elsewhere(address);
    const answer = await orMissing(this.own(address, { mayRedirect: true }), NOT_FOUND);
    // A storage behind the API has an address with a right of its own.
    return REDIRECTS.has(answer.status) ? this.elsewhere(answer.headers.get("Location")) : answer.bytes;
  }

  /** An answer without the word for a job's state says nothing of the job: it may go on. */
  state(job) {
    if (typeof job?.status === "string") return job.status;
    throw new ProviderFailure(this.signal("answer:not_json", "the answer lacks the job's status"));
  }

  signal(code, text = "", status = null) {
    return { provider: this.provider, status, code, text };
  }

  own(path, options) {
    return this.checked(this.baseUrl + path, this.headers, options);
  }

  /** Only https, or the host that we talk to anyway (an emulator): a provider's answer must not lead elsewhere. */
  async elsewhere(address) {
    const url = URL.canParse(address ?? "") ? new URL(address) : null;
    if (url?.protocol !== "https:" && url?.host !== new URL(this.baseUrl).host) {
      throw new ProviderFailure(this.signal("result:missing", "the picture's address is not one to be fetched"));
    }
    return (await orMissing(this.checked(url.href, {}, {}), REFUSED_BY_STORAGE)).bytes;
  }

  /** @returns {Promise<Answer>} a successful one */
  async checked(url, headers, { method = "GET", body, type, paid = false, mayRedirect = false }) {
    const sent = { Accept: "*/*", ...headers, ...(type ? { "Content-Type": type } : {}) };
    const answer = await this.exchange(url, { method, headers: sent, body, redirect: "manual" }, paid);
    if (answer.status < 300 || (mayRedirect && REDIRECTS.has(answer.status))) return answer;
    const text = new TextDecoder().decode(answer.bytes);
    throw new ProviderFailure(signalOfAnswer(text, contentType(answer), this.provider, answer.status), {
      retryAfter: retryAfter(answer),
      ambiguous: paid && MAYBE_TAKEN.has(answer.status),
    });
  }

  async exchange(url, init, paid) {
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(), TIMEOUT_MS);
    let failure = this.signal("transport:unreachable", "it does not answer");
    try {
      const response = await fetch(url, { ...init, signal: timeout.signal });
      failure = this.signal("transport:truncated", "the answer ended too early");
      const { status, headers } = response;
      return { status, headers, bytes: await readBytes(response, LARGEST_ANSWER, tooLarge) };
    } catch {
      const isLate = timeout.signal.aborted;
      const signal = isLate ? this.signal("transport:timeout", "no answer in time") : failure;
      throw new ProviderFailure(signal, { ambiguous: paid });
    } finally {
      clearTimeout(timer);
    }
  }
}

/** The answer, or that the picture is gone when it was refused with one of these statuses. */
async function orMissing(answer, statuses) {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof ProviderFailure) || !statuses.has(error.signal.status)) throw error;
    const { provider, status } = error.signal;
    const text = `the finished picture cannot be fetched (HTTP ${status})`;
    throw new ProviderFailure({ provider, status: null, code: "result:missing", text });
  }
}

function tooLarge(limit) {
  return new Error(`more than ${limit} bytes`);
}

function jsonPost(body) {
  return { method: "POST", body: JSON.stringify(body), type: "application/json" };
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function contentType({ headers }) {
  return headers.get("Content-Type") ?? "";
}

/** In seconds, from both of its forms (RFC 9110, 10.2.3). */
function retryAfter({ headers }) {
  const value = headers.get("Retry-After") ?? "";
  const seconds = /[a-z]{3}/i.test(value) ? (Date.parse(value) - Date.now()) / 1000 : Number(value);
  return seconds > 0 ? Math.min(seconds, LONGEST_RETRY_AFTER) : undefined;
}
