"""What an operator loads: small enough to start at once, and silent about where it was built."""

from pathlib import Path

from harness.envoy import MODULE, ROOT


def test_the_module_is_a_mebibyte_at_most():
    assert MODULE.stat().st_size <= 1 << 20


def test_the_module_names_no_folder_of_the_machine_that_built_it():
    module = MODULE.read_bytes()
    for folder in (ROOT, Path.home() / ".cargo"):
        assert str(folder).encode() not in module, folder
