/**
 * Where a request goes: to the origin, or what was tagged to the one for suspects.
 */

/** @typedef {import("./headers.js").Head} Head */
/** @typedef {import("./options.js").Options} Options */
/** @typedef {import("./options.js").Origin} Origin */
/** @typedef {Uint8Array | ReadableStream<Uint8Array> | null} BodyOf */

/** What the filter sets on a request that it tagged. */
const TAG = "x-scarecrow-action";

/**
 * Sends a request on.
 * @param {Options} options
 * @param {Request} request as it came
 * @param {Head} head as it goes on
 * @param {BodyOf} body
 * @param {Record<string, any>} env
 * @returns {{ to: "origin" | "suspects", response: Promise<Response> }}
 */
export function forwardTo(options, request, head, body, env) {
  const suspects = head.get(TAG) === null ? undefined : (options.suspects?.(env) ?? env["SUSPECTS"]);
  const to = suspects ? "suspects" : "origin";
  const target = suspects ?? options.origin?.(env) ?? env["ORIGIN"];
  return { to, response: send(target, request, head, body) };
}

/**
 * @param {Origin | undefined} target
 * @param {Request} request @param {Head} head @param {BodyOf} body
 */
async function send(target, request, head, body) {
  const init = {
    method: head.get(":method") ?? request.method,
    headers: head.headers,
    body,
    // It is the client who follows.
    redirect: /** @type {const} */ ("manual"),
  };
  const path = head.get(":path") ?? "/";
  if (typeof target === "string") return fetch(target.replace(/\/$/, "") + path, init);
  // A binding, or on a route of a zone the zone's own server, gets the address that the client asked for.
  const url = `${head.get(":scheme") ?? "https"}://${head.get(":authority") ?? "localhost"}${path}`;
  return target ? target.fetch(new Request(url, init)) : fetch(url, init);
}
