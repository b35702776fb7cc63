# Everything a developer types. Each target is thin: what takes thought is in scripts/.
#
# Passed on through the environment: PORT (3000), PGPORT (54329), DATABASE_URL (a private server in
# .local/ otherwise), PG_BIN_DIR, SEED (1).
SHELL := /bin/bash
export PATH := $(HOME)/.cargo/bin:$(PATH)
# Queries are checked against .sqlx: compiling never asks the database that DATABASE_URL names.
export SQLX_OFFLINE := true
.DEFAULT_GOAL := help
.PHONY: help setup run test check bench fmt sqlx openapi lambda db-migrate db-deploy db-seed tenant

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-11s %s\n", $$1, $$2}' Makefile

setup: ## install everything that run, test and check need
	@scripts/setup.sh check

run: ## the whole product on this machine, at http://127.0.0.1:3000
	@scripts/setup.sh run
	cargo run -p local --bin local

test: ## all tests, against private servers (TEST="a filter" runs some)
	@scripts/setup.sh test
	@scripts/test.sh $(TEST)

check: ## all gates in order of speed (GATES="fmt clippy" runs some)
	@scripts/setup.sh check
	@scripts/check.sh $(GATES)

bench: ## the speed and memory table
	@scripts/setup.sh test
	cargo run --profile driver -p bench --bin bench

fmt: ## format the Rust code
	cargo fmt --all

sqlx: ## regenerate .sqlx after a change to a query or a migration
	@scripts/setup.sh test
	@scripts/sqlx.sh prepare

openapi: ## write the description of the API after a route or a shape has changed
	cargo run -q -p local --bin openapi > target/openapi.json && mv target/openapi.json docs/openapi.json

# The processor must be that of the template's parameter Architecture.
ARCH ?= arm64
lambda: ## build every deployable function into target/lambda (ARCH=arm64)
	@scripts/setup.sh lambda
	PATH="$$PWD/.venv/bin:$$PATH" cargo lambda build --release --locked $(if $(filter arm64,$(ARCH)),--arm64)

db-migrate: ## apply migrations to DATABASE_URL, or to the private database
	@scripts/db.sh migrate

db-deploy: ## apply migrations to DATABASE_URL, which must be set
	@scripts/db.sh deploy

db-seed: ## seed the two demo tenants (SEED=1)
	@scripts/db.sh seed

tenant: ## suspend or reactivate a business (TENANT=slug STATUS=suspended REASON="…"; STATUS=active; STATUS=trial TRIAL_ENDS_AT=…)
	@scripts/db.sh tenant
