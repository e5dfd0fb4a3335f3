"""``vllm serve MODEL --port PORT``: the stub server."""

import argparse
import sys

import stub_server
import vllm

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("command")
    parser.add_argument("model")
    parser.add_argument("--port", type=int)
    options, _ = parser.parse_known_args()
    if vllm.FAILURE == "context":
        sys.exit("ValueError: User-specified max_model_len (100000000) is greater than the derived max_model_len (4096)")
    failing = ["--failing"] if vllm.FAILURE == "answers" else []
    stub_server.main(["--port", str(options.port), "--model", options.model, "--delay", str(vllm.DELAY), *failing])
