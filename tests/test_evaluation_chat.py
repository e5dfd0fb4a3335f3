"""The chat task through the harness's own client, over HTTP: what it sends and how it reads the answers."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import harness
import pytest
from compact_pairs import generate

from crm_dedup_plugin.pair.answer import MAX_ANSWER_TOKENS, RESPONSE_FORMAT, dump


@pytest.fixture
def server():
    """A server that answers every chat in the same words and keeps what it was asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.server.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            message = {"role": "assistant", "content": dump("DUPLICATE", "E-mail same.")}
            body = json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.asked = []
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def test_the_chat_task_asks_a_server_under_the_schema(server, tmp_path):
    split = tmp_path / "test.jsonl"
    split.write_text("".join(json.dumps(row) + "\n" for row in generate(6)), encoding="utf-8")
    result = harness.evaluate(
        "local-chat-completions",
        ["crm_dedup_chat"],
        metadata={"data": str(split)},
        model_args={"model": "any", "base_url": f"http://127.0.0.1:{server.server_address[1]}/v1/chat/completions"},
        apply_chat_template=True,
    )
    assert result["results"]["crm_dedup_chat"]["valid_json,none"] == 1.0
    assert len(server.asked) == 7  # the canary and six pairs
    for request in server.asked:
        assert request["response_format"] == RESPONSE_FORMAT
        assert request["max_tokens"] == MAX_ANSWER_TOKENS and request["temperature"] == 0
