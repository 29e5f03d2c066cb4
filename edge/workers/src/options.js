/**
 * How an operator sets up the filter at the edge.
 */

/**
 * Where requests go: a server's address (`https://api.example.com`) or a binding to another Worker.
 * @typedef {string | { fetch: (request: Request) => Promise<Response> }} Origin
 */

/**
 * One line about a verdict: time, method, path, status, origin ("origin", "suspects" or "filter"), user_agent, score, action, reasons and subject.
 * @typedef {Record<string, string | number>} Entry
 */

/** @typedef {import("./exchange.js").Store} Store */

/**
 * @typedef {object} Options
 * @property {WebAssembly.Module} module the filter, `scarecrow.wasm`: the same file that Envoy loads
 * @property {object | string | ((env: any) => object | string)} [policy] the policy, as docs/policy.md has it; observe with all defaults if left out
 * @property {(env: any) => Origin | undefined} [origin] where requests go; `env.ORIGIN` if left out, and without that the zone's own server
 * @property {(env: any) => Origin | undefined} [suspects] where tagged requests go; `env.SUSPECTS` if left out, and without that the origin
 * @property {(request: Request) => string | undefined} [address] the client's address; the header `cf-connecting-ip` if left out
 * @property {(request: Request, env: any) => Record<string, string>} [properties] what is known of a request that clients cannot set, by the paths
 *   that policies name: `{ "metadata.filter_metadata.auth.sub": account, "xds.route_name": "partners" }`
 * @property {(entry: Entry, env: any) => void} [log] takes the lines about verdicts; they go to the console if left out
 * @property {string[]} [environment] more variables of `env` that the filter may read
 * @property {(env: any, request: Request) => Store | undefined} [exchange] through what isolates tell each other what they saw: a stub of
 *   `exchangeObject`. Left out, each isolate judges by what it saw itself
 * @property {(cluster: string, env: any) => import("./callouts.js").Server | undefined} [servers] the servers that the module may call
 * @property {string} [metricsPath] the path that answers with metrics to who knows `env.SCARECROW_METRICS_TOKEN`; `/.well-known/scarecrow/metrics`
 *   if left out. Without the variable it is a path like any other
 */

export {};
