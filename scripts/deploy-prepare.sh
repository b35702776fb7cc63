#!/usr/bin/env bash
# Checks, builds and validates before `sam deploy`; `--dry-run` only looks, `--help` says more. The work is in local/deploy.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$HOME/.cargo/bin:$PATH"
exec cargo run --quiet --locked -p deploy-prepare -- "$@"
