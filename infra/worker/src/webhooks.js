/**
 * A provider reports that a job ended, so that a result nobody polls is not lost. The signed address is the only
 * credential; of the body no more than the job's id is believed, the result is fetched from the provider itself.
 */

import { readJson } from "./body.js";
import { webhookHandle } from "./handles.js";
import { Problem } from "./problems.js";
import { advance, arrived } from "./progress.js";
import { PROVIDERS } from "./providers/index.js";

const LARGEST_REPORT = 64 * 1024 * 1024; // RunPod sends the whole result along

export async function receiveWebhook(context, name, token) {
  const handle = await webhookHandle(token, context.settings);
  const body = await readJson(context.request, LARGEST_REPORT);
  const job = name === handle.provider ? PROVIDERS[name].webhookJob?.(body ?? {}) : undefined;
  if (job === undefined) throw new Problem(400, "BAD_REQUEST", "this is no report of a job");
  if (await arrived(context, { ...handle, job })) await advance(context, { ...handle, job });
  return Response.json({ received: true }, { headers: { "Cache-Control": "no-store" } });
}
