#!/usr/bin/env bash
# Checks that everything works on another Python, in a temporary copy: scripts/check_python.sh /path/to/python3.13
# Without a path it checks each other version that the package supports and this machine has; having none is no error.
# It sets up, imports every module, trains two steps, and decides about one pair: three minutes with warm caches, on two cores.
set -euo pipefail
cd "$(dirname "$0")/.."

# Prints a Python of each version but that of .venv: the one of the PATH, or else one that pyenv has installed.
others() {
  local used version candidate
  used=$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  for version in 3.11 3.12 3.13; do
    [ "$version" != "$used" ] || continue
    for candidate in "$(command -v "python$version")" "$(pyenv root 2>/dev/null)/versions/$version".*/bin/python; do
      if "$candidate" -c 'import ensurepip, ssl, venv' 2>/dev/null; then
        echo "$candidate"
        break
      fi
    done
  done
}
if [ $# -eq 0 ]; then
  found=$(others)
  [ -n "$found" ] || echo "no other Python from 3.11 to 3.13 is here: only that of .venv was checked"
  while IFS= read -r one; do
    [ -z "$one" ] || "$0" "$one" </dev/null
  done <<<"$found"
  exit
fi

python=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git ls-files -z --cached --others --exclude-standard | tar --create --null --files-from=- | tar --extract --directory="$work"
base=$PWD/outputs/smollm2-135m-base
cd "$work"
mkdir outputs
[ ! -d "$base" ] || ln -s "$base" outputs/
unset PYTHONPATH

step() { printf '== %s, after %d seconds: %s\n' "$python" "$SECONDS" "$1"; }
step "set up"
PYTHON=$python scripts/setup.sh
crm_dedup=.venv/bin/crm-dedup
step "import every module"
PYTHONWARNINGS=ignore .venv/bin/python - <<'END' 2>import.log || { tail import.log >&2; exit 1; }
import importlib, pkgutil, sys
import crm_dedup_plugin

names = [one.name for one in pkgutil.walk_packages(crm_dedup_plugin.__path__, "crm_dedup_plugin.") if not one.name.endswith("__main__")]
for name in names:
    importlib.import_module(name)
print(f"{len(names)} modules on Python {sys.version.split()[0]}")
END
step "train two steps and merge"
$crm_dedup fetch
$crm_dedup prepare --demo 40
$crm_dedup train smollm2-135m --name check --num_epochs=1 --max_steps=2 --micro_batch_size=2 --lora_r=8 --lora_alpha=16
test -s outputs/check-merged/model.safetensors
step "decide about one pair"
echo '{"Name": "Ann Lee", "Email": "ann@lee.example", "Phone": "+44 20 7946 0018"}' >a.json
echo '{"name": "Anne Lee", "e-mail": "ann@lee.example", "tel": "020 7946 0018"}' >b.json
$crm_dedup decide a.json b.json | tee answer.json
grep -q '"decision"' answer.json
step "all of it works"
