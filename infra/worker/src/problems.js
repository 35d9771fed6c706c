/** Errors as application/problem+json (RFC 9457), with the failure kinds of failure_kinds.json. */

const TITLES = {
  400: "Bad Request",
  401: "Unauthorized",
  404: "Not Found",
  405: "Method Not Allowed",
  409: "Conflict",
  410: "Gone",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  422: "Unprocessable Content",
  429: "Too Many Requests",
  500: "Internal Server Error",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
};

export class Problem extends Error {
  /**
   * @param {number} status HTTP status
   * @param {string} kind a name of failure_kinds.json
   * @param {string} detail for the caller: no internals, no secrets
   * @param {{mitigation?: string, retryable?: boolean, errors?: object[], headers?: object}} more
   */
  constructor(status, kind, detail, more = {}) {
    super(detail);
    Object.assign(this, { status, kind, more });
  }
}

export function problemResponse(problem) {
  const { mitigation, retryable, errors, headers } = problem.more;
  const body = {
    type: `urn:switchback:problem:${problem.kind.toLowerCase()}`,
    title: TITLES[problem.status] ?? "Error",
    status: problem.status,
    detail: problem.message,
    kind: problem.kind,
    mitigation,
    retryable: retryable ?? [429, 502, 503, 504].includes(problem.status),
    errors,
  };
  return new Response(JSON.stringify(body), {
    status: problem.status,
    headers: { "Content-Type": "application/problem+json", "Cache-Control": "no-store", ...headers },
  });
}

const UPSTREAM_STATUS = { UNAVAILABLE: 503, RATE_LIMITED: 503, COLD_START: 503, STORAGE: 503, TIMEOUT: 504 };

/** The provider could not be asked. The job itself may be well, so the generation is not failed: ask again. */
export function upstreamProblem(failure, retryAfter) {
  const headers = { "Retry-After": String(Math.ceil(retryAfter ?? 2)) };
  const { kind, message, mitigation, retryable } = failure;
  return new Problem(UPSTREAM_STATUS[kind] ?? 502, kind, message, { mitigation, retryable, headers });
}
