# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
.DEFAULT_GOAL := help
.ONESHELL:
SHELL := /bin/bash
.SHELLFLAGS := --norc -euo pipefail -c
BIN := .venv/bin
ARGS ?=
LAB_HOSTS ?= 3
LAB_RELEASE ?= trixie
LAB_VARIANT ?= full
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/collections
export LAB_RELEASE

##@ Use it
.PHONY: quickstart quickstart-down quickstart-page quickstart-ssh
quickstart: ## This machine becomes an edge cloud of one host, with a VM that answers
	@python3 tools/quickstart.py up $(ARGS)

quickstart-down: ## Remove all that quickstart made, and only that
	@python3 tools/quickstart.py down $(ARGS)

quickstart-page: ## Print the page of the quick start's VM
	@python3 tools/quickstart.py page

quickstart-ssh: ## Enter the quick start's VM (ARGS="command" runs one)
	@python3 tools/quickstart.py ssh $(ARGS)

##@ Develop it
.PHONY: setup check test integration requirements
setup: ## Packages and virtual environment for development
	@python3 tools/setup.py dev

check: setup ## Lint, types, import contracts, unit tests
	@python3 tools/stages.py check

test: setup ## Everything: check, sanity, integration, molecule, docs, build, README
	@python3 tools/stages.py test

integration: setup ## Every integration test, those too that make test leaves out (ARGS="tests/integration/two_hosts")
	@PATH="$(CURDIR)/$(BIN):$$PATH" ANSIBLE_HOME=$(CURDIR)/.ansible PYTHONPATH=collections $(BIN)/python -m pytest --timeout=900 $(or $(ARGS),tests/integration tests/quickstart)

requirements: ## Pin and hash requirements/*.in anew (needs uv)
	@tools/lock-requirements

##@ Lab and measurements
.PHONY: lab lab-down faults bench faults-storage faults-compute bench-storage bench-compute
lab: ## Real hosts on this machine (LAB_HOSTS=3 LAB_RELEASE=trixie|bookworm LAB_VARIANT=full|minimal)
	@python3 tests/lab/lab.py up -n $(LAB_HOSTS) --release $(LAB_RELEASE) --variant $(LAB_VARIANT)

lab-down: ## Remove all lab hosts
	@python3 tests/lab/lab.py down

faults: faults-storage faults-compute ## Every fault run: kills, lies, full disks

bench: bench-storage bench-compute ## Measure, as ratios against what a user would do otherwise

faults-storage: setup ## Kill, cheat and starve the pull (ARGS="--kills 200 --seed N")
	@PYTHONPATH=collections:tests/unit:tests/integration:tests/lab $(BIN)/python tests/faults/storage_faults.py $(ARGS)

faults-compute: setup ## Kill and starve VMs, snapshots and migrations on lab hosts (ARGS="--release trixie --only TEXT")
	@PYTHONPATH=collections:tests/unit:tests/integration:tests/lab:tests/faults $(BIN)/python tests/faults/compute_faults.py $(ARGS)

bench-storage: setup ## Measure overlays, new versions and pulls
	@PYTHONPATH=collections:tests/unit:tests/integration:tests/lab $(BIN)/python tests/bench/storage_bench.py $(ARGS)

bench-compute: setup ## Measure many domains, new guests, migration, snapshots (ARGS="--case a")
	@PYTHONPATH=collections:tests/unit:tests/integration:tests/lab $(BIN)/python tests/bench/compute_bench.py $(ARGS)

.PHONY: help
help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
