/**
 * The numbers of proxy-wasm ABI 0.2.1 (https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1).
 */

/** What a host call returns. */
export const Status = Object.freeze({
  Ok: 0,
  NotFound: 1,
  BadArgument: 2,
  SerializationFailure: 3,
  InvalidMemoryAccess: 6,
  Empty: 7,
  CasMismatch: 8,
  InternalFailure: 10,
  Unimplemented: 12,
});

/** Which headers a host call means. */
export const HeaderMap = Object.freeze({
  Request: 0,
  RequestTrailers: 1,
  Response: 2,
  ResponseTrailers: 3,
  CalloutResponse: 6,
  CalloutResponseTrailers: 7,
});

/** Which bytes a host call means. */
export const BufferKind = Object.freeze({
  RequestBody: 0,
  ResponseBody: 1,
  CalloutResponseBody: 4,
  VmConfiguration: 6,
  PluginConfiguration: 7,
});

/** Which direction of a stream a host call means. */
export const StreamKind = Object.freeze({ Request: 0, Response: 1 });

/** What a callback for a body returns. Headers and trailers go on with 0 and wait with anything else. */
export const Next = Object.freeze({
  Continue: 0,
  /** Keep what came, and show all of it at the next part. */
  StopAndBuffer: 1,
  /** Keep what came, and show each part once. */
  StopAndWatermark: 2,
  /** The filter took the part: it does not go on. */
  StopNoBuffer: 3,
});

export const MetricKind = Object.freeze({ Counter: 0, Gauge: 1, Histogram: 2 });

/** From trace to critical, as `proxy_log` numbers them. */
export const LOG_LEVELS = Object.freeze(/** @type {const} */ (["debug", "debug", "info", "warn", "error", "error"]));

/** The level that filters are told is in use: info. */
export const LOG_LEVEL = 2;
