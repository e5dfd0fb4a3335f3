# The workflow: setup, prep, train-MODEL, kpi-MODEL, bench-MODEL, compare, push-MODEL. `make` alone explains each step.
# ARGS passes options on, for example: make train-qwen3-4b ARGS="--micro_batch_size=2"

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?=
# One more than there are cores: tests wait for servers and processes that they started.
JOBS ?= $(shell n=$$(nproc); echo $$((n > 4 ? 5 : n + 1)))
crm-dedup := .venv/bin/crm-dedup
models := $(basename $(notdir $(wildcard axolotl_configs/*.yml)))

.PHONY: help setup demo match review prep compare test lint clean
help:
	@echo "Start here"
	@echo "  make setup          install everything into .venv (a minute); PYTHON names another Python than the first that works"
	@echo "  make match FILE=contacts.csv   find the duplicates in a CRM export and write a merge plan to runs/"
	@echo "  make review RUN=contacts   answer what waits for a person, on a page in your browser"
	@echo "  make demo           run the whole workflow once with SmolLM2-135M, on any machine (half an hour without a GPU)"
	@echo "The workflow, for MODEL one of: $(models)"
	@echo "  make prep           check data/all.jsonl and split it; without that file, generate a demo set"
	@echo "  make train-MODEL    train the model and merge the adapter into it"
	@echo "  make kpi-MODEL      measure the quality of the merged model on the test split"
	@echo "  make bench-MODEL    measure its latency and throughput (ARGS=--quick takes minutes on two cores)"
	@echo "  make compare        compare all results on one page"
	@echo "  make push-MODEL     publish the model on the Hugging Face Hub (ARGS=--dry-run uploads nothing)"
	@echo "Development"
	@echo "  make test           run the whole test suite"
	@echo "  make lint           check the style of the code, and that the documents say what results/ says"
	@echo "  make record-MODEL   copy your results to results/, to be committed, and update the tables in the documents"
	@echo "  make clean          delete what runs made: outputs/ (models and results), data/splits/ and caches"

setup:
	@PYTHON="$(PYTHON)" scripts/setup.sh

demo: setup
	@scripts/demo.sh $(ARGS)

match: setup
	@$(if $(FILE),,echo "error: name the export: make match FILE=contacts.csv" >&2; exit 2)
	@$(crm-dedup) match $(FILE) $(ARGS)

review: setup
	@$(if $(RUN),,echo "error: name the run: make review RUN=contacts" >&2; exit 2)
	@$(crm-dedup) review $(RUN) $(ARGS)

prep: setup
	@$(crm-dedup) prepare $(ARGS)

train-%: setup
	@$(crm-dedup) train $* $(ARGS)

kpi-%: setup
	@$(crm-dedup) kpi $* $(ARGS)

bench-%: setup
	@$(crm-dedup) bench $* $(ARGS)

compare: setup
	@$(crm-dedup) compare $(ARGS)

push-%: setup
	@$(crm-dedup) push $* $(ARGS)

record-%: setup
	@.venv/bin/python scripts/record_results.py $* $(ARGS)

test: setup
	@scripts/browser.sh
	@scripts/spark.sh
	@.venv/bin/python -m pytest -n $(JOBS) --no-loadscope-reorder $(ARGS)

lint: setup
	@.venv/bin/ruff check . && .venv/bin/ruff format --check .
	@.venv/bin/python scripts/update_documents.py --check

clean:
	rm -rf outputs data/splits build *.egg-info .pytest_cache .ruff_cache .hypothesis
