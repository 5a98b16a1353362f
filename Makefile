# `make demo` shows a destination from its Create to its Delete, `make test` runs every test. Each sets up what it needs.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# Nothing of the caller's AWS configuration may reach a build, a test or the demo: only the canary works with it.
ifneq ($(MAKECMDGOALS),test-aws)
unexport AWS_PROFILE AWS_REGION AWS_DEFAULT_REGION AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
unexport AWS_CA_BUNDLE AWS_ENDPOINT_URL AWS_CONFIG_FILE AWS_SHARED_CREDENTIALS_FILE AWS_SAM_LOCAL
endif
unexport PYTHONPATH VIRTUAL_ENV PYTHONHOME

UV_VERSION := 0.13.9
UV := .tools/bin/uv
SAM := .venv-sam/bin/sam
RUN := .venv/bin/python
ARTIFACT := .aws-sam/build/ProviderFunction

# Lambda's own version where it is installed, else any that is new enough. A version manager may refuse
# inside this folder what .python-version asks for, so each name is tried from the root folder as well.
PYTHON ?= $(shell for d in . /; do for p in python3.13 python3 python3.14 python3.12 python3.11; do \
	(cd $$d && $$p -c 'import sys; sys.version_info >= (3, 11) or sys.exit(1); print(sys.executable)') 2>/dev/null && exit; \
	done; done)

export SAM_CLI_TELEMETRY := 0
export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT

# All that is downloaded stays in this folder: the home may be read-only, and `make clean` removes everything.
export UV_CACHE_DIR ?= $(CURDIR)/.tools/cache/uv
export PIP_CACHE_DIR ?= $(CURDIR)/.tools/cache/pip
# pip's settings for other installations would break those here.
unexport PIP_CONSTRAINT PIP_PREFIX PIP_TARGET
export PIP_REQUIRE_VIRTUALENV := 0
export PIP_USER := 0

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: .venv/.ready .venv-sam/.ready .venv-cloudformation/.ready .venv-checkov/.ready \
	.venv-cfn-lint-oldest/.ready .venv-cfn-lint-newest/.ready

$(UV):
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and none was found" >&2; exit 1; }
	@echo "Setting up with $(PYTHON): once, up to 1 GB in this folder"
	@"$(PYTHON)" -m venv .tools
	@.tools/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/.ready: GROUP := dev
.venv/.ready: STEP := 1 of 6: the function and its tests
.venv-sam/.ready: GROUP := sam
.venv-sam/.ready: STEP := 2 of 6: the AWS SAM CLI
.venv-cloudformation/.ready: GROUP := cloudformation
.venv-cloudformation/.ready: STEP := 3 of 6: a local CloudFormation
.venv-checkov/.ready: GROUP := checkov
.venv-checkov/.ready: STEP := 4 of 6: a scanner of templates
.venv-cfn-lint-oldest/.ready: GROUP := cfn-lint-oldest
.venv-cfn-lint-oldest/.ready: STEP := 5 of 6: the oldest cfn-lint that the rules are for
.venv-cfn-lint-newest/.ready: GROUP := cfn-lint-newest
.venv-cfn-lint-newest/.ready: STEP := 6 of 6: the newest cfn-lint
.venv/.ready .venv-sam/.ready .venv-cloudformation/.ready .venv-checkov/.ready \
.venv-cfn-lint-oldest/.ready .venv-cfn-lint-newest/.ready: pyproject.toml uv.lock | $(UV)
	@echo "Installing $(STEP)"
	@UV_PROJECT_ENVIRONMENT=$(@D) $(UV) sync --quiet --frozen --only-group $(GROUP) --python .tools/bin/python
	@touch $@

.PHONY: build
build: .aws-sam/.ready ## Build the function into .aws-sam/build

# With its folders, so that a file that was removed is noticed too.
.aws-sam/.ready: template.yaml $(shell find src -not -name __pycache__ -not -path '*/__pycache__/*') .venv-sam/.ready
	@echo "Building the function"
	@mkdir -p $(@D)
	@PYTHON="$(CURDIR)/.tools/bin/python" $(SAM) build --no-cached > $(@D)/build.log 2>&1 \
		|| { cat $(@D)/build.log >&2; exit 1; }
	@grep -A 1 '^No Python 3.13' $(@D)/build.log >&2 || true
	@# Python adds these where it imports from, and a folder that is newer than the build means another build.
	@find src -type d -not -name __pycache__ -exec mkdir -p {}/__pycache__ \;
	@touch $@

# For the commands that a user runs first: sets up what is missing, silently but for a line each.
PREPARE = @sh local/prepare.sh "$(MAKE)" .venv/.ready .venv-sam/.ready .venv-cloudformation/.ready .aws-sam/.ready
LOCAL := exec env PYTHONPATH=src:. $(RUN) -m local

.PHONY: demo
demo: ## Create, update, replace, roll back and delete a destination on this machine [DETAIL=1] [RECORD=docs/demo.svg]
	$(PREPARE)
	@$(LOCAL) demo

.PHONY: invoke
invoke: ## Send one event through the function: make invoke EVENT=events/create-s3.json
	$(PREPARE)
	@$(LOCAL) invoke

.PHONY: appfabric
appfabric: .venv/.ready ## Start the AppFabric emulator, for the AWS CLI or any SDK
	@exec $(RUN) -m local.appfabric --host $(or $(HOST),127.0.0.1)

.PHONY: local
local: ## Run CloudFormation, Lambda and AppFabric here until Ctrl-C [PORT=4570] [REGION=us-east-1]
	$(PREPARE)
	@$(LOCAL) up

.PHONY: local-env
local-env: ## Print the variables for another terminal: eval "$(make -s local-env)" [PORT=] [REGION=]
	@sh local/env.sh "$(CURDIR)" "$(or $(REGION),us-east-1)" "$(or $(PORT),4570)"

.PHONY: local-deploy
local-deploy: .venv/.ready .venv-sam/.ready ## Deploy TEMPLATE=my.yaml there [STACK=name] [PARAMS="Format=parquet"] [FAIL=…]
	@$(LOCAL) deploy

.PHONY: local-delete
local-delete: .venv/.ready ## Delete STACK=name there [FAIL=…]
	@$(LOCAL) delete

.PHONY: local-destinations
local-destinations: .venv/.ready ## List what is in AppFabric there, with its owners
	@$(LOCAL) destinations

.PHONY: local-logs
local-logs: .venv/.ready ## Print the log of the provider there [STACK=another-provider]
	@$(LOCAL) logs

# Everything in one run, each module's tests in one process. Two processes more than there are processors: the tests
# under Lambda's runtime wait more than they work.
PYTEST := env -u SSL_CERT_FILE -u SSL_CERT_DIR $(RUN) -m pytest
PARALLEL = --numprocesses $$(($$(getconf _NPROCESSORS_ONLN) + 2)) --maxprocesses 5 --dist loadfile --no-loadscope-reorder

.PHONY: check
check: style .venv/.ready ## Check style and types, and run the unit tests: some seconds
	@$(PYTEST) -q tests/unit

.PHONY: test
ifdef K
test: setup build ## Check and test everything, some minutes; or K=some_name: the tests of that name
	@$(PYTEST) -k "$$K"
else
test: setup lint build
	@$(PYTEST) $(PARALLEL) --cov
endif

.PHONY: test-all
test-all: setup lint build ## What is slower too: each Python, a tarball, 50,000 random scenarios
	@SCENARIOS=soak $(PYTEST) $(PARALLEL) --cov -m ""

.PHONY: test-aws
test-aws: .venv/.ready ## Check what is assumed of AWS, with your credentials: make test-aws ACCOUNT=… INGESTION=… (docs/canary.md)
	@exec env PYTHONPATH=src:. $(RUN) -m canary

.PHONY: soak
soak: .venv/.ready ## Play 50,000 random scenarios instead of 2,000: make soak SEED=1
	@SCENARIOS=soak SEED=$(SEED) $(PYTEST) -p no:cacheprovider tests/simulation/test_scenarios.py

.PHONY: style
style: .venv/.ready
	@$(RUN) -m ruff check --quiet .
	@$(RUN) -m ruff format --check --quiet .
	@$(RUN) -m mypy

.PHONY: lint
lint: style .venv-sam/.ready ## Check style, types and the template
	@AWS_DEFAULT_REGION=us-east-1 $(SAM) validate --lint

.PHONY: format
format: .venv/.ready ## Format the code and fix what ruff can fix
	@$(RUN) -m ruff check --quiet --fix . || true
	@$(RUN) -m ruff format .

.PHONY: bench
bench: setup build ## Measure the release beside others (needs Node.js and npm): make bench ROUNDS=15 RECORD=1
	@env -u SSL_CERT_FILE -u SSL_CERT_DIR PYTHONPATH=src:. $(RUN) -m bench \
		--rounds $(or $(ROUNDS),15) $(if $(RECORD),--record)

.PHONY: bench-scale
bench-scale: .venv/.ready ## Simulate up to 250 resources at once
	@PYTHONPATH=src:. $(RUN) -m bench.scale

.PHONY: docs
docs: .venv/.ready ## Renew docs/reference.md from the schema
	@$(RUN) -m docs.generate

.PHONY: release
release: .venv/.ready build ## Build the template without a transform, the code and the cfn-lint rules, into dist
	@$(RUN) -m local.release

src/requirements.txt: pyproject.toml uv.lock | $(UV)
	@# Without markers: pip would evaluate them for the Python that builds, not for Lambda's.
	@$(UV) export --quiet --frozen --only-group function --no-header | sed "s/ ; python_full_version >= '3.11'//" > $@

.PHONY: lock
lock: | $(UV) ## Renew uv.lock and src/requirements.txt
	@$(UV) lock --upgrade
	@touch uv.lock
	@$(MAKE) --no-print-directory src/requirements.txt

.PHONY: clean
clean: ## Remove everything that the other commands made
	rm -rf .tools .venv .venv-* .aws-sam .local dist .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
