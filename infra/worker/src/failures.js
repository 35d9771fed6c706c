/** What a failure is called, what helps against it, and whether to try again: all from failure_kinds.json. */

import table from "./generated/failure_kinds.js";

const LONGEST_MESSAGE = 300;
const LONGEST_TEXT = 20_000; // a traceback or a tensor that slipped in must not slow the patterns down
const SENTENCE_STARTS = ["\n", '"', ". ", "Message: "];
const TITLES = { scenario: "Scenario", comfyui: "ComfyUI", runpod: "RunPod" };

const patterns = table.patterns.map((pattern) => ({
  ...pattern,
  code: pattern.code && new RegExp(pattern.code, "i"),
  text: pattern.text && new RegExp(pattern.text, "i"),
}));

/** A provider's failure, raised by its adapter. `ambiguous`: a paid request went out and may have been taken. */
export class ProviderFailure extends Error {
  constructor(signal, { retryAfter, ambiguous = false } = {}) {
    super(`${signal.provider} failed`);
    Object.assign(this, { signal, retryAfter, ambiguous });
  }
}

/**
 * @param {{provider: string, status: number | null, code: string, text: string}} signal
 * @returns {{kind: string, message: string, mitigation: string, retryable: boolean, provider_code?: string}}
 */
export function classify({ provider, status, code, text }, settings, secrets = []) {
  const signal = { provider, status, code: code.slice(0, LONGEST_TEXT), text: text.slice(0, LONGEST_TEXT) };
  const pattern = patterns.find((candidate) => matches(candidate, signal));
  const kind = pattern?.kind ?? "UNKNOWN";
  const { retryable, mitigation, mitigation_at: elsewhere } = { ...table.kinds[kind], ...pattern };
  return {
    kind,
    message: publicMessage(signal, pattern, secrets),
    mitigation: fillIn(elsewhere?.[provider] ?? mitigation, provider, settings),
    retryable,
    provider_code: publicText(signal.code, secrets).slice(0, 100) || (status ? `HTTP ${status}` : undefined),
  };
}

function matches(pattern, { provider, status, code, text }) {
  return (
    (pattern.provider === "*" || pattern.provider === provider) &&
    (!pattern.status || pattern.status.includes(status)) &&
    (!pattern.code || pattern.code.test(code)) &&
    (!pattern.text || pattern.text.test(text))
  );
}

function publicMessage({ provider, status, code, text }, pattern, secrets) {
  const lines = sentence(text, pattern).split("\n").map((line) => line.trim());
  const said = publicText(lines.filter(Boolean).join("; "), secrets);
  const what = said || plain(status, code);
  return `${TITLES[provider] ?? provider}: ${what.length > LONGEST_MESSAGE ? `${what.slice(0, LONGEST_MESSAGE - 1)}…` : what}`;
}

/** What can be said of a failure that nobody put into words. */
function plain(status, code) {
  if (code.startsWith("job:")) return `the job ended as ${code.slice("job:".length)}`;
  return status ? `HTTP ${status} without a message` : code || "no message";
}

/** The lines that say why; a long dump is cut to the sentence or quotation in which the pattern matched. */
function sentence(text, pattern) {
  const [said] = text.split(". Raw response:");
  const match = said.length > LONGEST_MESSAGE ? pattern?.text?.exec(said) : null;
  if (!match) return said;
  const before = said.slice(0, match.index);
  const start = Math.max(...SENTENCE_STARTS.map((mark) => (before.includes(mark) ? before.lastIndexOf(mark) + mark.length : 0)));
  return said.slice(start).split(/["\n]/, 1)[0];
}

/** A provider's words without addresses, paths of its server, credentials, and what it listed after them. */
function publicText(text, secrets) {
  let said = text;
  for (const secret of secrets.filter(Boolean)) said = said.replaceAll(secret, "[hidden]");
  return said
    .replace(/[a-z]{1,20}:\/\/\S+/gi, "[address]") // bounded: a long word must not cost its length squared
    .replace(/(?<![\w.])(?:\/[\w.@+-]+){2,}\/?/g, "[path]")
    .replace(/[^\S\n]+/g, " ")
    .trim();
}

function fillIn(mitigation, provider, { workflows }) {
  return mitigation
    .replaceAll("{provider}", TITLES[provider] ?? provider)
    .replaceAll("{checkpoint}", workflows.checkpoint)
    .replaceAll("{background_removal_model}", workflows.backgroundRemovalModel);
}
