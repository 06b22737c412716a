# Two commands: `make demo` and `make test`. Everything else is a piece of them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_HOME := $(CURDIR)/var/demo
# the demo is not run with what somebody has set for a real instance
OWN_SETTINGS := $(filter USEROPS_%,$(.VARIABLES))
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo test lint format lock clean distclean

help: ## Show this help
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.run: requirements/run.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("userops needs Python 3.11 or newer, found " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the run-time packages (once, a few minutes at most) ..."
	@$(BIN)/python -m pip install --no-deps --require-hashes --progress-bar off -q -r requirements/run.txt
	@$(BIN)/python -m pip install --no-deps --no-build-isolation -q -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.txt
	@echo "Installing what tests and linters need (once) ..."
	@$(BIN)/python -m pip install --no-deps --require-hashes --progress-bar off -q -r requirements/dev.txt
	@touch $@

setup: $(VENV)/.run ## Create the environment in .venv
setup-dev: $(VENV)/.dev ## Create the environment with test tools

demo: setup ## Simulated shop -> real Airflow run -> churn-warning list on screen
	@env $(OWN_SETTINGS:%=-u %) USEROPS_HOME=$(DEMO_HOME) $(BIN)/userops demo

test: setup-dev ## Run every test
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: setup-dev ## Check style, types, SQL and the conventions of the dbt project
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/sqlfluff lint dbt_project/models dbt_project/tests
	$(BIN)/userops docs check

format: setup-dev ## Rewrite to the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: setup-dev ## Compile requirements/*.in into hashed, address-free locks
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-emit-index-url --no-annotate --no-header -q requirements/run.in -o requirements/run.txt
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-emit-index-url --no-annotate --no-header -q -c requirements/run.txt requirements/dev.in -o requirements/dev.txt

clean: ## Remove everything the demo and the tests made (never your own USEROPS_HOME)
	rm -rf $(DEMO_HOME) .pytest_cache .hypothesis .mypy_cache .ruff_cache dbt_project/target dbt_project/logs *.egg-info

distclean: clean ## clean, and the environment too
	rm -rf $(VENV)
