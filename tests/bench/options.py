"""The options that the benchmarks have in common, and what they need."""

import argparse
import shutil
import sys


def parser(doc: str, per: str = "round", rounds: int = 7) -> argparse.ArgumentParser:
    """`doc` is shown by --help; `per` says what a load of so many seconds is for."""
    options = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=rounds, help=f"rounds that count ({rounds})")
    options.add_argument("--seconds", type=int, default=2, help=f"seconds of load per {per} (2)")
    options.add_argument("--json", action="store_true", help="print one JSON object")
    return options


def require_load_generator() -> None:
    if not shutil.which("wrk"):
        sys.exit("the load generator wrk is missing: apt-get install wrk")
