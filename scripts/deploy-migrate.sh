#!/usr/bin/env bash
# scripts/deploy-migrate.sh STACK: gives the stack's migrate function the code that was just built, and runs it.
# Fails when the migration does; nothing else of the stack is touched.
set -euo pipefail
cd "$(dirname "$0")/.."
stack=${1:?usage: scripts/deploy-migrate.sh wellspring-staging}
function="$stack-migrate"
bootstrap=target/lambda/migrate/bootstrap
[ -f "$bootstrap" ] || { echo "$bootstrap is not there: run scripts/deploy-prepare.sh first" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

zip -q -j "$work/migrate.zip" "$bootstrap"
aws lambda update-function-code --function-name "$function" --zip-file "fileb://$work/migrate.zip" --query CodeSha256 --output text
aws lambda wait function-updated-v2 --function-name "$function"
# Migrating may take longer than the command line waits for an answer by default; it would then invoke a second time.
error=$(AWS_MAX_ATTEMPTS=1 aws lambda invoke --function-name "$function" --cli-read-timeout 910 --cli-binary-format raw-in-base64-out \
    --payload '{}' --query FunctionError --output text "$work/answer.json")
cat "$work/answer.json"
echo
if [ "$error" != None ]; then
    echo "migrating failed ($error): the failing migration was rolled back, and the functions still run the code that they ran" >&2
    exit 1
fi
