/**
 * Calls that a module makes to servers: `proxy_http_call` by `fetch`.
 */

import { plainHead } from "./headers.js";
import { join } from "./body.js";

/** @typedef {import("./vm.js").Vm} Vm */
/** @typedef {import("./headers.js").Head} Head */

/**
 * Where a call goes: what a binding offers, or the server's address, `https://taxii.example.com`.
 * @typedef {{ fetch: (request: Request) => Promise<Response> } | string} Server
 */

/** @typedef {{ cluster: string, pairs: [string, string][], body: Uint8Array, timeout: number }} Call */
/** @typedef {{ head: Head, count: number, body: Uint8Array }} Answer */

/** Calls under way at most, and bytes of an answer that are read. */
const MOST_CALLS = 16;
const LONGEST_ANSWER = 16 * 1024 * 1024;

export class Callouts {
  #vm;
  #lastToken = 0;
  #underWay = 0;
  /** The answer that host calls read while its callback runs. @type {Answer | undefined} */
  answer;

  /** @param {Vm} vm */
  constructor(vm) {
    this.#vm = vm;
  }

  /**
   * @param {number} context whose callback gets the answer
   * @param {Call} call
   * @returns {number} its token; 0 where there is no such server or too many calls are under way
   */
  begin(context, call) {
    const { host } = this.#vm;
    const server = host.server(call.cluster);
    if (!server || !host.task || this.#underWay >= MOST_CALLS) return 0;
    let request;
    try {
      request = requestOf(call, server);
    } catch {
      return 0;
    }
    const token = ++this.#lastToken;
    this.#underWay++;
    const sent = typeof server === "string" ? fetch(request) : server.fetch(request);
    // It outlives the request that it was made in.
    host.task.ctx.waitUntil(
      read(sent)
        .catch((error) => {
          host.print("warn", `the call to ${call.cluster} failed: ${error}`);
          return undefined;
        })
        .then((answer) => this.#answered(context, token, answer)),
    );
    return token;
  }

  /** @param {number} context @param {number} token @param {Answer | undefined} answer */
  #answered(context, token, answer) {
    this.#underWay--;
    this.answer = answer;
    try {
      // Without headers it has failed.
      this.#vm.callback("proxy_on_http_call_response", context, token, answer?.count ?? 0, answer?.body.length ?? 0, 0);
    } finally {
      this.answer = undefined;
    }
  }
}

/** @param {Call} call @param {Server} server */
function requestOf({ pairs, body, timeout }, server) {
  const head = plainHead(pairs);
  const method = head.get(":method") ?? "GET";
  const base = typeof server === "string" ? server.replace(/\/$/, "") : `https://${head.get(":authority") ?? "localhost"}`;
  return new Request(base + (head.get(":path") ?? "/"), {
    method,
    headers: head.headers,
    // A redirect could lead anywhere.
    redirect: "manual",
    signal: AbortSignal.timeout(timeout),
    ...(body.length > 0 && method !== "GET" && method !== "HEAD" ? { body } : {}),
  });
}

/** @param {Promise<Response>} sent @returns {Promise<Answer>} */
async function read(sent) {
  const response = await sent;
  const parts = [];
  let size = 0;
  if (response.body) {
    for await (const part of /** @type {AsyncIterable<Uint8Array>} */ (/** @type {unknown} */ (response.body))) {
      size += part.length;
      if (size > LONGEST_ANSWER) throw new Error(`the answer has more than ${LONGEST_ANSWER} bytes`);
      parts.push(part);
    }
  }
  const pairs = /** @type {[string, string][]} */ ([[":status", String(response.status)], ...response.headers]);
  return { head: plainHead(pairs), count: pairs.length, body: join(parts) };
}
