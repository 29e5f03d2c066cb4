"""What the filter costs: CPU time of Envoy's worker per request, beside no filter and a filter that does nothing.

    make bench

One Envoy with a listener for each variant, so that all share the process and its state. Rounds are interleaved and
the first is discarded; each figure is the median of the rounds, each difference the median of per-round differences.
CPU time is the kernel's accounting of the worker thread (user and system), which a busy machine disturbs little.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import options  # noqa: E402
from harness.envoy import MODULE, ROOT, Envoy, Failed, free_port, require_module  # noqa: E402

NOOP = ROOT / "target/noop/wasm32-wasip1/release/peers.wasm"
NAIVE = ROOT / "target/naive/wasm32-wasip1/release/peers.wasm"

HEADERS = {
    "user-agent": "OpenAI/Python 3.54.0",
    "accept": "application/json",
    "accept-encoding": "gzip, deflate",
    "authorization": "Bearer sk-proj-0123456789abcdef0123456789abcdef0123456789abcdef",
    "content-type": "application/json",
    "x-stainless-lang": "python",
    "x-stainless-package-version": "3.54.0",
    "x-stainless-os": "Linux",
    "x-stainless-arch": "x64",
    "x-stainless-runtime": "CPython",
    "x-stainless-runtime-version": "3.11.7",
    "x-stainless-async": "false",
    "x-stainless-retry-count": "0",
}

CONNECTION = """
          - name: envoy.filters.http.set_filter_state
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.set_filter_state.v3.Config
              on_request_headers:
              - object_key: scarecrow.connection
                factory_key: envoy.string
                format_string: { text_format_source: { inline_string: "address=%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% ja4=%TLS_JA4_FINGERPRINT% route=%METADATA(ROUTE:scarecrow)%" } }"""


def wasm(name: str, module: Path, policy: dict) -> str:
    return f"""
          - name: {name}
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config:
                name: {name}
                allow_on_headers_stop_iteration: true
                vm_config: {{ vm_id: {name}, runtime: envoy.wasm.runtime.v8, code: {{ local: {{ filename: {module} }} }} }}
                configuration: {{ "@type": type.googleapis.com/google.protobuf.Struct, value: {json.dumps(policy)} }}"""


SETTINGS = ["direct reply", "real upstream", "real upstream, 4 KiB body"]
# Nothing is tagged: no score is out of the first step's reach, so the step is left out.
QUIET = {"mode": "enforce", "actions": []}
TAGGED = {"mode": "enforce", "actions": [{"at": 0, "do": "tag"}]}
VARIANTS = {
    "no filter": "",
    "a filter that does nothing": wasm("noop", NOOP, {}),
    "a naive one: 6 headers, 3 properties, 2 sets": wasm("naive", NAIVE, {}),
    "Scarecrow, nothing to tag": CONNECTION + wasm("quiet", MODULE, QUIET),
    "the same without set_filter_state before it": wasm("bare", MODULE, QUIET),
    "Scarecrow, tagged with reasons": CONNECTION + wasm("tagged", MODULE, TAGGED),
}
# What matters where requests have bodies.
BODY_VARIANTS = {
    "no filter": "",
    "a filter that does nothing": wasm("noop", NOOP, {}),
    "Scarecrow, observing": CONNECTION + wasm("observe", MODULE, {"mode": "observe", "actions": []}),
    "Scarecrow, enforcing: requests wait for their verdict": CONNECTION + wasm("quiet", MODULE, QUIET),
    "the same, responses unread": CONNECTION + wasm("unread", MODULE, QUIET | {"inspection": {"responses": "nothing"}}),
    "the same, bodies unread too": CONNECTION + wasm("bodies", MODULE, QUIET | {"inspection": {"responses": "nothing", "request_bytes": 0}}),
}

WORDS = """Explain how TCP's slow start "probes" the path, step by step. First, the window doubles with each round trip. """
BODY = json.dumps({"model": "gpt-4o-mini", "temperature": 0.7, "max_tokens": 1024, "messages": [
    {"role": "system", "content": "You are a helpful assistant."}, {"role": "user", "content": (WORDS * 40)[:3800]}]})
ANSWER = json.dumps({"id": "c", "object": "chat.completion", "model": "gpt-4o-mini",
                     "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Certainly. " * 80}}],
                     "usage": {"prompt_tokens": 900, "completion_tokens": 160, "total_tokens": 1060}})
# The origin answers once it has the whole request, as a model does.
BUFFER = """
          - name: envoy.filters.http.buffer
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer, max_request_bytes: 1048576 }"""


def listener(index: int, port: int, filters: str, upstream: bool, answer: str = "ok") -> str:
    reply = json.dumps({"status": 200, "body": {"inline_string": answer}})
    action = "route: { cluster: origin }" if upstream else f"direct_response: {reply}"
    kind = "text/plain" if answer == "ok" else "application/json"
    return f"""
  - name: variant{index}
    address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: variant{index}
          route_config: {{ virtual_hosts: [{{ name: all, domains: ["*"], routes: [{{ match: {{ prefix: "/" }}, {action}, response_headers_to_add: [{{ header: {{ key: content-type, value: {kind} }}, append_action: OVERWRITE_IF_EXISTS_OR_ADD }}] }}] }}] }}
          http_filters:{filters}
          - name: envoy.filters.http.router
            typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}"""


def config(variants: dict[str, str], ports: list[int], admin: int, origin: int | None) -> str:
    listeners = [listener(i, port, filters, origin is not None)
                 for i, (port, filters) in enumerate(zip(ports, variants.values()))]
    clusters = "" if origin is None else f"""
  clusters:
  - name: origin
    load_assignment:
      cluster_name: origin
      endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {origin} }} }} }} }}] }}]"""
    return f"""
admin: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {admin} }} }} }}
static_resources:
  listeners:{"".join(listeners)}{clusters}
"""


def load(port: int, body: str, seconds: int, script: Path, connections: int = 8) -> tuple[int, float]:
    """Sends requests for so long; returns how many were answered and the median latency in microseconds."""
    headers = "".join(f'wrk.headers["{name}"] = "{value}"\n' for name, value in HEADERS.items())
    script.write_text(f'wrk.method = "POST"\nwrk.body = {json.dumps(body)}\n{headers}'
                      'done = function(s, l, r) io.write(string.format("%d %f %d\\n", s.requests, l:percentile(50), s.errors.status))'
                      " end\n")
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), f"http://127.0.0.1:{port}/v1/chat/completions"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    requests, median, errors = answer.strip().splitlines()[-1].split()
    if int(errors):
        raise Failed(f"{errors} of {requests} requests failed")
    return int(requests), float(median)


def measure(setting: str, rounds: int, seconds: int, folder: Path) -> dict:
    upstream, body = setting != "direct reply", BODY if "body" in setting else ""
    variants = BODY_VARIANTS if body else VARIANTS
    ports, admin = [free_port() for _ in variants], free_port()
    origin_port, origin_admin = free_port(), free_port()
    answering = f"""
admin: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {origin_admin} }} }} }}
static_resources:
  listeners:{listener(0, origin_port, BUFFER if body else "", False, ANSWER if body else "ok")}
"""
    with Envoy(answering, folder / "origin", {9901: origin_admin}):
        with Envoy(config(variants, ports, admin, origin_port if upstream else None), folder / "envoy", {9901: admin}) as envoy:
            cpu: dict[str, list[float]] = {name: [] for name in variants}
            latency: dict[str, list[float]] = {name: [] for name in variants}
            for round in range(rounds + 1):
                for name, port in zip(variants, ports):
                    before = envoy.worker_cpu_ns()
                    requests, median = load(port, body, seconds, folder / "load.lua")
                    if round:
                        cpu[name].append((envoy.worker_cpu_ns() - before) / requests / 1000)
                        latency[name].append(median)
                if sys.stderr.isatty():
                    print(f"\rround {round} of {rounds}", end="", file=sys.stderr)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    base = cpu["no filter"]
    return {name: {"cpu_us": statistics.median(values),
                   "added_us": statistics.median(a - b for a, b in zip(values, base)),
                   "p50_us": statistics.median(latency[name])}
            for name, values in cpu.items()}


def main() -> int:
    parser = options.parser(__doc__, "variant and round")
    parser.add_argument("settings", nargs="*", metavar="SETTING", help=f"what to measure: {', '.join(SETTINGS)} (all)")
    arguments = parser.parse_args()
    if unknown := set(arguments.settings) - set(SETTINGS):
        parser.error(f"{unknown.pop()!r} is no setting; use {', '.join(SETTINGS)}")
    require_module()
    options.require_load_generator()
    for peer in (NOOP, NAIVE):
        if not peer.exists():
            sys.exit(f"{peer.relative_to(ROOT)} is missing: run `make bench`")
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for setting in arguments.settings or SETTINGS:
            try:
                results[setting] = measure(setting, arguments.rounds, arguments.seconds, Path(folder) / setting.replace(" ", "-"))
            except Failed as error:
                sys.exit(f"bench: {error}")
    if arguments.json:
        print(json.dumps(results, indent=2))
        return 0
    for setting, rows in results.items():
        print(f"\n{setting}, POST, 13 client headers, 8 connections, one worker\n")
        print("| variant | worker CPU µs/request | added µs | ratio | p50 µs |\n| --- | ---: | ---: | ---: | ---: |")
        base = rows["no filter"]["cpu_us"]
        for name, row in rows.items():
            ratio = 1 + row["added_us"] / base
            print(f"| {name} | {row['cpu_us']:.1f} | {row['added_us']:+.1f} | {ratio:.2f} | {row['p50_us']:.0f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
