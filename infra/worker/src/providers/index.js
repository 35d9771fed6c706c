/**
 * The providers. One is
 *
 *   {name, variables: [bindings it cannot do without], secrets(env), maxImageBytes,
 *    operations(settings), stages(operation), connect(env, settings) -> client}
 *
 * and its client
 *
 *   submit(work)     -> job id (a text); a ProviderFailure says whether the job may have been taken all the same
 *   poll(job, work)  -> {status: "queued" | "running" | "succeeded" | "failed" | "canceled", word, timings,
 *                        outputs: [{handle?, read() -> bytes}], signal}
 *   find(work)       -> job id when a lost submit did arrive, null when it did not, undefined when nobody can tell
 *   cancel(job)      stops it; a job that is over or unknown is no error
 *   health()         -> {healthy, detail}; never starts a GPU
 *
 * with work = {generation, operation, stage, request?, input?, webhook?, since}. An operation with several stages
 * is a chain: the first output of one stage is the `input` of the next.
 */

import { Problem } from "../problems.js";
import { comfyui } from "./comfyui.js";
import { runpod } from "./runpod.js";
import { scenario } from "./scenario.js";

export const PROVIDERS = { scenario, comfyui, runpod };

/** What this version lacks to generate with the provider: its credentials, and what no generation can do without. */
export function missingBindings({ variables }, { env, settings }) {
  const credentials = variables.filter((name) => !env[name]);
  const own = { GATEWAY_TOKENS: settings.tokens[0], JOB_SIGNING_KEYS: settings.signingKeys[0], ASSETS: env.ASSETS };
  return [...credentials, ...Object.keys(own).filter((name) => !own[name])];
}

/** The provider of that name, connected. Raises 503 when this version does not know it or lacks a binding for it. */
export function connect(name, context) {
  const provider = Object.hasOwn(PROVIDERS, name) ? PROVIDERS[name] : undefined;
  if (!provider) {
    throw new Problem(503, "UNAVAILABLE", `this gateway is misconfigured: it has no provider ${name}`);
  }
  const missing = missingBindings(provider, context);
  if (missing.length > 0) {
    const kind = provider.variables.includes(missing[0]) ? "AUTH" : "UNAVAILABLE";
    throw new Problem(503, kind, `this gateway is misconfigured: ${name} lacks ${missing.join(", ")}`, { retryable: false });
  }
  return { ...provider, client: provider.connect(context.env, context.settings) };
}
