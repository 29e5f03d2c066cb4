"""The demo: real clients, honest and harvesting, through a real Envoy with the filter, to a stand-in model.

    make demo     run it and print who was scored how
    make serve    leave Envoy and the model running until Ctrl-C, to point clients of your own at them
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from harness import certificates
from harness.envoy import ROOT, SECRET, Envoy, Failed, is_taken, require_module
from harness.origin import Origin

FOLDER = ROOT / "target/demo"
PORTS = {8443: "Envoy", 9901: "Envoy's admin page", 8081: "the stand-in model", 8082: "the model for suspects"}
BASE = "https://localhost:8443"
SECONDS = 20

PEOPLE = [
    ("alice, openai SDK, chatting", "openai", "sk-demo-alice"),
    ("bob, openai SDK, streaming", "openai-stream", "sk-demo-bob"),
    ("carol, anthropic SDK, chatting", "anthropic", "sk-demo-carol"),
    ("dan, anthropic SDK, streaming", "anthropic-stream", "sk-demo-dan"),
]
HARVESTER = ("eve, distilabel, harvesting", "sk-demo-eve")
QUESTIONS = ("How do I boil an egg?", "And a softer one?", "What goes with it?", "Thank you! What is for dinner?")


def chat(kind: str, key: str, until: float, errors: list[str]) -> None:
    """An ordinary user: asks, reads, thinks, asks on."""
    import anthropic
    import openai

    pace = random.Random(key)
    messages: list[dict] = []
    if kind.startswith("openai"):
        client = openai.OpenAI(base_url=f"{BASE}/v1", api_key=key)
    else:
        client = anthropic.Anthropic(base_url=BASE, api_key=key)
    turn = 0
    while time.monotonic() < until:
        messages.append({"role": "user", "content": QUESTIONS[turn % len(QUESTIONS)]})
        turn += 1
        try:
            if kind == "openai":
                answer = client.chat.completions.create(model="m", messages=messages).choices[0].message.content
            elif kind == "openai-stream":
                stream = client.chat.completions.create(model="m", messages=messages, stream=True)
                answer = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
            elif kind == "anthropic":
                answer = client.messages.create(model="m", max_tokens=99, messages=messages).content[0].text
            else:
                with client.messages.stream(model="m", max_tokens=99, messages=messages) as stream:
                    answer = stream.get_final_text()
            messages.append({"role": "assistant", "content": answer})
        except (openai.APIError, anthropic.APIError) as error:
            errors.append(f"{key}: {type(error).__name__}: {error}")
            messages.pop()
        time.sleep(pace.uniform(1.0, 3.5))


def hashed(value: str, kind: str = "credential") -> str:
    """A credential's or an account's hash, as the filter logs it."""
    command = [str(ROOT / "target/release/scarecrow"), "hash", kind]
    answer = subprocess.run(command, input=value, env=os.environ | {"SCARECROW_SECRET": SECRET}, capture_output=True,
                            text=True, check=True)
    return answer.stdout.strip()


def run_clients() -> list[str]:
    errors: list[str] = []
    until = time.monotonic() + SECONDS
    threads = [threading.Thread(target=chat, args=(kind, key, until, errors)) for _, kind, key in PEOPLE]
    for thread in threads:
        thread.start()
    with open(FOLDER / "harvest.log", "w") as log:
        harvest = subprocess.Popen([sys.executable, "-m", "demo.harvest", f"{BASE}/v1", HARVESTER[1], "12"],
                                   stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        while any(thread.is_alive() for thread in threads):
            if sys.stderr.isatty():
                print(f"\rclients run for {max(0, until - time.monotonic()):.0f} s more ", end="", file=sys.stderr)
            time.sleep(0.5)
        told, _ = harvest.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        harvest.kill()
        told, _ = harvest.communicate()
    except BaseException:
        harvest.kill()
        harvest.wait()
        raise
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    if harvest.returncode:
        errors.append(f"distilabel ended with status {harvest.returncode}: target/demo/harvest.log says why")
    print(f"What distilabel was told: {(told or 'nothing but answers').strip().splitlines()[-1]}\n")
    return errors


def summary(log: list[dict]) -> list[list[str]]:
    rows = []
    for name, key in [(name, key) for name, _, key in PEOPLE] + [HARVESTER]:
        subject = hashed(key)
        mine = [entry for entry in log if entry["subject"] == subject]
        stopped = sum(entry["status"] in (429, 403) for entry in mine)
        actions = [entry["action"] for entry in mine]
        order = ["pass", "tag", "advise", "throttle", "reroute", "reject"]
        worst = max(mine, key=lambda entry: int(entry["score"] or 0), default=None)
        strongest = max(actions, key=order.index, default="-")
        reasons = (worst["reasons"] or "-").replace(",", ", ") if worst and int(worst["score"]) >= 40 else "-"
        rows.append([name, str(len(mine)), worst["score"] if worst else "-", strongest, str(stopped), reasons])
    return rows


def show(rows: list[list[str]]) -> None:
    header = ["client", "requests", "highest score", "strongest action", "stopped", "top reasons (log-odds)"]
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    colour = sys.stdout.isatty()
    for index, row in enumerate([header, ["-" * width for width in widths], *rows]):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
        if colour and index > 1:
            line = f"\033[{'32' if row[3] == 'pass' else '31'}m{line}\033[0m"
        print(line)


def start():
    """Envoy and the two models, ready; a list to leave in reverse order."""
    require_module()
    for port, whose in PORTS.items():
        if is_taken(port):
            raise Failed(f"port {port} is taken, and {whose} needs it: stop the program that listens there and run again")
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "access.log").unlink(missing_ok=True)
    authority = certificates.make(FOLDER)
    os.environ["SSL_CERT_FILE"] = str(authority)
    opened = [Origin(8081), Origin(8082, name="suspects")]
    opened.append(Envoy("envoy/demo.yaml", FOLDER, {port: port for port in PORTS}, options=["--file-flush-interval-msec", "200"]))
    return opened


def demo() -> int:
    model, suspects, envoy = start()
    with model, suspects, envoy:
        print(f"Envoy listens on {BASE} with the filter; {len(PEOPLE)} people chat while distilabel harvests.")
        errors = run_clients()
        time.sleep(1.5)
        rows = summary(envoy.access_log())
    show(rows)
    for error in errors:
        print(f"! {error}")
    print(f"\nThe model answered {len(model.received)} requests, the one for suspects {len(suspects.received)}.")
    print("What to look at next: target/demo/access.log has a line a request with score and reasons; set `mode: observe` in\n"
          "envoy/demo.yaml and run again to see the same scores with nobody stopped.")
    harmed = [row for row in rows[:-1] if row[3] != "pass"]
    caught = rows[-1][3] != "pass"
    if errors or harmed or not caught:
        print("\nThis is not how it should end: the people should pass and the harvester should not.", file=sys.stderr)
        return 1
    return 0


def serve() -> int:
    model, suspects, envoy = start()
    with model, suspects, envoy:
        print(f"Envoy listens on {BASE} (OpenAI at {BASE}/v1), its admin page on http://127.0.0.1:9901.\n"
              f"Let clients trust the certificate: export SSL_CERT_FILE={FOLDER / 'ca.pem'}\n"
              f"Verdicts: tail -f {FOLDER / 'access.log'}\nCtrl-C ends it.", flush=True)
        while envoy.process.poll() is None:
            time.sleep(0.5)
    raise Failed("Envoy ended by itself; target/demo/envoy.log says why")


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serve", action="store_true", help="leave everything running until Ctrl-C")
    arguments = parser.parse_args()
    # A `kill` cleans up as Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    try:
        return serve() if arguments.serve else demo()
    except Failed as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nended", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
