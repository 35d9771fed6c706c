/** Entry point: one request in, one answer out; nothing thrown below leaves the Worker as it is. */

import { discard } from "./body.js";
import { corsHeaders } from "./cors.js";
import { logError } from "./log.js";
import { Problem, problemResponse } from "./problems.js";
import { route } from "./routes.js";
import { settingsOf } from "./settings.js";

export default {
  async fetch(request, env) {
    const settings = settingsOf(env);
    const context = { request, env, settings, url: new URL(request.url), bucket: env.ASSETS };
    return withCommonHeaders(await answer(context), context);
  },
};

async function answer(context) {
  try {
    return await route(context);
  } catch (error) {
    await discard(context.request);
    if (error instanceof Problem) return problemResponse(error);
    logError(context, error);
    return problemResponse(new Problem(500, "UNKNOWN", "the gateway met an error that it did not expect"));
  }
}

function withCommonHeaders(response, context) {
  const { settings, request } = context;
  response.headers.set("Switchback-Provider", settings.provider);
  response.headers.set("Switchback-Version", settings.version.id);
  response.headers.set("X-Content-Type-Options", "nosniff");
  for (const [name, value] of corsHeaders(request, settings)) response.headers.set(name, value);
  if (request.method !== "HEAD") return response;
  return new Response(null, response);
}
