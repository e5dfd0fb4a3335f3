"""``vllm bench serve``, one request at a time: saves what the real one does, as far as the benchmark reads it."""

import json
import time
import urllib.error
import urllib.request
from pathlib import Path

NUMBERS = ("--num-prompts", "--custom-output-len", "--max-concurrency")
WORDS = ("--backend", "--base-url", "--endpoint", "--model", "--tokenizer", "--dataset-name", "--dataset-path", "--ready-check-timeout-sec")
MORE = ("--temperature", "--seed", "--extra-body", "--percentile-metrics", "--metric-percentiles", "--goodput", "--result-dir", "--result-filename")
SWITCHES = ("--skip-chat-template", "--disable-shuffle", "--save-result", "--save-detailed")


def add_cli_args(parser) -> None:
    for name in (*WORDS, *MORE):
        parser.add_argument(name)
    for name in NUMBERS:
        parser.add_argument(name, type=int)
    for name in SWITCHES:
        parser.add_argument(name, action="store_true")


async def main_async(options) -> None:
    print("Starting main benchmark run...", flush=True)
    rows = [json.loads(line) for line in Path(options.dataset_path).read_text(encoding="utf-8").splitlines()][: options.num_prompts]
    began, texts, errors = time.perf_counter(), [], []
    for row in rows:
        text, error = ask(options, row["prompt"])
        texts.append(text)
        errors.append(error)
    seconds, failed = time.perf_counter() - began, sum(map(bool, errors))
    done = len(rows) - failed
    mean = 1000 * seconds / len(rows)
    points, names = ("mean", "p50", "p95", "p99"), ("ttft", "tpot", "itl", "e2el")
    result = {
        **{f"{point}_{name}_ms": mean for point in points for name in names},
        **dict.fromkeys(("request_throughput", "request_goodput", "output_throughput"), done / seconds),
        **{"completed": done, "failed": failed, "num_prompts": len(rows), "generated_texts": texts, "errors": errors},
    }
    (Path(options.result_dir) / options.result_filename).write_text(json.dumps(result), encoding="utf-8")


def ask(options, prompt: str) -> tuple[str, str]:
    body = {"model": options.model, "messages": [{"role": "user", "content": prompt}], **json.loads(options.extra_body)}
    request = urllib.request.Request(options.base_url + options.endpoint, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["choices"][0]["message"]["content"], ""
    except urllib.error.HTTPError as error:
        return "", str(error)
