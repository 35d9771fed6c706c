/** ComfyUI graphs, filled by parameter name; the graphs are provider_client/workflows/*.json. */

import workflows from "./generated/workflows.js";

const NATIVE_PIXELS = 1024; // SDXL is trained on pictures of about 1024 × 1024
const GRID_PIXELS = 64;

/** @param {{operation: string, generation: string, request: object}} work @param {string} [imageName] */
export function graphFor({ operation, generation, request }, { workflows: options }, imageName) {
  const { seed, strength, prompt, negative_prompt, width, height } = request;
  const parameters = {
    seed, strength, prompt, negative_prompt, width, height,
    image: imageName,
    checkpoint: options.checkpoint,
    background_removal_model: options.backgroundRemovalModel,
    steps: options.steps,
    batch_size: options.batchSize,
    filename_prefix: `switchback/${generation}`, // an own name: ComfyUI answers a repeated graph with the old file
  };
  if (operation === "pipeline") {
    [parameters.generation_width, parameters.generation_height] = nativeSize(width, height);
  }
  return fill(workflows[operation], parameters);
}

/** The node whose pictures are the result. */
export function outputNode(operation) {
  return workflows[operation].output;
}

/** The size to generate at before scaling to width × height: same shape, about the model's number of pixels. */
export function nativeSize(width, height) {
  const stretch = Math.sqrt(width / height);
  return [onGrid(NATIVE_PIXELS * stretch), onGrid(NATIVE_PIXELS / stretch)];
}

function onGrid(pixels) {
  return Math.max(GRID_PIXELS, Math.round(pixels / GRID_PIXELS) * GRID_PIXELS);
}

function fill({ graph, parameters: places, defaults }, values) {
  const filled = structuredClone(graph);
  for (const [name, inputs] of Object.entries(places)) {
    for (const [node, input] of inputs) filled[node].inputs[input] = values[name] ?? defaults[name];
  }
  return filled;
}
