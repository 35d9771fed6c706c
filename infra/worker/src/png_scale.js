/**
 * Scales a PNG as ComfyUI's ImageScale does with `nearest-exact` and `crop: center`, for providers that have no
 * such step. Only what image models put out: 8 bits, RGB or RGBA, not interlaced. Costs about 0.1 s of CPU per
 * megapixel, which Workers Paid allows and Workers Free does not.
 */

import { pngChunks } from "./images.js";

const SIGNATURE = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const CHANNELS = { 2: 3, 6: 4 }; // by colour type
const LARGEST_PIXELS = 8_388_608; // a Worker has 128 MB, and holds the pixels twice

/** @returns {Promise<Uint8Array | null>} null when the PNG is damaged, too large or of another form */
export async function scaled(bytes, width, height) {
  const source = await decoded(bytes);
  if (!source) return null;
  const crop = centered(source.width, source.height, width, height);
  const rows = resampled(source, crop, width, height);
  return encoded(rows, width, height, source.colourType);
}

async function decoded(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [width, height, colourType] = [view.getUint32(16), view.getUint32(20), bytes[25]];
  const channels = CHANNELS[colourType];
  if (!channels || bytes[24] !== 8 || bytes[28] !== 0 || width * height > LARGEST_PIXELS) return null;
  const parts = [];
  for (const { name, start, end } of pngChunks(bytes)) {
    if (name === "IDAT") parts.push(bytes.subarray(start + 8, end - 4));
  }
  const stride = width * channels;
  const filtered = await inflated(parts, (stride + 1) * height);
  return filtered && { pixels: unfiltered(filtered, stride, height, channels), width, height, channels, colourType };
}

/** Exactly so many bytes, and never more of them in memory; null when it is not what comes out. */
async function inflated(parts, length) {
  const bytes = new Uint8Array(length);
  let filled = 0;
  try {
    for await (const part of piped(parts, new DecompressionStream("deflate"))) {
      if (filled + part.length > length) return null;
      bytes.set(part, filled);
      filled += part.length;
    }
  } catch {
    return null; // no zlib stream, or a damaged one
  }
  return filled === length ? bytes : null;
}

/** Undoes the filter of each row (PNG specification, section 9). */
function unfiltered(filtered, stride, height, channels) {
  const pixels = new Uint8Array(stride * height);
  let above = new Uint8Array(stride);
  for (let row = 0; row < height; row++) {
    const from = row * (stride + 1);
    const line = pixels.subarray(row * stride, (row + 1) * stride);
    const coded = filtered.subarray(from + 1, from + 1 + stride);
    unfilterRow(filtered[from], coded, line, above, channels);
    above = line;
  }
  return pixels;
}

function unfilterRow(filter, coded, line, above, channels) {
  if (filter === 0) return line.set(coded);
  for (let at = 0; at < line.length; at++) {
    const left = at >= channels ? line[at - channels] : 0;
    const corner = at >= channels ? above[at - channels] : 0;
    line[at] = coded[at] + predicted(filter, left, above[at], corner);
  }
}

function predicted(filter, left, up, corner) {
  if (filter === 1) return left;
  if (filter === 2) return up;
  if (filter === 3) return (left + up) >> 1;
  const guess = left + up - corner;
  const [byLeft, byUp, byCorner] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)];
  if (byLeft <= byUp && byLeft <= byCorner) return left;
  return byUp <= byCorner ? up : corner;
}

/** The largest part in the middle that has the new shape. */
function centered(oldWidth, oldHeight, width, height) {
  const [oldShape, shape] = [oldWidth / oldHeight, width / height];
  const x = oldShape > shape ? Math.round((oldWidth - oldWidth * (shape / oldShape)) / 2) : 0;
  const y = oldShape < shape ? Math.round((oldHeight - oldHeight * (oldShape / shape)) / 2) : 0;
  return { x, y, width: oldWidth - 2 * x, height: oldHeight - 2 * y };
}

/** Rows of the new picture, each with filter type 0 in front. */
function resampled({ pixels, width: oldWidth, channels }, crop, width, height) {
  const rows = new Uint8Array((width * channels + 1) * height);
  let to = 0;
  for (let row = 0; row < height; row++) {
    const y = crop.y + Math.floor(((row + 0.5) * crop.height) / height);
    rows[to++] = 0;
    for (let column = 0; column < width; column++) {
      const x = crop.x + Math.floor(((column + 0.5) * crop.width) / width);
      const from = (y * oldWidth + x) * channels;
      for (let channel = 0; channel < channels; channel++) rows[to++] = pixels[from + channel];
    }
  }
  return rows;
}

async function encoded(rows, width, height, colourType) {
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, colourType, 0, 0, 0], 8);
  const content = await new Response(piped([rows], new CompressionStream("deflate"))).arrayBuffer();
  const parts = [SIGNATURE, chunk("IHDR", header), chunk("IDAT", new Uint8Array(content)), chunk("IEND", new Uint8Array(0))];
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

function chunk(name, content) {
  const bytes = new Uint8Array(content.length + 12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, content.length);
  bytes.set(new TextEncoder().encode(name), 4);
  bytes.set(content, 8);
  view.setUint32(content.length + 8, crc32(bytes.subarray(4, content.length + 8)));
  return bytes;
}

function piped(parts, transform) {
  return new Blob(parts).stream().pipeThrough(transform);
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function crc32(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = CRC_TABLE[(value ^ byte) & 0xff] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}
