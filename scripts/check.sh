#!/usr/bin/env bash
# Every gate but the tests, fastest first. `scripts/check.sh fmt clippy` runs only these; `--list` names them.
set -euo pipefail
cd "$(dirname "$0")/.."
export SQLX_OFFLINE=true SAM_CLI_TELEMETRY=0
gates=(fmt clippy rustdoc supply-chain unused-deps migrations template sqlx)

# Each gate: its command, what probably went wrong, and what to type now.
run_gate() { case $1 in
    fmt) cargo fmt --all --check ;;
    clippy) cargo clippy --workspace --all-targets --locked -- -D warnings ;;
    rustdoc) RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked ;;
    supply-chain) python3 scripts/check_supply_chain.py ;;
    unused-deps) python3 scripts/check_unused_deps.py ;;
    migrations) python3 scripts/check_migrations.py ;;
    template) .venv/bin/cfn-lint template.yaml && .venv/bin/sam validate --lint --region us-east-1 --template template.yaml ;;
    sqlx) scripts/sqlx.sh check ;;
    *) echo "there is no gate $1; there are: ${gates[*]}" >&2; return 2 ;;
esac; }

probably() { case $1 in
    fmt) echo 'You committed Rust code that rustfmt lays out differently.' ;;
    clippy) echo 'A lint of Cargo.toml or a banned method of clippy.toml was hit; the reason stands beside it, above.' ;;
    rustdoc) echo 'A doc comment links to something that does not exist, or a public item has none.' ;;
    supply-chain) echo 'A new dependency brings a banned crate, a licence that is not on the list, or a second copy of a core crate.' ;;
    unused-deps) echo 'A Cargo.toml declares a crate that its sources do not name (any more).' ;;
    migrations) echo 'A migration breaks a rule of docs on tenancy or on expand and contract; the line says which.' ;;
    template) echo 'template.yaml is no valid SAM template.' ;;
    sqlx) echo 'You changed a query or a migration without asking the database again.' ;;
esac; }

mend() { case $1 in
    fmt) echo 'make fmt' ;;
    clippy) echo 'cargo clippy --workspace --all-targets --fix --allow-dirty   (what is left needs your hand)' ;;
    rustdoc) echo 'RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps, and correct what it names' ;;
    supply-chain) echo 'cargo tree -i CRATE shows who brings it: turn off the feature, or argue for it in deny.toml' ;;
    unused-deps) echo 'remove the named lines from the named Cargo.toml' ;;
    migrations) echo 'correct the named line, then: make check GATES=migrations' ;;
    template) echo 'correct the named line of template.yaml, then: make check GATES=template' ;;
    sqlx) echo 'make sqlx && git add .sqlx' ;;
esac; }

if [ "${1:-}" = --list ]; then
    printf '%s\n' "${gates[@]}"
    exit 0
fi
for gate in "${@:-${gates[@]}}"; do
    started=$SECONDS
    printf '== %s\n' "$gate"
    if run_gate "$gate"; then
        printf '== %s passed, %d s\n' "$gate" $((SECONDS - started))
    else
        printf '\nGATE FAILED: %s, after %d s\n  %s\n  To mend it: %s\n' \
            "$gate" $((SECONDS - started)) "$(probably "$gate")" "$(mend "$gate")" >&2
        exit 1
    fi
done
