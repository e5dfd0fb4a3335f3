#!/usr/bin/env bash
# Makes requirements/cpu.txt and requirements/cuda.txt anew from their .in files: scripts/refresh_requirements.sh
# Run `make test` on both kinds of machine before you commit what it wrote.
set -euo pipefail
cd "$(dirname "$0")/../requirements"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/venv"
"$work/venv/bin/pip" install -q uv
for name in cpu cuda; do
  "$work/venv/bin/uv" pip compile "$name.in" --override overrides.txt --python-version 3.11 --upgrade \
    --python-platform x86_64-unknown-linux-gnu --no-header --no-annotate -o "$work/$name.txt"
done
# PyTorch's CUDA build asks for these; the build without CUDA does not need them.
sed -i -E '/^(nvidia-(cu|nccl|nvjitlink|nvshmem|nvtx)|cuda-)/d' "$work/cpu.txt"
for name in cpu cuda; do
  { echo "# Complete and frozen: install with pip install --no-deps -r. Made by scripts/refresh_requirements.sh."; cat "$work/$name.txt"; } > "$name.txt.part"
  mv "$name.txt.part" "$name.txt"
done
