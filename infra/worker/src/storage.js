/**
 * Assets in R2. An asset's name is a digest of its generation, so that an address tells nothing about a job, and
 * the key is the same whoever stores it: two polls at the same time write one object.
 */

import { isPng, sniff, withoutTexts } from "./images.js";
import { Problem } from "./problems.js";

const ASSET_KEY = /^(?:generations|_verification)\/[0-9a-f]{32}-[0-9]{1,2}\.(png|jpg|webp)$/;
export const ONCE = new Headers({ "If-None-Match": "*" });

export function isAssetKey(key) {
  return ASSET_KEY.test(key);
}

/** Runs one bucket operation; a refusal of R2 is a STORAGE problem, not the provider's fault. */
export async function stored(operation) {
  try {
    return await operation();
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem(503, "STORAGE", "the asset bucket does not answer as it should", {
      mitigation: "Check the bucket, its binding and permissions; then ask again: nothing is lost.",
      headers: { "Retry-After": "2" },
    });
  }
}

/**
 * Stores one finished picture under the key of its generation.
 * @param {import("./handles.js").Handle} handle
 * @param {Uint8Array} bytes given away: texts are cut out of a PNG in place
 * @returns {Promise<object | null>} the asset, without its URL; null when the bytes are no complete picture
 */
export async function storeAsset(bucket, { generation, purpose }, index, bytes) {
  const picture = sniff(bytes);
  if (!picture?.complete) return null;
  const content = isPng(bytes) ? withoutTexts(bytes) : bytes;
  const digest = await crypto.subtle.digest("SHA-256", content);
  const sha256 = new Uint8Array(digest).toHex();
  const folder = purpose === "verification" ? "_verification" : "generations"; // each expires by a rule of its own
  const key = `${folder}/${await assetName(generation)}-${index}.${picture.extension}`;
  const { width, height } = picture;
  await stored(() =>
    bucket.put(key, content, {
      onlyIf: ONCE,
      sha256: digest,
      httpMetadata: { contentType: picture.type, cacheControl: ASSET_CACHE_CONTROL },
      customMetadata: { sha256, width: String(width), height: String(height) },
    }),
  );
  return { key, content_type: picture.type, bytes: content.byteLength, width, height, sha256 };
}

export const ASSET_CACHE_CONTROL = "public, max-age=31536000, immutable";

/** Where an asset is found: in the public bucket if there is one, else at the gateway that answers. */
export function assetUrl(context, key) {
  return `${context.settings.assetBaseUrl || `${context.url.origin}/assets`}/${key}`;
}

async function assetName(generation) {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(`asset ${generation}`));
  return new Uint8Array(digest, 0, 16).toHex();
}
