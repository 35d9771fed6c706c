/** What the first and last bytes of a picture say of it, and a PNG without its texts. */

const PNG_SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const PNG_TEXT_CHUNKS = new Set(["tEXt", "zTXt", "iTXt"]);

/**
 * @param {Uint8Array} bytes
 * @returns {{type: string, extension: string, width: number, height: number, complete: boolean} | null}
 */
export function sniff(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = sniffPng(bytes, view) ?? sniffJpeg(bytes, view) ?? sniffWebp(bytes, view);
  return found && found.width > 0 && found.height > 0 ? found : null;
}

export function isPng(bytes) {
  return PNG_SIGNATURE.every((byte, index) => bytes[index] === byte);
}

/** The chunks of a PNG: `{name, start, end}` with length and checksum inside; stops where the file is broken. */
export function* pngChunks(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let start = PNG_SIGNATURE.length;
  while (start + 12 <= bytes.length) {
    const end = start + 12 + view.getUint32(start);
    if (end > bytes.length) return;
    const name = ascii(bytes, start + 4, 4);
    yield { name, start, end };
    if (name === "IEND") return;
    start = end;
  }
}

/**
 * The same PNG without text chunks, in which ComfyUI keeps the whole graph with its prompts. Works in place.
 * @param {Uint8Array} bytes
 */
export function withoutTexts(bytes) {
  let length = PNG_SIGNATURE.length;
  for (const { name, start, end } of pngChunks(bytes)) {
    if (PNG_TEXT_CHUNKS.has(name)) continue;
    if (start !== length) bytes.copyWithin(length, start, end);
    length += end - start;
  }
  return bytes.subarray(0, length);
}

function sniffPng(bytes, view) {
  if (!isPng(bytes) || bytes.length < 33 || ascii(bytes, 12, 4) !== "IHDR") return null;
  let last = "";
  let pixels = false;
  for (const { name } of pngChunks(bytes)) {
    last = name;
    pixels ||= name === "IDAT";
  }
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  return { type: "image/png", extension: "png", width, height, complete: pixels && last === "IEND" };
}

function sniffJpeg(bytes, view) {
  if (bytes.length < 4 || view.getUint16(0) !== 0xffd8) return null;
  const complete = view.getUint16(bytes.length - 2) === 0xffd9;
  let at = 2;
  while (at + 9 < bytes.length && bytes[at] === 0xff) {
    const marker = bytes[at + 1];
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (isFrame) {
      const [height, width] = [view.getUint16(at + 5), view.getUint16(at + 7)];
      return { type: "image/jpeg", extension: "jpg", width, height, complete };
    }
    at += 2 + view.getUint16(at + 2);
  }
  return null;
}

function sniffWebp(bytes, view) {
  if (bytes.length < 30 || ascii(bytes, 0, 4) !== "RIFF" || ascii(bytes, 8, 4) !== "WEBP") return null;
  const complete = view.getUint32(4, true) + 8 <= bytes.length;
  return { type: "image/webp", extension: "webp", ...webpSize(bytes, view), complete };
}

function webpSize(bytes, view) {
  switch (ascii(bytes, 12, 4)) {
    case "VP8X":
      return { width: 1 + uint24(bytes, 24), height: 1 + uint24(bytes, 27) };
    case "VP8L": {
      const bits = view.getUint32(21, true);
      return { width: 1 + (bits & 0x3fff), height: 1 + ((bits >> 14) & 0x3fff) };
    }
    case "VP8 ":
      return { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
    default:
      return { width: 0, height: 0 };
  }
}

function uint24(bytes, at) {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16);
}

function ascii(bytes, at, length) {
  return String.fromCharCode(...bytes.subarray(at, at + length));
}
