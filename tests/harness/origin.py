"""A stand-in for a model: answers as OpenAI's and Anthropic's APIs do, and remembers what reached it.

The answers are made up; the protocol is not: real SDKs parse them, streams and errors included.
"""

import json
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WORDS = "The answer depends on what is asked, and a careful reader checks each step before the next".split()


@dataclass
class Received:
    """A request as it reached the origin."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)


class Origin:
    """Serves on a port of the loopback from a thread of its own. `status` and `retry_after` make it answer errors."""

    def __init__(self, port: int = 0, name: str = "model", latency: float = 0.02):
        self.name = name
        self.latency = latency
        self.received: list[Received] = []
        self.status = 200
        self.retry_after: str | None = None
        self.response_headers: dict[str, str] = {}
        origin = self

        class Handler(_Handler):
            served_by = origin

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 512

        self._server = Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served_by: Origin

    def log_message(self, *_):
        pass

    def do_GET(self):
        self._answer()

    do_POST = do_PUT = do_DELETE = do_HEAD = do_GET

    def _answer(self):
        origin = self.served_by
        body = self._read_body()
        origin.received.append(Received(self.command, self.path, list(self.headers.items()), body))
        time.sleep(origin.latency)
        try:
            request = json.loads(body) if body else {}
        except ValueError:
            request = {}
        if not isinstance(request, dict):
            request = {}
        path = self.path.split("?")[0]
        if origin.status != 200:
            self._send(origin.status, {"error": {"message": "made to fail", "type": "server_error"}})
        elif path.endswith("/messages"):
            self._anthropic(request)
        elif path.endswith("/chat/completions"):
            self._openai(request)
        else:
            self._send(200, {"object": "list", "data": [], "served_by": origin.name})

    def _read_body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _openai(self, request):
        base = {"id": "chatcmpl-1", "created": int(time.time()), "model": request.get("model", "m")}
        usage = {"prompt_tokens": 12, "completion_tokens": len(WORDS), "total_tokens": 12 + len(WORDS)}
        if not request.get("stream"):
            choices = [
                {"index": i, "finish_reason": "stop", "message": {"role": "assistant", "content": " ".join(WORDS)}}
                for i in range(request.get("n") or 1)
            ]
            return self._send(200, base | {"object": "chat.completion", "choices": choices, "usage": usage})
        chunk = base | {"object": "chat.completion.chunk"}
        events = [chunk | {"choices": [{"index": 0, "delta": {"content": word + " "}}]} for word in WORDS]
        events.append(chunk | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        self._stream([f"data: {json.dumps(event)}\n\n" for event in events] + ["data: [DONE]\n\n"])

    def _anthropic(self, request):
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": request.get("model", "m")}
        usage = {"input_tokens": 12, "output_tokens": len(WORDS)}
        if not request.get("stream"):
            content = [{"type": "text", "text": " ".join(WORDS)}]
            return self._send(200, message | {"content": content, "stop_reason": "end_turn", "usage": usage})
        start = message | {"content": [], "stop_reason": None, "usage": {"input_tokens": 12, "output_tokens": 1}}
        events = [{"type": "message_start", "message": start}]
        events.append({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
        for word in WORDS:
            delta = {"type": "text_delta", "text": word + " "}
            events.append({"type": "content_block_delta", "index": 0, "delta": delta})
        events.append({"type": "content_block_stop", "index": 0})
        events.append({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage})
        events.append({"type": "message_stop"})
        self._stream([f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events])

    def _send(self, status: int, document: dict):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self._extra_headers()
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _stream(self, events: list[str]):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self._extra_headers()
        self.end_headers()
        for event in events:
            data = event.encode()
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def _extra_headers(self):
        if self.served_by.retry_after is not None:
            self.send_header("retry-after", self.served_by.retry_after)
        for name, value in self.served_by.response_headers.items():
            self.send_header(name, value)
