# The workflow: setup, prep, train-MODEL, kpi-MODEL, bench-MODEL, compare, push-MODEL, clean. `make demo` does the main job once.
# ARGS hands options on, as in: make train-qwen3-4b ARGS="--micro_batch_size=2"

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3.11
crm-dedup := .venv/bin/crm-dedup
models := $(basename $(notdir $(wildcard axolotl_configs/*.yml)))

.PHONY: help setup prep demo test lint compare clean
help:
	@echo "make demo          everything once, with SmolLM2-135M, on any machine (30 minutes without a GPU)"
	@echo "make test          the whole test suite"
	@echo "make setup         install the environment into .venv"
	@echo "make prep          check data/all.jsonl and split it (or generate a demo set)"
	@echo "make train-MODEL   train and merge; MODEL is one of: $(models)"
	@echo "make kpi-MODEL     measure the merged model on the test split"
	@echo "make bench-MODEL   measure its latency and throughput (ARGS=--quick: minutes on two cores)"
	@echo "make compare       put all results on one page"
	@echo "make push-MODEL    publish it on the Hugging Face Hub (ARGS=--dry-run: only write what would be)"
	@echo "make clean         remove splits, models and caches; results and .venv stay"

setup:
	@PYTHON="$(PYTHON)" scripts/setup.sh

prep: setup
	@$(crm-dedup) prepare $(ARGS)

train-%: setup
	@$(crm-dedup) train $* $(ARGS)

kpi-%: setup
	@$(crm-dedup) kpi $* $(ARGS)

demo: setup
	@scripts/demo.sh

bench-%: setup
	@$(crm-dedup) bench $* $(ARGS)

compare: setup
	@$(crm-dedup) compare $(ARGS)

push-%: setup
	@$(crm-dedup) push $* $(ARGS)

test: setup
	@scripts/browser.sh
	@.venv/bin/python -m pytest $(ARGS)

lint: setup
	@.venv/bin/ruff check . && .venv/bin/ruff format --check .

clean:
	rm -rf outputs data/splits build *.egg-info .pytest_cache .ruff_cache .hypothesis
