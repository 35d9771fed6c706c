/** The smallest Worker that keeps the contract: /health and the version header, and it generates nothing itself. */
import greeting from "./text/greeting.txt";

export default {
  async fetch(request, env) {
    const version = { id: env.VERSION.id, tag: env.VERSION.tag };
    const provider = env.IMAGE_GENERATION_PROVIDER;
    const headers = { "Switchback-Provider": provider, "Switchback-Version": version.id };
    if (new URL(request.url).pathname === "/health") {
      return Response.json({ status: "ok", provider, version, operations: [] }, { headers });
    }
    return new Response(greeting, { headers });
  },
};
