/**
 * How many generations a token may start in a minute. Counted per isolate, of which Cloudflare runs several: a
 * guard against a runaway loop, not an exact quota.
 */

import { tokenOf } from "./auth.js";
import { Problem } from "./problems.js";

const MINUTE_MS = 60_000;
let window = { minute: 0, started: new Map() };

/** Counts one; raises 429 when the token has used up its minute. */
export function admit({ request, settings }, now = Date.now()) {
  const minute = Math.floor(now / MINUTE_MS);
  if (window.minute !== minute) window = { minute, started: new Map() };
  const token = tokenOf(request);
  const count = (window.started.get(token) ?? 0) + 1;
  if (count > settings.gateway.requestsPerMinute) {
    const seconds = Math.ceil(((minute + 1) * MINUTE_MS - now) / 1000);
    throw new Problem(429, "RATE_LIMITED", "this token started too many generations in this minute", {
      headers: { "Retry-After": String(seconds) },
      mitigation: "Wait as long as Retry-After says, or raise gateway.requestsPerMinute.",
    });
  }
  window.started.set(token, count);
}
