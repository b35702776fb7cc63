#!/usr/bin/env bash
# Builds everything once and runs all tests; arguments go to `cargo test` as a filter.
set -euo pipefail
cd "$(dirname "$0")/.."
# Queries are checked against .sqlx, so no database is needed to compile.
export SQLX_OFFLINE=true
# Some tests run the functions' own binaries. Building binaries and tests in one call gives both the same
# features of their dependencies; `--bins` alone would compile many of these twice.
cargo build --workspace --bins --tests --locked
cargo test --workspace --locked "$@"
