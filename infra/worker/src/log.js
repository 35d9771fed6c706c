/** One JSON line per finished generation; never a prompt, an address or a secret. */

export function logGeneration(context, handle, outcome) {
  const { status, error, timings, assets } = outcome;
  console.log(
    JSON.stringify({
      event: "generation",
      generation: handle.generation,
      provider: handle.provider,
      operation: handle.operation,
      status,
      kind: error?.kind,
      provider_code: error?.provider_code,
      ...timings,
      bytes: assets?.reduce((sum, asset) => sum + asset.bytes, 0),
      version: context.settings.version.id,
    }),
  );
}

/** An error of our own: its place in the code, without the message, which may quote anything. */
export function logError(context, error) {
  const stack = String(error?.stack ?? "").replace(error?.message, "").match(/(?<=^ {4})at .+/gm)?.slice(0, 5);
  const { method } = context.request;
  console.error(
    JSON.stringify({ event: "error", name: error?.name, stack, method, version: context.settings.version.id }),
  );
}
