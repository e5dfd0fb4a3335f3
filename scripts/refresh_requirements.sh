#!/usr/bin/env bash
# Makes requirements/cpu.txt, cuda.txt and spark.txt anew from their .in files: scripts/refresh_requirements.sh [--upgrade]
# Pins that still fit stay as they are; --upgrade takes the newest of everything, --upgrade-package NAME of one package.
# Run `make test` on both kinds of machine before you commit what it wrote.
set -euo pipefail
cd "$(dirname "$0")/../requirements"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q uv
for name in cpu cuda spark; do
  cp "$name.txt" "$work"
  UV_PYTHON_DOWNLOADS=never "$work/venv/bin/uv" pip compile "$name.in" --override overrides.txt --python-version 3.11 --universal \
    --generate-hashes --no-emit-package torch --no-header --no-annotate --quiet --output-file "$work/$name.txt" "$@"
  # The machine is the same on every line (see pyproject.toml), and setup.sh looks at the Python: only choices between Pythons stay.
  sed -i -E "s/ and (platform_machine == 'x86_64'|sys_platform == 'linux'|[a-z_]+ != 'PyPy'|python_full_version < '3\.14')//g
    s/ ; python_full_version < '3\.14'//" "$work/$name.txt"
done
# PyTorch's CUDA build asks for these; the build without CUDA does not need them.
awk '/^[a-z]/ { unneeded = /^(nvidia-(cu|nccl|nvjitlink|nvshmem|nvtx)|cuda-)/ } !unneeded' "$work/cpu.txt" > "$work/lean.txt"
mv "$work/lean.txt" "$work/cpu.txt"
declare -A use=([cpu]="\`make setup\` installs it beside PyTorch" [cuda]="\`make setup\` installs it beside PyTorch" [spark]="for \`match --blocking spark\`")
for name in cpu cuda spark; do
  { echo "# Complete and frozen, with hashes: ${use[$name]}. Made by scripts/refresh_requirements.sh."; cat "$work/$name.txt"; } > "$name.txt.part"
  mv "$name.txt.part" "$name.txt"
done
