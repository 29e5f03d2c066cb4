"""Indicators of others, from a real TAXII server into a real Envoy."""

import contextlib
import time
import uuid
from datetime import datetime, timedelta, timezone

import httpx
import pytest
import stix2
import yaml

from harness.envoy import ROOT, Envoy, free_port
from harness.origin import Origin
from harness.taxii import LOGIN, Medallion

POLL = 1.0
CHAT = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


def indicator(pattern: str, **properties) -> dict:
    """An indicator as OASIS's own library writes it."""
    now = datetime.now(timezone.utc)
    properties = {"valid_from": now - timedelta(hours=1), "confidence": 90, **properties}
    return yaml.safe_load(stix2.v21.Indicator(pattern=pattern, pattern_type="stix", allow_custom=True, **properties).serialize())


def revised(old: dict, **changes) -> dict:
    """A later version."""
    modified = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return old | {"modified": modified} | changes


class Edge:
    """An Envoy from envoy/sharing.yaml."""

    def __init__(self, envoy: Envoy):
        self.envoy = envoy
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{envoy.ports[8080]}", timeout=10)

    def ask(self, address: str, key: str | None = None, **headers) -> dict:
        """One request from an address; returns its line in the access log."""
        before = len(self.envoy.access_log())
        headers = {"authorization": f"Bearer {key or uuid.uuid4()}", "x-forwarded-for": address} | headers
        self.status = self.client.post("/v1/chat/completions", json=CHAT, headers=headers).status_code
        deadline = time.monotonic() + 5
        while len(self.envoy.access_log()) == before and time.monotonic() < deadline:
            time.sleep(0.05)
        return self.envoy.access_log()[-1]

    def until(self, holds, seconds: float = 15.0):
        """Waits until something holds, and returns how long that took."""
        began = time.monotonic()
        while not holds():
            assert time.monotonic() - began < seconds, self.log()
            time.sleep(0.1)
        return time.monotonic() - began

    def knows(self, count: int) -> bool:
        return self.envoy.metrics().get("scarecrow_indicators{}", 0) == count

    def log(self) -> str:
        return "\n".join(line for line in self.envoy.log.read_text(errors="replace").splitlines() if "scarecrow" in line)[-2_000:]


@pytest.fixture
def edge(tmp_path):
    """Starts edges: `edge(taxii.port, source={…}, policy={…})`."""
    with contextlib.ExitStack() as stack:

        def start(taxii: int, source=None, policy=None, workers=1, environment=None, **indicators) -> Edge:
            config = yaml.safe_load((ROOT / "envoy/sharing.yaml").read_text())
            value = config["bootstrap_extensions"][0]["typed_config"]["config"]["configuration"]["value"]
            value |= policy or {}
            value["indicators"] |= indicators
            value["indicators"]["sources"][0] |= {"poll_seconds": POLL} | (source or {})
            model = stack.enter_context(Origin())
            folder = tmp_path / f"edge{free_port()}"
            ports = {8080: free_port(), 9901: free_port(), 8081: model.port, 5000: taxii}
            environment = {"SCARECROW_SECRET": "a secret for tests", "TAXII_LOGIN": LOGIN} | (environment or {})
            envoy = stack.enter_context(Envoy(yaml.safe_dump(config, sort_keys=False) + "\n", folder, ports, workers=workers, environment=environment))
            return Edge(envoy)

        yield start


@pytest.fixture
def taxii(tmp_path):
    """Starts TAXII servers: `taxii(objects)`."""
    with contextlib.ExitStack() as stack:
        yield lambda *objects: stack.enter_context(Medallion(tmp_path, list(objects)))


def test_an_indicator_tags_the_first_request_it_fits_and_no_more_once_it_is_revoked(taxii, edge):
    bad = indicator("[ipv4-addr:value = '203.0.113.0/24']")
    hub = taxii()
    gate = edge(hub.port)
    assert gate.ask("203.0.113.7")["action"] == "pass"
    hub.add(bad)
    gate.until(lambda: gate.knows(1), POLL * 1.1 + 2)
    time.sleep(0.3)
    line = gate.ask("203.0.113.7")
    assert line["action"] in ("tag", "advise") and line["reasons"].startswith(bad["id"]), line
    assert gate.ask("198.51.100.1")["action"] == "pass"
    hub.add(revised(bad, revoked=True))
    gate.until(lambda: gate.knows(0), POLL * 1.1 + 2)
    time.sleep(0.3)
    assert gate.ask("203.0.113.7")["action"] == "pass"


EVOLVE = "I want you to act as a prompt rewriter. Your objective is to rewrite this prompt into a more complex version. #Given Prompt#: "
WORDS = "river engine court flour signal violin harbour enzyme ledger glacier".split()
COMMUNITY = "a key that all members of a community hold"
TELLING = {"fields": ["network", "client", "template", "sightings", "cluster_size", "requests", "seen"], "member": "Edge A",
           "note_from": 15, "publish_from": 10, "hold_from": 5, "every_seconds": 1, "cluster": "taxii", "basic_env": "TAXII_LOGIN"}


def harvest(gate: Edge, address: str, keys: int = 14, requests: int = 24):
    """A pipeline that is dealt out over many keys, all from one network."""
    for number in range(keys * requests):
        words = " ".join(WORDS[(number * k + k) % 10] for k in range(1, 12))
        body = {"model": "m", "messages": [{"role": "user", "content": f"{EVOLVE}{words}"}]}
        headers = {"authorization": f"Bearer sk-{number % keys}", "x-forwarded-for": address, "user-agent": "OpenAI/Python 1.0"}
        gate.client.post("/v1/chat/completions", json=body, headers=headers)


def test_what_one_edge_saw_tags_the_first_request_at_another(taxii, edge):
    hub = taxii()
    key = {"SCARECROW_COMMUNITY_KEY": COMMUNITY}
    telling = TELLING | {"collection": hub.path}
    a = edge(hub.port, policy={"disclosure": telling, "mode": "observe"}, environment=key)
    b = edge(hub.port, environment=key)
    assert b.ask("203.0.113.9")["action"] == "pass"
    harvest(a, "203.0.113.7")
    a.until(lambda: a.envoy.metrics().get('scarecrow_bundles{outcome="sent"}', 0) > 0)
    objects = hub.get()["objects"]
    print(objects)
    b.until(lambda: b.envoy.metrics().get("scarecrow_indicators{}", 0) > 0)
    time.sleep(0.3)
    print(b.ask("203.0.113.9"))
    print(a.log())
    assert 0
