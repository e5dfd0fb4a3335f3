"""A small OpenAI server without a model, over real HTTP: ``python tests/stub_server.py --port 8000 --model NAME``.

Every answer is the same; it may come after a delay, or be an error.
"""

import argparse
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANSWER = '{"decision":"DUPLICATE","reasoning":"Same e-mail."}'


class StubServer(ThreadingHTTPServer):
    """Listens on 127.0.0.1 (port 0: a free one); `delay` in seconds for each answer, `failing` makes every answer of
    more than one token an error."""

    daemon_threads = True

    def __init__(self, port: int = 0, model: str = "stub", delay: float = 0.0, failing: bool = False):
        super().__init__(("127.0.0.1", port), Handler)
        self.model, self.delay, self.failing = model, delay, failing
        self.seconds, self.answers, self.resets, self.lock = 0.0, 0, 0, threading.Lock()
        self.requests: list[dict] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """The addresses of vLLM's server that this project uses."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/health":
            self.reply(b"")
        elif self.path == "/v1/models":
            self.reply({"object": "list", "data": [{"id": self.server.model, "object": "model"}]})
        elif self.path == "/metrics":
            name = "vllm:e2e_request_latency_seconds"
            self.reply(f"# TYPE {name} histogram\n{name}_sum {self.server.seconds}\n{name}_count {self.server.answers}\n".encode())
        else:
            self.reply({"error": "no such page"}, 404)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        if self.path == "/reset_prefix_cache":
            self.server.resets += 1
            self.reply({"success": True})
        elif self.path == "/v1/chat/completions":
            self.answer(body)
        else:
            self.reply({"error": "no such page"}, 404)

    def answer(self, body: dict) -> None:
        began = time.monotonic()
        time.sleep(self.server.delay)
        with self.server.lock:
            self.server.requests.append(body)
            self.server.answers += 1
            self.server.seconds += time.monotonic() - began
        if self.server.failing and body.get("max_completion_tokens") != 1:
            self.reply({"error": {"message": "the stub fails"}}, 500)
            return
        usage = {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21}
        common = {"id": "stub", "created": 0, "model": self.server.model}
        if body.get("stream"):
            parts = [{"choices": [{"index": 0, "delta": {"content": part}}]} for part in (ANSWER[:14], ANSWER[14:])]
            events = [json.dumps({**common, "object": "chat.completion.chunk", **part}) for part in [*parts, {"choices": [], "usage": usage}]]
            self.reply("".join(f"data: {event}\n\n" for event in [*events, "[DONE]"]).encode(), kind="text/event-stream")
        else:
            message = {"index": 0, "message": {"role": "assistant", "content": ANSWER}, "finish_reason": "stop"}
            self.reply({**common, "object": "chat.completion", "choices": [message], "usage": usage})

    def reply(self, body: dict | bytes, status: int = 200, kind: str = "application/json") -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_) -> None:
        pass


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--model", default="stub")
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--failing", action="store_true")
    options = parser.parse_args(argv)
    with StubServer(options.port, options.model, options.delay, options.failing) as server:
        print(f"listening on {server.url}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
