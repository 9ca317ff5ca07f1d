# Two commands: `make train-and-eval` runs the main job, `make test` passes the tests.
# Both set up .venv on first use; ARGS goes through: make train-and-eval ARGS="--preset smoke".

PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
CONSTRAINTS := constraints.txt
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS)

export HF_HUB_DISABLE_TELEMETRY := 1
# Two processes test at once: more threads than one each wait for each other. Each takes a half of the tests in
# a row and what is left of the other's in the end, so that most modules make their fixtures once.
THREADS := $(or $(OMP_NUM_THREADS),1)

.PHONY: train-and-eval test check benchmark leaderboard clean help
.DEFAULT_GOAL := help

train-and-eval: $(VENV)/.runtime  ## Train, measure and publish: sft, kto, dro, rpo … on the embedded task
	$(BIN)/rpo-bench train-and-eval $(ARGS)

test: check  ## Everything that must hold: check, then all tests in random order
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=$(THREADS) $(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

check: $(VENV)/.dev  ## Lint, formatting, types, and which room may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

benchmark: $(VENV)/.dev  ## Speed and memory beside TRL's trainers, as ratios
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/offline_vs_trl.py $(ARGS)
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/grpo_vs_trl.py

leaderboard: $(VENV)/.runtime  ## Build leaderboard/ from results/
	$(BIN)/rpo-bench leaderboard $(ARGS)

clean:  ## Remove what was built here (not results, not runs)
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info

help:  ## This list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 18

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo "RPO-Bench needs Python 3.11 or newer: run make with PYTHON=/path/to/python3.11." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
	  || { echo "$(PYTHON) has no venv module: install it (Debian and Ubuntu: apt-get install python3-venv)." >&2; exit 1; }
	@echo "Setting up $(VENV), once; this takes some minutes."
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: $(VENV)/.python pyproject.toml $(CONSTRAINTS)
	$(PIP) torch
	$(PIP) -e ".[profanity]"
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	$(PIP) -e ".[dev,profanity,tools]"
	@touch $@
