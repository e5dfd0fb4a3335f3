#!/usr/bin/env bash
# Puts Spark and a Java into .venv/spark for the tests of `match --blocking spark`: `make test` calls it first. Nothing else uses that folder.
set -euo pipefail
cd "$(dirname "$0")/.."
list=requirements/spark.txt folder=.venv/spark log=.venv/spark.log
stamp=$folder/crm-dedup-setup
key=$(sha256sum <"$list")
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$key" ]; then
  exit 0
fi
echo "Spark for the tests: installing $list into $folder (0.6 GB, half a minute)"
rm -rf "$folder"
into=(--target "$folder" --no-deps -r "$list")
if ! { .venv/bin/uv pip install --python .venv/bin/python "${into[@]}" || .venv/bin/python -m pip install --disable-pip-version-check "${into[@]}"; } >"$log" 2>&1; then
  tail -5 "$log" >&2
  echo "error: Spark could not be installed; $log has the details. Check the network and the disk, then run the same command again." >&2
  exit 1
fi
echo "$key" >"$stamp"
