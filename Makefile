# Everything a newcomer needs: `make run`. Only Python 3.11 to 3.13 and make must be there.

VENV := .venv
IN_VENV := $(VENV)/bin/python
# A shim of a version manager may exist and not run, so each candidate is tried.
WANTED := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c '$(WANTED)' >/dev/null 2>&1 && { echo $$p; break; }; done)
PIP := $(IN_VENV) -m pip --quiet --disable-pip-version-check
SITE = $$($(IN_VENV) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
RUN_READY := $(VENV)/.run-ready
DEV_READY := $(VENV)/.dev-ready
CASES := $(wildcard ../shared/cases)

ifneq ($(CASES),)
DESKPULSE_CASES ?= $(abspath $(CASES))
export DESKPULSE_CASES
endif

.DEFAULT_GOAL := help
.PHONY: help run setup test bench lint format clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

# A recipe of one command: make waits for it and signals reach it, no shell is in between.
run: $(RUN_READY) ## start everything here, with a simulated helpdesk; Ctrl-C stops it
	@$(IN_VENV) -m services.cli up --demo

setup: $(DEV_READY) ## install what test, lint and bench need

test: $(DEV_READY) ## the whole suite; what it uses and skips is at its top and end
	@$(IN_VENV) -m pytest -n 4 --dist loadfile --no-loadscope-reorder

bench: $(DEV_READY) ## the budgets, as ratios of one run
	@$(IN_VENV) -m bench

lint: $(DEV_READY) ## ruff, mypy, and who may import whom
	@$(IN_VENV) -m ruff check
	@$(IN_VENV) -m ruff format --check
	@$(IN_VENV) -m mypy
	@$(VENV)/bin/lint-imports

format: $(DEV_READY) ## what can be formatted and corrected by itself
	@$(IN_VENV) -m ruff check --fix-only --quiet
	@$(IN_VENV) -m ruff format

clean: ## remove .venv and all caches; the data of `make run` in .deskpulse stay
	@rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(IN_VENV):
	@test -n "$(PYTHON)" || { echo "Deskpulse needs Python 3.11, 3.12 or 3.13 with its venv module (Debian, Ubuntu:" \
		"apt install python3-venv); name one with: make PYTHON=/path/to/python $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

# The checkout, importable, and its command: what an editable install gives, without a build and what that needs.
define LINK
echo "$(CURDIR)" >"$(SITE)/deskpulse.pth"; \
printf '#!/bin/sh\nexec "%s" -P -m services.cli "$$@"\n' "$(CURDIR)/$(IN_VENV)" >$(VENV)/bin/deskpulse; \
chmod +x $(VENV)/bin/deskpulse
endef

# Installed from hashes alone. A stamp makes the next call instant; a changed lock makes it install again.
$(RUN_READY): requirements.lock | $(IN_VENV)
	@echo "installing what Deskpulse needs into $(VENV) (once)"
	@$(PIP) install --require-hashes -r requirements.lock
	@$(LINK)
	@touch $@

$(DEV_READY): requirements-dev.lock | $(IN_VENV)
	@echo "installing what development needs into $(VENV) (once)"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@$(LINK)
	@touch $@ $(RUN_READY)
