#!/usr/bin/env bash
# Makes sure that there is a Chromium for the tests of the comparison page: the system's, or else one from apt or Playwright.
# `make test` calls it first. Without a browser these tests are skipped, nothing fails: scripts/browser.sh
set -euo pipefail
cd "$(dirname "$0")/.."

for name in chromium chromium-browser google-chrome; do
  if command -v "$name" >/dev/null; then
    echo "browser for the tests: $(command -v "$name")"
    exit 0
  fi
done

if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  echo "browser for the tests: installing chromium with apt-get"
  install=(timeout 600 apt-get install -y -qq --no-install-recommends chromium)
  "${install[@]}" >/dev/null 2>&1 || { timeout 300 apt-get update -qq >/dev/null 2>&1 && "${install[@]}" >/dev/null 2>&1; } || true
  if command -v chromium >/dev/null; then
    echo "browser for the tests: $(command -v chromium)"
    exit 0
  fi
  echo "browser for the tests: apt-get has none"
fi

if .venv/bin/python -c "import playwright" 2>/dev/null; then
  if timeout 600 .venv/bin/python -m playwright install chromium >/dev/null 2>&1; then
    echo "browser for the tests: Playwright's Chromium"
    exit 0
  fi
  echo "browser for the tests: Playwright could not install Chromium"
fi
echo "browser for the tests: none; those of the comparison page will be skipped"
