/** Turns a request's body into a generation, or says every field that is wrong. Nothing is sent anywhere before. */

import { sniff } from "./images.js";
import { Problem } from "./problems.js";
import { isAssetKey } from "./storage.js";

const LONGEST_PROMPT = 4000;
const SMALLEST_SIDE = 64;
const LARGEST_SIDE = 4096;
const SMALLEST_SPRITE = 16; // a pipeline scales down to it
const SIDE_STEP = 8; // latent images have an eighth of the size
const LARGEST_SEED = 2 ** 32 - 1;
const VISIBLE = /[^\u0000-\u0020\u007f]/;
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/;

/** Per operation: the fields it takes; `true` for those it cannot do without. */
export const FIELDS = {
  txt2img: { prompt: true, negative_prompt: false, width: false, height: false, seed: false },
  img2img: {
    prompt: true, image: true, negative_prompt: false, width: false, height: false, seed: false, strength: false,
  },
  remove_background: { image: true },
  pipeline: { prompt: true, negative_prompt: false, width: false, height: false, seed: false },
};

const CHECKS = {
  prompt: (value) => checkText(value) ?? (VISIBLE.test(value) ? undefined : "must not be empty"),
  negative_prompt: checkText,
  image: checkImage,
  width: checkInteger,
  height: checkInteger,
  seed: (value) => checkInteger(value) ?? checkRange(value, 0, LARGEST_SEED),
  strength: (value) => (typeof value === "number" ? checkRange(value, 0, 1) : "must be a number from 0 to 1"),
};

/**
 * @returns {{operation: string, prompt?: string, negative_prompt?: string, width?: number, height?: number,
 *   seed?: number, strength?: number, image?: {base64?: string, key?: string}}} without the fields that were null (which is as good as not there)
 */
export function validate(body, operations, limits) {
  if (body === null || typeof body !== "object" || Array.isArray(body)) {
    throw new Problem(400, "BAD_REQUEST", "the body must be a JSON object");
  }
  const isGiven = ([name, value]) => value !== null || !Object.hasOwn(CHECKS, name); // unknown ones are wrong even so
  const request = Object.fromEntries(Object.entries(body).filter(isGiven));
  const isKnown = typeof request.operation === "string" && Object.hasOwn(FIELDS, request.operation);
  if (!isKnown) throw invalid([fault("operation", `must be one of ${Object.keys(FIELDS).join(", ")}`)]);
  const faults = [...fieldFaults(request, FIELDS[request.operation]), ...sizeFaults(request, limits)];
  if (faults.length > 0) throw invalid(faults);
  if (!operations.includes(request.operation)) {
    throw new Problem(422, "BAD_REQUEST", `this provider is not configured for ${request.operation}`);
  }
  return request;
}

function fieldFaults(request, fields) {
  const faults = [];
  for (const [name, value] of Object.entries(request)) {
    if (name === "operation") continue;
    const known = Object.hasOwn(fields, name);
    const message = known ? CHECKS[name](value) : unknownField(name, request.operation);
    if (message) faults.push(fault(name, message));
  }
  for (const [name, required] of Object.entries(fields)) {
    if (required && !Object.hasOwn(request, name)) faults.push(fault(name, `${request.operation} needs it`));
  }
  return faults;
}

function unknownField(name, operation) {
  return Object.hasOwn(CHECKS, name) ? `${operation} does not take it` : "is not a field of a generation";
}

function sizeFaults({ operation, width, height }, { maxPixels }) {
  const faults = [];
  const smallest = operation === "pipeline" ? SMALLEST_SPRITE : SMALLEST_SIDE;
  const step = operation === "pipeline" ? 1 : SIDE_STEP;
  for (const [name, side] of Object.entries({ width, height })) {
    if (!Number.isInteger(side)) continue; // missing, or already named as no integer
    const message = checkRange(side, smallest, LARGEST_SIDE) ?? (side % step ? `must be a multiple of ${step}` : undefined);
    if (message) faults.push(fault(name, message));
  }
  if (faults.length === 0 && width * height > maxPixels) {
    faults.push(fault("width", `width × height must not be more than ${maxPixels} (gateway.maxPixels)`));
  }
  return faults;
}

function checkText(value) {
  if (typeof value !== "string") return "must be a text";
  const isLonger = value.length > 2 * LONGEST_PROMPT || [...value].length > LONGEST_PROMPT; // some take two units
  if (isLonger) return `must not be longer than ${LONGEST_PROMPT} characters`;
  return CONTROL.test(value) || !value.isWellFormed() ? "must not hold control characters" : undefined;
}

function checkInteger(value) {
  return Number.isInteger(value) ? undefined : "must be an integer";
}

function checkRange(value, from, to) {
  return value >= from && value <= to ? undefined : `must be from ${from} to ${to}`;
}

function checkImage(value) {
  if (typeof value !== "object" || Array.isArray(value)) return "must be an object with base64 or key";
  const names = Object.keys(value).filter((name) => value[name] !== null);
  if (names.length !== 1 || !["base64", "key"].includes(names[0])) return "must have exactly one of base64 and key";
  if (typeof value[names[0]] !== "string") return `${names[0]} must be a text`;
  if (names[0] === "key" && !isAssetKey(value.key)) return "key must be the key of an asset of this gateway";
  return undefined;
}

/** An input image's bytes, checked: `{bytes, type, extension, width, height}`. */
export function checkedImage(bytes, { maxImageBytes, maxPixels }) {
  if (bytes.byteLength > maxImageBytes) {
    throw new Problem(413, "BAD_REQUEST", `the image is larger than ${maxImageBytes} bytes`);
  }
  const found = sniff(bytes);
  if (!found?.complete) throw invalid([fault("image", "must be a complete PNG, JPEG or WebP file")]);
  if (found.width * found.height > maxPixels) {
    throw invalid([fault("image", `has more than ${maxPixels} pixels (gateway.maxPixels)`)]);
  }
  return { bytes, ...found };
}

export function decodedImage(text) {
  try {
    return Uint8Array.fromBase64(text.replace(/^data:[^,]*;base64,/i, ""));
  } catch {
    throw invalid([fault("image", "base64 is not valid base64")]);
  }
}

function fault(field, message) {
  return { field: field.slice(0, 64), message };
}

export function invalid(errors) {
  const first = errors[0];
  return new Problem(422, "BAD_REQUEST", `${first.field}: ${first.message}`, { errors: errors.slice(0, 20) });
}
