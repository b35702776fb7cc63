#!/usr/bin/env bash
# The committed answers of the database to every checked query, in .sqlx: with them the code compiles without
# a database.
#
#   scripts/sqlx.sh prepare   ask again and replace .sqlx
#   scripts/sqlx.sh check     ask again and compare with .sqlx
#
# A throw-away server is migrated for it. Only `shared` speaks SQL, so only `shared` is compiled.
set -euo pipefail
cd "$(dirname "$0")/.."
mode=${1:-check}
source=shared/src/lib.rs

# What the answers depend on, and the answers: if none has changed since the last look, nor have they.
fingerprint() {
    git ls-files -co --exclude-standard -- migrations shared .sqlx Cargo.lock scripts/sqlx.sh |
        sort -u | while IFS= read -r file; do [ -f "$file" ] && cksum "$file"; done | cksum
}

stamp=target/sqlx.fresh
if [ "$mode" = check ] && [ -f "$stamp" ] && [ "$(fingerprint)" = "$(cat "$stamp")" ]; then
    exit 0
fi

work=$(mktemp -d)
before=$(mktemp)
touch -r "$source" "$before"
# The file's time is put back, so that nobody has to compile again what is unchanged.
trap 'touch -r "$before" "$source"; rm -rf "$work" "$before"' EXIT
mkdir "$work/sqlx"
cargo build -q -p private-postgres --bin pg
# Touching the crate makes its macros run again.
touch "$source"
SQLX_OFFLINE=false SQLX_OFFLINE_DIR="$work/sqlx" target/debug/pg run --migrations migrations -- \
    cargo check -q -p shared --all-targets

mkdir -p .sqlx
if [ "$mode" = check ]; then
    diff -rq .sqlx "$work/sqlx" || exit 1
else
    # Written over rather than removed first, so that nothing is lost if this is interrupted.
    cp -f "$work"/sqlx/*.json .sqlx/ 2>/dev/null || true
    for file in .sqlx/*.json; do
        [ -e "$work/sqlx/${file##*/}" ] || rm -f "$file"
    done
fi
mkdir -p target
fingerprint >"$stamp"
