# Everything a reader of the README types. `make help` lists the targets.
#
# PYTHON=/path/to/python3.12 chooses the interpreter, LOG=/path/to/file the log of the demo, HOLD=1 leaves
# its nodes running until Ctrl-C.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# The first interpreter that is new enough; python3 goes first, since it is the one with packages for venv.
PYTHON ?= $(shell for candidate in python3 python3.13 python3.12 python3.11; do \
	"$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$candidate"; break; }; done)

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Where there is a browser, what drives it is worth its 51 MB: the core of the browser tests is part of `make test` then.
CHROMIUM := $(shell command -v chromium || command -v chromium-browser)
COMMA := ,

.PHONY: help demo test test-console lint conformance conformance-jars conformance-kazoo bench sim sim-raft fuzz chaos test-alerts test-runbooks test-systemd dist clean distclean install

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 26

demo: $(VENV)/.installed ## three nodes, a real log, one kill; LOG=file chooses the log, HOLD=1 leaves the nodes up
	@$(BIN)/rk demo $(if $(LOG),--log "$(LOG)") $(if $(HOLD),--hold)

# What failed goes once more, in one process; $(1) chooses the tests, $(2) is what only the first run is given.
define pytest
	@$(BIN)/python -m pytest $(1) $(2) $(PYTEST_ARGS) || { \
		echo "what failed goes once more, in one process: what passes now depends on its neighbours or on time, and wants mending"; \
		$(BIN)/python -m pytest $(1) --last-failed --last-failed-no-failures none --maxfail 5 $(PYTEST_ARGS); }
endef

test: $(VENV)/.installed-dev lint ## style, types, floors, then all tests in random order
	$(call pytest,,-n auto)

test-console: export RAFTKAFKA_CONSOLE := 1
test-console: $(VENV)/.installed-dev ## every flow of the console in Chromium; screenshots in tests/console/screenshots
	@$(PIP) install --editable '.[dev,browser]'
	$(call pytest,tests/console tests/unit/console)

lint: $(VENV)/.installed-dev ## style, types and the floors of the house
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

conformance: $(VENV)/.installed-dev conformance-jars ## Kafka's own tools read our files and use the ZooKeeper port; fetches them with Maven, needs Java 17
	$(call pytest,tests/conformance)

conformance-jars:
	@mvn --quiet --batch-mode --file tests/conformance/pom.xml dependency:copy-dependencies \
		-DincludeScope=runtime -DoutputDirectory="$(CURDIR)/.conformance/jars"
	@mvn --quiet --batch-mode --file tests/conformance/zookeeper/pom.xml dependency:copy-dependencies \
		-DincludeScope=runtime -DoutputDirectory="$(CURDIR)/.conformance/kafka-2.8"

# Kazoo's tests come with it; what they import beside it is not worth a place among our own requirements.
conformance-kazoo: $(VENV)/.installed-dev ## kazoo's own tests against the ZooKeeper ports of three nodes
	@$(PIP) install objgraph
	@$(BIN)/python -m pytest -q -rfEs -p tests.conformance.kazoo_cluster -p no:randomly -W default --timeout 60 -c /dev/null --rootdir $(VENV) --pyargs kazoo.tests

bench: $(VENV)/.installed ## throughput and latency on this machine
	@$(BIN)/python -m benchmarks

sim: $(VENV)/.installed-dev ## the cluster in a simulator; SEED=n replays one, SEEDS=n JOBS=m run many, REPORT=file counts them
	@$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),20) --first $(or $(FIRST),1) --jobs $(or $(JOBS),1)) \
		$(if $(SECONDS_OF_FAULTS),--seconds $(SECONDS_OF_FAULTS)) $(if $(FAULTS),--faults $(FAULTS)) $(if $(WITHOUT),--without $(WITHOUT)) \
		$(if $(STORY),--story $(STORY)) $(if $(REPORT),--report $(REPORT))

sim-raft: $(VENV)/.installed-dev ## Raft alone in a simulator; SEEDS=n, and half as many with voters that come and go; FIRST=n
	@RAFTKAFKA_RAFT_SEEDS=$(or $(SEEDS),100) RAFTKAFKA_RAFT_FIRST_SEED=$(or $(FIRST),0) $(BIN)/python -m pytest -q -n auto tests/simulation/raft/test_faults.py

fuzz: $(VENV)/.installed-dev ## mutated frames against the codec of the ZooKeeper port; FRAMES=n, SEED=n
	@$(BIN)/python -m tests.fuzz.zookeeper --frames $(or $(FRAMES),1000000) --seed $(or $(SEED),1)

chaos: $(VENV)/.installed-dev ## real processes under faults; SECONDS_OF_FAULTS=n each, ROUNDS=n per kind; root has all kinds
	@$(BIN)/python -m tests.chaos.run --rounds $(or $(ROUNDS),3) --seconds $(or $(SECONDS_OF_FAULTS),30) --first $(or $(FIRST),1) \
		$(if $(KINDS),--kinds $(KINDS))

dist: $(VENV)/.installed ## an archive of wheels, units and install.sh for machines without a registry, in dist/
	@$(BIN)/python deploy/dist.py

test-alerts: $(VENV)/.installed-dev ## every alert seen firing, and resolved, against a cluster that is broken for it; ALERTS="..." only these
	@$(BIN)/python -m tests.alerts.run $(ALERTS)

test-runbooks: $(VENV)/.installed-dev ## every command of every page in ops/runbooks, against clusters of real processes
	@RAFTKAFKA_RUNBOOKS=all $(BIN)/python -m pytest -n auto tests/runbooks

test-systemd: $(VENV)/.installed-dev ## the units on a really booted systemd, in a container, as root; TRANSCRIPT=file writes what happened
	@$(BIN)/python -m tests.systemd $(if $(TRANSCRIPT),--transcript "$(TRANSCRIPT)")

install: $(VENV)/.installed ## only make .venv with rk in it

clean: ## remove what the targets made, except .venv
	@rm -rf .demo .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist
	@find . -path ./$(VENV) -prune -o -name __pycache__ -type d -print0 | xargs -0 rm -rf

distclean: clean ## remove .venv too
	@rm -rf $(VENV)

# A stamp instead of the directory: a directory's time changes with every file in it.
$(VENV)/.installed: pyproject.toml setup.py raftkafka/record/_codec.c raftkafka/client/_fast.c raftkafka/adapters/_syncs.c raftkafka/model/_passing.c | $(VENV)/bin/pip
	@echo "installing raftkafka into $(VENV)"
	@$(PIP) install --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml setup.py raftkafka/record/_codec.c raftkafka/client/_fast.c raftkafka/adapters/_syncs.c raftkafka/model/_passing.c | $(VENV)/bin/pip
	@echo "installing raftkafka and what its tests need into $(VENV)"
	@$(PIP) install --editable '.[dev$(if $(CHROMIUM),$(COMMA)browser)]'
	@touch $@ $(VENV)/.installed

$(VENV)/bin/pip:
	@if [ -z "$(PYTHON)" ]; then \
		echo "raftkafka needs Python 3.11 or newer and found none on the PATH." >&2; \
		echo "On Debian 12: apt install python3 python3-venv. Elsewhere: make PYTHON=/path/to/python3.12 ..." >&2; \
		exit 1; \
	fi
	@if ! "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
		echo "$(PYTHON) is too old or missing: raftkafka needs Python 3.11 or newer." >&2; \
		exit 1; \
	fi
	@if ! "$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null; then \
		version=$$("$(PYTHON)" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
		echo "$(PYTHON) cannot make virtual environments here." >&2; \
		echo "On Debian and Ubuntu: apt install python3-venv python3-pip (or python$$version-venv)." >&2; \
		exit 1; \
	fi
	@"$(PYTHON)" -m venv $(VENV)
