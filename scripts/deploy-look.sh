#!/usr/bin/env bash
# scripts/deploy-look.sh STACK: whether a deployed stack is ready, and which version answers.
set -euo pipefail
stack=${1:?usage: scripts/deploy-look.sh wellspring-staging}
url=$(aws cloudformation describe-stacks --stack-name "$stack" \
    --query "Stacks[0].Outputs[?OutputKey=='ApiUrl'].OutputValue" --output text)
for path in /api/health/live /api/health/ready /api/version; do
    printf '%s%s ' "$url" "$path"
    # A new code version starts cold, and a new name takes a moment to be known everywhere.
    curl --fail --silent --show-error --max-time 20 --retry 8 --retry-delay 5 --retry-all-errors "$url$path"
    echo
done
