/** Serves stored pictures to anybody who knows their address, and nothing else of the bucket. */

import { Problem } from "./problems.js";
import { ASSET_CACHE_CONTROL, isAssetKey, stored } from "./storage.js";

export async function serveAsset({ request, bucket }, key) {
  if (!isAssetKey(key)) throw missing();
  const object = await stored(() => bucket.get(key, { onlyIf: conditions(request) }));
  if (!object) throw missing();
  const headers = new Headers({
    "Content-Type": object.httpMetadata?.contentType ?? "application/octet-stream",
    "Cache-Control": ASSET_CACHE_CONTROL,
    ETag: object.httpEtag,
  });
  if (!object.body) return new Response(null, { status: 304, headers });
  if (request.method !== "HEAD") return new Response(object.body, { headers });
  await object.body.cancel();
  headers.set("Content-Length", String(object.size));
  return new Response(null, { headers });
}

/** R2 takes well-formed tags only; anything else is as good as no condition. */
function conditions(request) {
  const tags = request.headers.get("If-None-Match") ?? "";
  const isWellFormed = /^(W\/)?"[\x21\x23-\x7e]*"(\s*,\s*(W\/)?"[\x21\x23-\x7e]*")*$/.test(tags);
  return isWellFormed ? new Headers({ "If-None-Match": tags }) : undefined;
}

function missing() {
  return new Problem(404, "BAD_REQUEST", "there is no such asset");
}
