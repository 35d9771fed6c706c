/** Which web pages may call the gateway; without configuration none. Assets have origins of their own. */

const EXPOSED = "Location, Retry-After, Switchback-Provider, Switchback-Version";

export function corsHeaders(request, settings) {
  const origin = request.headers.get("Origin");
  const isAsset = new URL(request.url).pathname.startsWith("/assets/");
  const allowed = isAsset ? settings.assetCorsOrigins : settings.gateway.corsOrigins;
  if (allowed.length === 0) return [];
  const named = allowed.includes(origin);
  // Without Origin too: a cache must not give an <img>'s answer to a page that needs permission to read it.
  if (!origin || (!named && !allowed.includes("*"))) return [["Vary", "Origin"]];
  return [
    ["Access-Control-Allow-Origin", named ? origin : "*"],
    ["Access-Control-Expose-Headers", EXPOSED],
    ["Vary", "Origin"],
  ];
}

/** The common headers are added to this answer like to any other. */
export function preflight({ request, settings }, methods) {
  const allowed = methods.join(", ");
  const isPermitted = corsHeaders(request, settings).length > 1;
  const forBrowsers = {
    "Access-Control-Allow-Methods": allowed,
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key, Prefer",
    "Access-Control-Max-Age": "86400",
  };
  return new Response(null, { status: 204, headers: { Allow: allowed, ...(isPermitted ? forBrowsers : {}) } });
}
