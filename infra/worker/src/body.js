/** Reads a body no further than its limit. */

import { Problem } from "./problems.js";

const LARGEST_UPLOAD = 110_000_000; // a little above what Cloudflare lets through

/** The JSON object in a request's body; 413 before more than `limit` bytes are held, 415 and 400 for other contents. */
export async function readJson(request, limit) {
  const type = request.headers.get("Content-Type") ?? "";
  if (!/^application\/json\s*(;|$)/i.test(type)) {
    throw new Problem(415, "BAD_REQUEST", "the body must be application/json");
  }
  const bytes = await readBytes(request, limit, tooLarge);
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new Problem(400, "BAD_REQUEST", "the body is not JSON");
  }
}

function tooLarge(limit) {
  return new Problem(413, "BAD_REQUEST", `the body is larger than ${limit} bytes (gateway.maxBodyBytes)`);
}

/**
 * All bytes of a request or response, held once.
 * @param {(limit: number) => Error} excess what to raise when there are more than `limit`
 */
export async function readBytes(message, limit, excess) {
  const stated = Number(message.headers.get("Content-Length") ?? 0);
  if (stated > limit) throw excess(limit);
  if (!message.body) return new Uint8Array(0);
  if (stated > 0) return new Uint8Array(await message.arrayBuffer()); // HTTP keeps it to what it stated
  const buffer = new GrowingBuffer(65_536);
  for await (const chunk of message.body.values({ preventCancel: true })) {
    if (buffer.length + chunk.byteLength > limit) throw excess(limit);
    buffer.append(chunk);
  }
  return buffer.bytes();
}

/** Lets the rest of a body pass by without keeping it: who is cut off while sending would not see the answer. */
export async function discard(message) {
  if (!message.body || message.body.locked) return;
  let discarded = 0;
  try {
    for await (const chunk of message.body) {
      discarded += chunk.byteLength;
      if (discarded > LARGEST_UPLOAD) return; // leaving the loop cancels the stream
    }
  } catch {
    // the sender has gone: nobody is left to read the answer
  }
}

class GrowingBuffer {
  constructor(capacity) {
    this.content = new Uint8Array(capacity);
    this.length = 0;
  }

  append(chunk) {
    const needed = this.length + chunk.byteLength;
    if (needed > this.content.length) {
      const larger = new Uint8Array(Math.max(needed, this.content.length * 2));
      larger.set(this.content.subarray(0, this.length));
      this.content = larger;
    }
    this.content.set(chunk, this.length);
    this.length = needed;
  }

  bytes() {
    return this.content.subarray(0, this.length);
  }
}
