"""Records what real clients and pipelines send, one session each, into tests/traffic/clients/<name>.jsonl (HAR entries).

Each runs in a process of its own, in the environment that it needs, with a stand-in model on the loopback. What differs from
session to session stands as `⟦name⟧` in the bodies; `scarecrow simulate` puts real text there.

    make record-clients
"""

import json
import subprocess
import sys
from pathlib import Path

from harness.dialects import Reply
from harness.origin import Origin

ROOT = Path(__file__).resolve().parents[3]
OUTPUT = ROOT / "tests/traffic/clients"
# TLS of CPython's ssl, of urllib3, and of aiohttp, as measured at a real Envoy.
SSL, URLLIB3, AIOHTTP = ("t13d1812h1_85036bcba153_d41ae481755e", "t13d1812h1_85036bcba153_b26ce05bbdd6",
                         "t13d1812h1_85036bcba153_d41ae481755e")
# Name: the environment, the module, the TLS stack.
CLIENTS = {
    name: (environment, module, tls)
    for environment, module, tls, names in (
        (".venv", "honest", SSL, "chat assistant companion translator commits extraction classification summaries descriptions posts "
                                 "reviewer homework tutor grading quiz"),
        (".venv", "honest", URLLIB3, "minutes"),
        (".venv-tools", "honest", SSL, "rag library evaluation judging agent"),
        (".venv-agent", "honest", AIOHTTP, "aider"),
        (".venv", "pipelines", SSL, "self_instruct evol_instruct ultra_feedback responses replay traces"),
        (".venv-curator", "pipelines", AIOHTTP, "reasoning"),
        (".venv-tools", "pipelines", SSL, "synthesizer bootstrap"),
    )
    for name in names.split()
}
# What the stand-in answers to clients that go on only if it makes sense to them.
ANSWERS = {
    "synthesizer": json.dumps({"data": [{"input": "⟦question⟧"}], "input": "⟦question:2⟧", "rewritten_input": "⟦question:2⟧",
                               "feedback": "", "score": 1, "response": "⟦passage⟧"}, ensure_ascii=False),
    "bootstrap": "[[ ## reasoning ## ]]\n⟦passage⟧\n\n[[ ## answer ## ]]\n7\n\n[[ ## completed ## ]]",
    "judging": '{"score": 7, "reason": "⟦passage⟧"}',
}
DROPPED = {"authorization", "x-api-key", "host", "connection", "content-length"}


def said(text: str) -> Reply:
    """An OpenAI chat completion that says this."""
    body = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "stand-in", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}}
    return Reply([json.dumps(body, ensure_ascii=False).encode()])


def entry(step: int, received, tls: str) -> dict:
    headers = [{"name": name, "value": value} for name, value in received.headers if name.lower() not in DROPPED]
    return {
        "startedDateTime": f"2026-01-01T00:00:{step:02}.000Z",
        "request": {"method": received.method, "url": f"https://model.example{received.path}", "httpVersion": "HTTP/1.1",
                    "headers": headers, "postData": {"mimeType": "application/json", "text": received.body.decode()}},
        "response": {"status": 200, "headers": [], "content": {}},
        "_client": {"ja4": tls},
    }


def main(wanted: list[str]) -> int:
    OUTPUT.mkdir(exist_ok=True)
    for name in wanted or CLIENTS:
        environment, module, tls = CLIENTS[name]
        with Origin(latency=0) as origin:
            if name in ANSWERS:
                origin.reply = lambda path, request: said(ANSWERS[name])
            code = f"from record.clients import {module}; {module}.{name}({origin.port})"
            run = subprocess.run([ROOT / environment / "bin/python", "-c", code], cwd=ROOT / "tests", capture_output=True, text=True,
                                 timeout=300)
            # Probes of a client, such as curator's question for its rate limits, carry no slot and stay out.
            received = [request for request in origin.received if request.method == "POST" and "⟦" in request.body.decode()
                        or "\\u27e6" in request.body.decode()]
        if run.returncode or not received:
            print(f"{name}: {len(received)} requests, exit {run.returncode}\n{run.stdout[-500:]}{run.stderr[-1500:]}")
            return 1
        lines = []
        for step, request in enumerate(received):
            # Some clients write ⟦ as \u27e6; simulate looks for the character.
            request.body = request.body.replace(b"\\u27e6", "⟦".encode()).replace(b"\\u27e7", "⟧".encode())
            lines.append(json.dumps(entry(step, request, tls), ensure_ascii=False) + "\n")
        (OUTPUT / f"{name}.jsonl").write_text("".join(lines))
        print(f"{name}: {len(lines)} requests")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
