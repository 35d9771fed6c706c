/** What the bindings say, with a default for every one that may be missing. */

const DEFAULT_GATEWAY = {
  corsOrigins: [],
  maxBodyBytes: 15_000_000,
  maxImageBytes: 10_000_000,
  maxPixels: 4_194_304,
  requestsPerMinute: 120,
};
const DEFAULT_SCENARIO_MODELS = {
  custom: {
    txt2img: "model_bfl-flux-2-dev",
    img2img: "model_bfl-flux-2-dev",
    remove_background: "model_photoroom-background-removal",
  },
  legacy: { txt2img: "flux.1-dev", img2img: "flux.1-dev" }, // its route for background removal takes no model
};
const DEFAULT_WORKFLOWS = {
  checkpoint: "sd_xl_base_1.0.safetensors",
  backgroundRemovalModel: "birefnet.safetensors",
  steps: 20,
  batchSize: 1,
};

const parsed = new WeakMap(); // an isolate's `env` is one object for all requests

/** Frozen settings of this version. Values that cannot be read count as missing: /health then says misconfigured. */
export function settingsOf(env) {
  if (!parsed.has(env)) parsed.set(env, Object.freeze(read(env)));
  return parsed.get(env);
}

function read(env) {
  const scenario = jsonOf(env.SCENARIO);
  const gateway = { ...DEFAULT_GATEWAY, ...jsonOf(env.GATEWAY) };
  const requestShape = scenario.requestShape === "legacy" ? "legacy" : "custom";
  return {
    provider: /^[\x21-\x7e]{1,64}$/.exec(env.IMAGE_GENERATION_PROVIDER ?? "")?.[0] ?? "none", // it goes into a header
    version: versionOf(env.VERSION),
    tokens: listOf(env.GATEWAY_TOKENS),
    signingKeys: listOf(env.JOB_SIGNING_KEYS),
    assetBaseUrl: (env.ASSET_BASE_URL || "").replace(/\/+$/, ""),
    assetCorsOrigins: env.ASSET_CORS_ORIGINS ? listOf(env.ASSET_CORS_ORIGINS) : gateway.corsOrigins,
    gateway,
    workflows: { ...DEFAULT_WORKFLOWS, ...jsonOf(env.WORKFLOWS) },
    scenario: { requestShape, models: { ...DEFAULT_SCENARIO_MODELS[requestShape], ...scenario.models } },
  };
}

function versionOf(metadata) {
  const version = jsonOf(metadata);
  return { id: version.id || "unknown", tag: version.tag || "", timestamp: version.timestamp || "" };
}

/** A JSON binding arrives parsed, the same text in a plain binding does not. */
function jsonOf(value) {
  const found = typeof value === "string" ? parse(value) : value;
  return found && typeof found === "object" ? found : {};
}

/** A JSON array of strings; a bare string is a list of one. */
function listOf(value) {
  const found = typeof value === "string" ? (parse(value) ?? value) : value;
  const list = Array.isArray(found) ? found : [found];
  return list.filter((item) => typeof item === "string" && item !== "");
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
