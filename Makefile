# Two commands for a newcomer: `make demo` and `make test`. Nothing is installed outside .venv; once that stands, every
# target works without a network. `make help` lists the rest.

SHELL := /bin/sh
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 2
SEEDS ?= 10000
KILLS ?= 500
ROUNDS ?= 2000

# What was installed is remembered by content, not by date: switching branches and back costs nothing. The settings of the
# tools, which end pyproject.toml, do not count.
STATE := $(shell (sed '/^\[tool\./,$$d' pyproject.toml; cat constraints.txt tools/install) | cksum | cut -d ' ' -f 1)
INSTALLED := $(VENV)/.installed-$(STATE)
TESTABLE := $(VENV)/.testable-$(STATE)

.PHONY: help demo picture test lint acceptance campaign bench clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)$$/  make \1	\2/p' Makefile | expand -t 20

demo: $(INSTALLED) ## see Koppel work against made-up companies, on this machine only
	@$(BIN)/koppel demo

picture: $(INSTALLED) ## draw the demo for the README, as it is played now
	@$(BIN)/python -m koppel.demo.picture docs/demo.svg

test: lint ## everything that must hold before a change is handed in
	@$(BIN)/pytest -n $(JOBS)

lint: $(TESTABLE) ## style, types and import rules, without running a test
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/basedpyright
	@$(BIN)/lint-imports --no-logo

acceptance: $(INSTALLED) ## play acceptance/*.toml against made-up vendors and print the tables a buyer signs
	@$(BIN)/python -m koppel.testing.acceptance $(sort $(wildcard acceptance/*.toml))

campaign: $(INSTALLED) ## the long search for lost or doubled records: SEEDS simulated worlds, KILLS killed processes
	@mkdir -p .campaign
	$(BIN)/koppel simulate --seeds $(SEEDS) --json > .campaign/simulate.json
	$(BIN)/koppel torture --kills $(KILLS) --jobs $(JOBS) --json > .campaign/torture.json
	$(BIN)/koppel torture --tokens $(ROUNDS) --json > .campaign/tokens.json

bench: $(TESTABLE) ## measure the speed of the hot paths
	@for script in $(sort $(wildcard benchmarks/[a-z]*.py)); do $(BIN)/python "$$script" || exit 1; done

clean: ## remove caches and results; the installed .venv stays
	rm -rf .campaign .hypothesis .pytest_cache .ruff_cache .import_linter_cache
	find src tests tools benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED):
	@tools/install $(VENV)
	@rm -f $(VENV)/.installed-*
	@touch $@

$(TESTABLE): $(INSTALLED)
	@tools/install $(VENV) test
	@rm -f $(VENV)/.testable-*
	@touch $@
