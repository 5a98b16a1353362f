# `make demo` shows a destination's whole life, `make test` passes every test. Each sets up what it needs.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# Nothing of the caller's AWS configuration may reach a build, a test or the demo.
unexport AWS_PROFILE AWS_REGION AWS_DEFAULT_REGION AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
unexport AWS_CA_BUNDLE AWS_ENDPOINT_URL AWS_CONFIG_FILE AWS_SHARED_CREDENTIALS_FILE AWS_SAM_LOCAL
unexport PYTHONPATH VIRTUAL_ENV PYTHONHOME

UV_VERSION := 0.13.9
UV := .tools/bin/uv
SAM := .venv-sam/bin/sam
RUN := .venv/bin/python
ARTEFACT := .aws-sam/build/ProviderFunction

# Lambda's own version where it is at hand, else any that is new enough. A version manager may refuse
# inside this folder what .python-version asks for, so each name is tried from the root folder as well.
PYTHON ?= $(shell for d in . /; do for p in python3.13 python3 python3.14 python3.12 python3.11; do \
	(cd $$d && $$p -c 'import sys; sys.version_info >= (3, 11) or sys.exit(1); print(sys.executable)') 2>/dev/null && exit; \
	done; done)

export SAM_CLI_TELEMETRY := 0
export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: .venv/.ready .venv-sam/.ready .venv-cloudformation/.ready .venv-lint/.ready

$(UV):
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: none was found" >&2; exit 1; }
	@echo "Setting up with $(PYTHON)"
	@$(PYTHON) -m venv .tools
	@.tools/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/.ready: GROUP := dev
.venv-sam/.ready: GROUP := sam
.venv-cloudformation/.ready: GROUP := cloudformation
.venv-lint/.ready: GROUP := lint
.venv/.ready .venv-sam/.ready .venv-cloudformation/.ready .venv-lint/.ready: pyproject.toml uv.lock | $(UV)
	@echo "Installing $(@D) ($(GROUP))"
	@UV_PROJECT_ENVIRONMENT=$(@D) $(UV) sync --quiet --frozen --only-group $(GROUP) --python .tools/bin/python
	@touch $@

.PHONY: build
build: .aws-sam/.ready ## Build the function into .aws-sam/build

.aws-sam/.ready: template.yaml $(shell find src -type f -not -path '*/__pycache__/*') .venv-sam/.ready
	@PYTHON=$(CURDIR)/.tools/bin/python $(SAM) build --no-cached
	@touch $@

.PHONY: demo
demo: setup build ## Show the whole life of a destination on this machine
	@PYTHONPATH=src:. $(RUN) -m local.demo

.PHONY: invoke
invoke: setup build ## Send one event through the function: make invoke EVENT=events/create-s3.json
	@test -n "$(EVENT)" || { echo "usage: make invoke EVENT=events/create-s3.json" >&2; exit 2; }
	@PYTHONPATH=src:. $(RUN) -m local.invoke "$(EVENT)"

.PHONY: appfabric
appfabric: .venv/.ready ## Start the AppFabric stand-in, for the AWS CLI or any SDK
	@exec $(RUN) -m local.appfabric --host $(or $(HOST),127.0.0.1)

PYTEST := env -u SSL_CERT_FILE -u SSL_CERT_DIR $(RUN) -m

.PHONY: test
test: setup lint build ## Run every check and test
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target test-in-process test-artefact

.PHONY: test-in-process
test-in-process: .venv/.ready
	@$(PYTEST) coverage run -m pytest tests/unit tests/contract tests/simulation
	@$(RUN) -m coverage report

.PHONY: test-artefact
test-artefact: setup build
	@$(PYTEST) pytest tests/artefact tests/lifecycle tests/template

.PHONY: soak
soak: .venv/.ready ## Play 50,000 random scenarios instead of 2,000: make soak SEED=1
	@SCENARIOS=soak SEED=$(SEED) $(PYTEST) pytest -p no:cacheprovider tests/simulation/test_scenarios.py

.PHONY: lint
lint: .venv/.ready .venv-sam/.ready ## Check style, types and the template
	@$(RUN) -m ruff check --quiet .
	@$(RUN) -m ruff format --check --quiet .
	@$(RUN) -m mypy
	@AWS_DEFAULT_REGION=us-east-1 $(SAM) validate --lint

.PHONY: bench
bench: setup build ## Measure the function beside others (needs Node.js and npm)
	@env -u SSL_CERT_FILE -u SSL_CERT_DIR PYTHONPATH=src:. $(RUN) -m bench

.PHONY: bench-scale
bench-scale: .venv/.ready ## Simulate up to 250 resources at once
	@PYTHONPATH=src:. $(RUN) -m bench.scale

.PHONY: docs
docs: .venv/.ready ## Renew docs/reference.md from the schema
	@$(RUN) -m docs.generate

.PHONY: release
release: .venv/.ready build ## Make the template without a transform and the code, into dist
	@$(RUN) -m local.release

src/requirements.txt: pyproject.toml uv.lock | $(UV)
	@$(UV) export --quiet --frozen --only-group function --no-header --output-file $@

.PHONY: lock
lock: | $(UV) ## Renew uv.lock and src/requirements.txt
	@$(UV) lock --upgrade
	@$(MAKE) --no-print-directory -B src/requirements.txt

.PHONY: clean
clean: ## Remove everything that the other commands made
	rm -rf .tools .venv .venv-sam .venv-cloudformation .venv-lint .aws-sam dist .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
