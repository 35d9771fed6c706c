/** From an accepted body to everything that a provider needs: input image, sizes, seed. */

import { readBytes } from "./body.js";
import { Problem } from "./problems.js";
import { stored } from "./storage.js";
import { checkedImage, decodedImage, invalid } from "./validation.js";

const DEFAULT_SIDE = 1024;
const DEFAULT_SPRITE_SIDE = 512;
const DEFAULT_STRENGTH = 0.6;
const SIDE_STEP = 8;

/** The request with its image loaded and nothing left open: a seed drawn here makes a lost job findable. */
export async function completed(context, provider, request) {
  const image = await loadImage(context, provider, request.image);
  const side = request.operation === "pipeline" ? DEFAULT_SPRITE_SIDE : DEFAULT_SIDE;
  const width = request.width ?? sideOf(image?.width) ?? side;
  const height = request.height ?? sideOf(image?.height) ?? side;
  const seed = request.seed ?? crypto.getRandomValues(new Uint32Array(1))[0] >>> 1;
  const strength = request.operation === "img2img" ? (request.strength ?? DEFAULT_STRENGTH) : undefined;
  return { ...request, image, width, height, seed, strength };
}

/** The input image's bytes, from the body or from our own bucket, checked against all limits. */
export async function loadImage(context, provider, image) {
  if (!image) return undefined;
  const limits = context.settings.gateway;
  const maxImageBytes = Math.min(limits.maxImageBytes, provider.maxImageBytes);
  const bytes = image.key ? await ownAsset(context.bucket, image.key) : decodedImage(image.base64);
  return { ...checkedImage(bytes, { ...limits, maxImageBytes }), key: image.key };
}

async function ownAsset(bucket, key) {
  const object = await stored(() => bucket.get(key));
  if (!object) throw invalid([{ field: "image", message: "key names no asset of this gateway" }]);
  const excess = () => new Problem(413, "BAD_REQUEST", "the asset is too large to be an input image");
  return readBytes({ body: object.body, headers: new Headers() }, object.size, excess);
}

/** An input's own size is kept, on the grid that models work on. */
function sideOf(pixels) {
  return pixels && Math.max(SIDE_STEP, Math.floor(pixels / SIDE_STEP) * SIDE_STEP);
}
