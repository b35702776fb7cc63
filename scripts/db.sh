#!/usr/bin/env bash
# scripts/db.sh migrate|deploy|seed|tenant: works on DATABASE_URL, or on the private database of `make run`.
set -euo pipefail
cd "$(dirname "$0")/.."
case ${1:-} in
migrate) scripts/setup.sh run; exec cargo run -q -p local --bin local -- migrate ;;
tenant)
    scripts/setup.sh run
    exec cargo run -q -p local --bin local -- tenant "${TENANT:-}" "${STATUS:-}" "${REASON:-}" "${TRIAL_ENDS_AT:-}"
    ;;
seed) scripts/setup.sh run; exec cargo run -q -p local --bin local -- seed ;;
deploy)
    # A deployment that silently migrated a private database would be believed to have succeeded.
    if [ -z "${DATABASE_URL:-}" ]; then
        echo 'db-deploy: DATABASE_URL is not set. Run:  DATABASE_URL=postgres://wellspring_owner:…@host/db make db-deploy' >&2
        exit 1
    fi
    exec cargo run -q -p local --bin local -- migrate
    ;;
*) echo "usage: scripts/db.sh migrate|deploy|seed|tenant" >&2; exit 2 ;;
esac
