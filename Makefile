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
PROGRAMS_PATH := collections:tests/unit:tests/integration:tests/lab:tests/faults
# What a user gives reaches programs through the environment: neither make nor a shell of this machine ever expands it.
override ARGS := $(value ARGS)
override LAB_HOSTS := $(value LAB_HOSTS)
override LAB_RELEASE := $(value LAB_RELEASE)
override LAB_VARIANT := $(value LAB_VARIANT)
export ARGS LAB_HOSTS LAB_RELEASE LAB_VARIANT
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/collections

##@ Use it
.PHONY: quickstart quickstart-down quickstart-page quickstart-ssh
quickstart: ## This machine becomes an edge cloud of one host, with a VM that answers
	@python3 tools/with_args.py python3 tools/quickstart.py up

quickstart-down: ## Remove all that quickstart made, and only that
	@python3 tools/with_args.py python3 tools/quickstart.py down

quickstart-page: ## Print the page of the quick start's VM
	@python3 tools/quickstart.py page

quickstart-ssh: ## Enter the quick start's VM (ARGS="command" runs one there)
	@QUICKSTART_COMMAND="$$ARGS" python3 tools/quickstart.py ssh

##@ Develop it
.PHONY: setup check test test-all pytest corpus requirements
setup: ## Packages and virtual environment for development
	@python3 tools/setup.py dev

check: setup ## Lint, types, import contracts, unit tests: 4 minutes
	@python3 tools/with_args.py python3 tools/stages.py check

test: setup ## What CI runs: check, docs, sanity, build, and on lab hosts a sample of each capability: 20 minutes
	@python3 tools/with_args.py python3 tools/stages.py test

test-all: setup ## Every test on both releases, the newest ansible-core, all sanity tests: 90 minutes
	@python3 tools/with_args.py python3 tools/stages.py test-all

pytest: setup ## The tests that you name (ARGS="tests/integration/two_hosts -k matrix")
	@PATH="$(CURDIR)/$(BIN):$$PATH" ANSIBLE_HOME=$(CURDIR)/.ansible PYTHONPATH=collections \
	  python3 tools/with_args.py $(BIN)/python -m pytest --timeout=900

corpus: setup ## Take over each domain of libvirt's own XML, and see that nothing changed (ARGS="--only TEXT")
	@PYTHONPATH=$(PROGRAMS_PATH) python3 tools/with_args.py $(BIN)/python tests/corpus/libvirt_corpus.py

requirements: ## Pin and hash requirements/*.in (needs uv)
	@tools/lock-requirements

##@ Lab and measurements
.PHONY: lab lab-down faults bench faults-storage faults-compute faults-network faults-recovery bench-storage bench-compute bench-scale bench-roles bench-network bench-recovery
lab: ## Real hosts on this machine (LAB_HOSTS=3 LAB_RELEASE=trixie|bookworm LAB_VARIANT=full|minimal)
	@python3 tests/lab/lab.py up -n "$$LAB_HOSTS" --release "$$LAB_RELEASE" --variant "$$LAB_VARIANT"

lab-down: ## Remove all lab hosts
	@python3 tests/lab/lab.py down

faults: faults-storage faults-compute faults-network faults-recovery ## Every fault run: kills, lies, full disks

bench: bench-storage bench-compute bench-scale bench-roles bench-network bench-recovery ## Measure, as ratios against what a user would do otherwise

faults-storage: setup ## Kill, cheat and starve the pull (ARGS="--kills 200 --seed N")
	@PYTHONPATH=$(PROGRAMS_PATH) python3 tools/with_args.py $(BIN)/python tests/faults/storage_faults.py

faults-compute: setup ## Kill and starve VMs, snapshots and migrations on lab hosts (ARGS="--release trixie --only TEXT")
	@PYTHONPATH=$(PROGRAMS_PATH) python3 tools/with_args.py $(BIN)/python tests/faults/compute_faults.py

faults-network: setup ## Kill and unplug changes of networks, two at once (ARGS="--kills 200 --seed N --only bridge")
	@PYTHONPATH=$(PROGRAMS_PATH) python3 tools/with_args.py $(BIN)/python tests/faults/network_faults.py

faults-recovery: setup ## Kill, cheat and starve recovery points and backups (ARGS="--kills 40 --seed N --part replica")
	@PYTHONPATH=$(PROGRAMS_PATH) python3 tools/with_args.py $(BIN)/python tests/faults/recovery_faults.py

bench-storage: setup ## Measure overlays, new versions and pulls
	@PYTHONPATH=$(PROGRAMS_PATH) python3 tools/with_args.py $(BIN)/python tests/bench/storage_bench.py

bench-compute: setup ## Measure many domains, new guests, migration, snapshots (ARGS="--case a")
	@PYTHONPATH=$(PROGRAMS_PATH) python3 tools/with_args.py $(BIN)/python tests/bench/compute_bench.py

bench-scale: setup ## Measure how costs grow with images, disks, hypervisors and sizes (ARGS="--case a --share 1 10")
	@PYTHONPATH=$(PROGRAMS_PATH) python3 tools/with_args.py $(BIN)/python tests/bench/scale_bench.py

bench-roles: setup ## Count what the roles run on hosts, and measure a deployment (ARGS="--layout 'one host'")
	@PYTHONPATH=$(PROGRAMS_PATH) python3 tools/with_args.py $(BIN)/python tests/bench/roles_bench.py

bench-network: setup ## Measure leases of addresses and virtual networks (ARGS="--share 10")
	@PYTHONPATH=$(PROGRAMS_PATH) python3 tools/with_args.py $(BIN)/python tests/bench/network_bench.py

bench-recovery: setup ## Measure recovery points of running VMs (ARGS="--case a --gib 1")
	@PYTHONPATH=$(PROGRAMS_PATH) python3 tools/with_args.py $(BIN)/python tests/bench/recovery_bench.py

.PHONY: help
help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
