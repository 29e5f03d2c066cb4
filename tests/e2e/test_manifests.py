"""Manifests for other hosts: they are what those hosts publish as valid, and their policies are."""

import json

import jsonschema
import pytest
import yaml
from test_config import command

from harness.envoy import ROOT

MANIFESTS = {
    "envoy/istio.yaml": "istio-wasmplugin",
    "envoy/istio-complete.yaml": "istio-envoyfilter",
    "envoy/envoy-gateway.yaml": "envoy-gateway-envoyextensionpolicy",
    "envoy/google-cloud/extension.yaml": "google-lbtrafficextension",
}


def manifest(file: str):
    return yaml.safe_load((ROOT / file).read_text())


def validator(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads((ROOT / f"tests/schemas/{name}.json").read_text()))


def leaves(document, path=()):
    """Paths of all fields, deepest first."""
    if isinstance(document, dict | list):
        for key, inner in document.items() if isinstance(document, dict) else enumerate(document):
            yield from leaves(inner, (*path, key))
            yield (*path, key)


@pytest.mark.parametrize("file", MANIFESTS)
def test_a_manifest_is_valid_as_its_host_publishes(file):
    schema = validator(MANIFESTS[file])
    assert [error.message for error in schema.iter_errors(manifest(file))] == []
    # The schema would notice: a field that does not exist is refused, but in what is somebody else's.
    free = {"pluginConfig", "config", "value", "metadata", "labels"}
    for path in leaves(manifest(file)):
        wrong = manifest(file)
        around = wrong
        for key in path[:-1]:
            around = around[key]
        if isinstance(around, dict) and not free & set(map(str, path)):
            around["nosuchfield"] = 1
            assert list(schema.iter_errors(wrong)), path


@pytest.mark.parametrize("file", ["envoy/istio.yaml", "envoy/istio-complete.yaml", "envoy/envoy-gateway.yaml", "envoy/google-cloud/policy.json"])
def test_the_policy_in_a_manifest_is_valid_and_found(file):
    checked = command("check", ROOT / file)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "1 policy is valid\n", "")


@pytest.mark.parametrize("file, field", [("envoy/istio.yaml", ("spec", "pluginConfig")), ("envoy/envoy-gateway.yaml", ("spec", "wasm", 0, "config"))])
def test_what_a_host_cannot_do_for_a_policy_is_said(file, field, tmp_path):
    document = manifest(file)
    policy = document
    for key in field:
        policy = policy[key]
    policy |= {"mode": "enforce", "no_such_field": 1}
    (tmp_path / "manifest.yaml").write_text(yaml.safe_dump(document))
    checked = command("check", tmp_path / "manifest.yaml")
    assert checked.returncode == 1
    assert "no_such_field" in checked.stderr
    assert "warning: allow_on_headers_stop_iteration: cannot be set here" in checked.stderr


def test_the_complete_manifest_for_istio_has_the_filters_to_paste():
    patches = manifest("envoy/istio-complete.yaml")["spec"]["configPatches"]
    pasted = [patch["patch"]["value"] for patch in patches if patch["applyTo"] == "HTTP_FILTER"]
    snippet = manifest("envoy/filter.yaml")
    snippet[1]["typed_config"]["config"]["vm_config"]["code"]["local"]["filename"] = "/etc/scarecrow/scarecrow.wasm"
    assert pasted == snippet
