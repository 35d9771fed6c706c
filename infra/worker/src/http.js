/** One provider's HTTP: every failure becomes a ProviderFailure, nothing is retried here. */

import { readBytes } from "./body.js";
import { ProviderFailure } from "./failures.js";
import { signalOfAnswer } from "./failure_signals.js";

const TIMEOUT_MS = 30_000;
const LARGEST_ANSWER = 64 * 1024 * 1024;
const MAYBE_TAKEN = new Set([504, 520, 524]); // a proxy gave up waiting for an answer

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
  async submit(path, body) {
    return this.json(path, { ...jsonPost(body), paid: true });
  }

  async json(path, options) {
    const { text, response } = await this.text(path, options);
    try {
      return JSON.parse(text);
    } catch {
      const truncated = /json/.test(contentType(response));
      const signal = truncated
        ? this.signal("transport:truncated", "the answer ended too early")
        : signalOfAnswer(text, contentType(response), this.provider, response.status);
      throw new ProviderFailure(signal, { ambiguous: truncated && options.paid === true });
    }
  }

  /** The text of a successful answer. */
  async text(path, options) {
    const response = await this.fetch(this.baseUrl + path, this.headers, options);
    return { response, text: new TextDecoder().decode(await this.bytes(response, options.paid)) };
  }

  /** The picture behind a path of this API, or behind an address that the provider gave (without credentials). */
  async download(address) {
    const own = address.startsWith("/");
    const url = own ? this.baseUrl + address : this.trusted(address);
    const response = await this.redirected(await this.fetch(url, own ? this.headers : {}, { mayRedirect: own }));
    const signal = this.signal("result:missing", "the picture is larger than the gateway takes");
    return this.bytes(response, false, signal);
  }

  /** A storage behind the API has an address with a right of its own: the credentials stay behind. */
  async redirected(response) {
    if (response.ok) return response;
    await response.body?.cancel();
    return this.fetch(this.trusted(response.headers.get("Location") ?? ""), {}, {});
  }

  signal(code, text = "", status = null) {
    return { provider: this.provider, status, code, text };
  }

  async fetch(url, headers, { method, body, type, paid = false, mayRedirect = false }) {
    const response = await this.reach(url, {
      method: method ?? (body === undefined ? "GET" : "POST"),
      headers: { Accept: "*/*", ...headers, ...(type ? { "Content-Type": type } : {}) },
      body,
      redirect: "manual",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    }, paid);
    if (response.ok || (mayRedirect && [302, 303, 307].includes(response.status))) return response;
    const text = new TextDecoder().decode(await this.bytes(response, paid));
    throw new ProviderFailure(signalOfAnswer(text, contentType(response), this.provider, response.status), {
      retryAfter: retryAfter(response),
      ambiguous: paid && MAYBE_TAKEN.has(response.status),
    });
  }

  async reach(url, init, paid) {
    try {
      return await fetch(url, init);
    } catch (error) {
      throw this.transportFailure(error, "transport:unreachable", "it does not answer", paid);
    }
  }

  async bytes(response, paid, tooLarge) {
    const excess = () => new ProviderFailure(tooLarge ?? this.signal("transport:truncated", "the answer is too large"));
    try {
      return await readBytes(response, LARGEST_ANSWER, excess);
    } catch (error) {
      if (error instanceof ProviderFailure) throw error;
      throw this.transportFailure(error, "transport:truncated", "the answer ended too early", paid);
    }
  }

  transportFailure(error, code, text, ambiguous) {
    const timedOut = error?.name === "TimeoutError";
    const signal = timedOut ? this.signal("transport:timeout", "no answer in time") : this.signal(code, text);
    return new ProviderFailure(signal, { ambiguous });
  }

  /** Only https, or the host that we talk to anyway (an emulator): a provider's answer must not lead elsewhere. */
  trusted(address) {
    const url = URL.canParse(address) ? new URL(address) : null;
    if (url?.protocol === "https:" || url?.host === new URL(this.baseUrl).host) return url.href;
    throw new ProviderFailure(this.signal("result:missing", "the picture's address is not one to be fetched"));
  }
}

function jsonPost(body) {
  return { method: "POST", body: JSON.stringify(body), type: "application/json" };
}

function contentType(response) {
  return response.headers.get("Content-Type") ?? "";
}

function retryAfter(response) {
  const seconds = Number(response.headers.get("Retry-After"));
  return Number.isFinite(seconds) && seconds > 0 ? seconds : undefined;
}
