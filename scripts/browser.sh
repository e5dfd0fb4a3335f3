#!/usr/bin/env bash
# Makes sure that there is a Chromium for the tests of the comparison page, or fails: `make test` calls it first.
set -euo pipefail
cd "$(dirname "$0")/.."
log=outputs/logs/browser.log
mkdir -p "$(dirname "$log")"

installed() {
  for name in chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null && return 0
  done
  .venv/bin/python - 2>>"$log" <<'PYTHON'
import pathlib, sys
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    sys.exit(not pathlib.Path(playwright.chromium.executable_path).is_file())
PYTHON
}

installed && exit 0
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  echo "browser for the tests: installing chromium with apt-get"
  export DEBIAN_FRONTEND=noninteractive
  install=(timeout 600 apt-get install -y -qq --no-install-recommends chromium)
  "${install[@]}" >>"$log" 2>&1 || { timeout 300 apt-get update -qq >>"$log" 2>&1 && "${install[@]}" >>"$log" 2>&1; } || true
  installed && exit 0
fi
echo "browser for the tests: installing Playwright's Chromium"
timeout 600 .venv/bin/python -m playwright install chromium >>"$log" 2>&1 || true
installed && exit 0
tail -5 "$log" >&2
echo "error: the tests of the comparison page need a browser and none could be installed; $log has the details." >&2
echo "       Install Chromium (Debian, Ubuntu: sudo apt-get install chromium) and run the same command again." >&2
exit 1
