/** Which function answers what. */

import { serveAsset } from "./assets.js";
import { requireToken } from "./auth.js";
import { preflight } from "./cors.js";
import { cancelGeneration, createGeneration, showGeneration } from "./generations.js";
import { health } from "./health.js";
import { Problem } from "./problems.js";
import { receiveWebhook } from "./webhooks.js";

const ROUTES = [
  [/^\/health$/, { GET: health }],
  [/^\/v1\/generations$/, { POST: guarded(createGeneration) }],
  [/^\/v1\/generations\/([^/]+)$/, { GET: guarded(showGeneration), DELETE: guarded(cancelGeneration) }],
  [/^\/v1\/webhooks\/([a-z]+)\/([^/]+)$/, { POST: receiveWebhook }],
  [/^\/assets\/(.+)$/, { GET: serveAsset }],
];

/** @returns {Promise<Response>} */
export async function route(context) {
  const { request, url } = context;
  for (const [pattern, methods] of ROUTES) {
    const match = pattern.exec(url.pathname);
    if (!match) continue;
    if (request.method === "OPTIONS") return preflight(context, Object.keys(methods));
    const answer = methods[request.method === "HEAD" && methods.GET ? "GET" : request.method];
    if (answer) return answer(context, ...match.slice(1));
    const headers = { Allow: Object.keys(methods).join(", ") };
    throw new Problem(405, "BAD_REQUEST", `${request.method} is not possible here`, { headers });
  }
  throw new Problem(404, "BAD_REQUEST", "there is nothing at this address");
}

function guarded(answer) {
  return async (context, ...segments) => {
    await requireToken(context);
    return answer(context, ...segments);
  };
}
