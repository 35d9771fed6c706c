/** GET /health: cheap, and it never wakes a GPU. */

import { hasToken } from "./auth.js";
import { ProviderFailure } from "./failures.js";
import { PROVIDERS, connect, missingBindings } from "./providers/index.js";
import { failureOf } from "./submission.js";

export async function health(context) {
  const { settings, env, url } = context;
  const provider = Object.hasOwn(PROVIDERS, settings.provider) ? PROVIDERS[settings.provider] : undefined;
  const body = { status: "ok", provider: settings.provider, version: settings.version };
  const credentials = credentialCheck(provider, context);
  if (!credentials.ok) body.status = "misconfigured";
  if (await hasToken(context)) {
    const deep = url.searchParams.get("deep") === "1" && credentials.ok;
    const checks = { credentials, storage: await storageCheck(env.ASSETS) };
    if (deep) checks.provider = await providerCheck(context);
    body.operations = provider ? provider.operations(settings) : [];
    body.checks = checks;
    const failing = Object.values(checks).some(({ ok }) => !ok);
    if (body.status === "ok" && failing) body.status = "degraded";
  }
  return Response.json(body, { headers: { "Cache-Control": "no-store" } });
}

function credentialCheck(provider, context) {
  if (!provider) return { ok: false, detail: "IMAGE_GENERATION_PROVIDER names no provider of this gateway" };
  const missing = missingBindings(provider, context);
  return missing.length === 0 ? { ok: true, detail: "complete" } : { ok: false, detail: `missing: ${missing.join(", ")}` };
}

async function storageCheck(bucket) {
  try {
    await bucket.head("_health"); // that it is not there is a good answer
    return { ok: true, detail: "the bucket answers" };
  } catch {
    return { ok: false, detail: "the bucket does not answer" };
  }
}

async function providerCheck(context) {
  const provider = connect(context.settings.provider, context);
  try {
    const { healthy, detail } = await provider.client.health();
    return { ok: healthy, detail };
  } catch (error) {
    if (!(error instanceof ProviderFailure)) throw error;
    const { kind, message, mitigation } = failureOf(error, { context, provider });
    return { ok: false, detail: message, kind, mitigation };
  }
}
