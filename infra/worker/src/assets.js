/** Serves stored pictures to anybody who knows their address, and nothing else of the bucket. */

import { Problem } from "./problems.js";
import { ASSET_CACHE_CONTROL, isAssetKey, stored } from "./storage.js";

export async function serveAsset({ request, bucket }, key) {
  if (!isAssetKey(key)) throw missing();
  const object = await stored(() =>
    request.method === "HEAD" ? bucket.head(key) : bucket.get(key, { onlyIf: conditions(request) }),
  );
  if (!object) throw missing();
  const headers = new Headers({
    "Content-Type": object.httpMetadata?.contentType ?? "application/octet-stream",
    "Cache-Control": ASSET_CACHE_CONTROL,
    ETag: object.httpEtag,
  });
  if (request.method === "HEAD") headers.set("Content-Length", String(object.size));
  else if (!object.body) return new Response(null, { status: 304, headers });
  return new Response(object.body, { headers });
}

function conditions(request) {
  const etag = request.headers.get("If-None-Match");
  return etag ? new Headers({ "If-None-Match": etag }) : undefined;
}

function missing() {
  return new Problem(404, "BAD_REQUEST", "there is no such asset");
}
