"""A gateway for each test: a real Envoy from envoy/demo.yaml on free ports, with two stand-in models behind it."""

import contextlib
import os
import socket
import ssl
import sys
import time
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness import certificates  # noqa: E402
from harness.envoy import ROOT, Envoy, free_port, require_module  # noqa: E402
from harness.origin import Origin  # noqa: E402


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    """A folder with a certificate; shared, because making keys takes time."""
    require_module()
    folder = tmp_path_factory.mktemp("keys")
    # Both SDKs read it, whichever HTTP library they use.
    os.environ["SSL_CERT_FILE"] = str(certificates.make(folder))
    return folder


class Gateway:
    """Envoy, the model behind it, and the model for what was tagged."""

    def __init__(self, envoy: Envoy, model: Origin, suspects: Origin, authority: Path):
        self.envoy, self.model, self.suspects, self.authority = envoy, model, suspects, authority
        self.port = envoy.ports[8443]
        self.base = f"https://localhost:{self.port}"
        self.tls = ssl.create_default_context(cafile=str(authority))

    def openai(self, key="sk-test", **options):
        import openai

        return openai.OpenAI(base_url=f"{self.base}/v1", api_key=key, max_retries=0, **options)

    def anthropic(self, key="sk-test", **options):
        import anthropic

        return anthropic.Anthropic(base_url=self.base, api_key=key, max_retries=0, **options)

    def http(self, **options):
        import httpx

        return httpx.Client(base_url=self.base, verify=self.tls, **options)

    def counter(self, series: str) -> int:
        """One of the filter's counters, once the worker has reported it."""
        time.sleep(1.3)
        return int(self.envoy.metrics().get(f"scarecrow_{series}", 0))

    def raw(self, request: bytes, read: bool = True) -> bytes:
        """Sends bytes as they are, over TLS, and returns what comes back until the connection ends or is idle."""
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        with self.tls.wrap_socket(plain, server_hostname="localhost") as connection:
            connection.sendall(request)
            connection.settimeout(2)
            answer = b""
            with contextlib.suppress(TimeoutError):
                while read and (part := connection.recv(65536)):
                    answer += part
            return answer


def demo_config(policy=None, change=None, listener=None) -> str:
    """envoy/demo.yaml with another policy, with `change` applied to the parsed document, and more about its listener."""
    config = yaml.safe_load((ROOT / "envoy/demo.yaml").read_text())
    config["static_resources"]["listeners"][0] |= listener or {}
    manager = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    plugin = next(f for f in manager["http_filters"] if f["name"] == "scarecrow")["typed_config"]["config"]
    if policy is not None:
        plugin["configuration"]["value"] = policy
    if change:
        change(manager, plugin)
    return yaml.safe_dump(config, sort_keys=False) + "\n"


@pytest.fixture
def gateway(keys, tmp_path):
    """Starts gateways: `gateway(policy, change=…, workers=…)`."""
    with contextlib.ExitStack() as stack:

        def start(policy=None, change=None, model=None, listener=None, **options) -> Gateway:
            model = stack.enter_context(model or Origin())
            suspects = stack.enter_context(Origin(name="suspects"))
            folder = tmp_path / f"gateway{free_port()}"
            folder.mkdir()
            for name in ("certificate.pem", "key.pem"):
                (folder / name).symlink_to(keys / name)
            ports = {8443: free_port(), 9901: free_port(), 8081: model.port, 8082: suspects.port}
            envoy = stack.enter_context(Envoy(demo_config(policy, change, listener), folder, ports, **options))
            return Gateway(envoy, model, suspects, keys / "ca.pem")

        yield start


CHAT = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


def ours(received) -> dict[str, str]:
    """Scarecrow's headers on a request that reached an origin."""
    return {name.lower(): value for name, value in received.headers if name.lower().startswith("x-scarecrow")}
