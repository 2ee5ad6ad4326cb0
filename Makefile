# `make demo` and `make test` set up everything they need. Requires Terraform >= 1.9, Python >= 3.11, make.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
# A file that cannot be parsed is not checked; the default limit is 10 seconds, too few on a busy machine.
CHECKOV := CKV_PARSE_ERROR_FAIL=true HCL_PARSE_TIMEOUT_SEC=300 .venv-checkov/bin/checkov --config-file .checkov.yaml
TERRAFORM := $(PY) -m local.terraform
KEEP ?=
NEW_ROLE := tests/end_to_end/test_4_new_role.py
DEMO_WAREHOUSE := tests/end_to_end/test_6_demo_warehouse.py
CLI := $(wildcard tests/unit/test_cli*.py)
DETECTOR := $(wildcard tests/unit/test_detection*.py tests/unit/test_event*.py tests/unit/test_recurring.py)
export PYTHONPATH := lambda_src:.
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test quick fmt validate terraform-test lint types unit detector cli contract browser benchmarks simulation simulation-calls simulation-first simulation-second end-to-end end-to-end-role end-to-end-demo demo-cluster many-detectors tflint checkov newest-provider package package-check docs docs-check release-check bench bench-simulation bench-properties clean

help: ## show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 18

demo: $(VENV)/ready ## deploy to a local cloud, inject incidents, detect them, destroy (KEEP=1 keeps it running)
	@$(PY) -m local.demo $(if $(filter-out 0,$(KEEP)),--keep)

test: $(VENV)/ready ## everything that CI runs, one gate per core at a time
	@$(PY) -m scripts.gates --make $(MAKE)

quick: $(VENV)/ready fmt lint package-check docs-check ## the gates that take seconds

$(VENV)/ready: requirements-dev.txt requirements-cli.txt requirements-aws.txt
	@command -v $(PYTHON) >/dev/null || { echo "Python is not installed: install Python 3.11 or newer."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$$($(PYTHON) --version) is too old: Python 3.11 or newer is required (make PYTHON=python3.12 …)."; exit 1; }
	@echo "Setting up $(VENV) (once, about half a minute) …"
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/pip install --quiet -r requirements-dev.txt
	@touch $@

fmt: $(VENV)/ready ## check the formatting of Terraform and Python files
	@$(TERRAFORM) fmt -check -recursive -diff
	@$(VENV)/bin/ruff format --check --quiet . || { echo "Run: $(VENV)/bin/ruff format ."; exit 1; }

lint: $(VENV)/ready ## ruff check
	@$(VENV)/bin/ruff check --quiet .

types: $(VENV)/ready ## mypy --strict, and the bodies of tests
	@$(VENV)/bin/mypy
	@$(VENV)/bin/mypy tests

validate: $(VENV)/ready ## terraform validate for root, modules and examples
	@$(PY) -m scripts.terraform_gates validate

terraform-test: $(VENV)/ready ## terraform test with a mocked provider
	@$(PY) -m scripts.terraform_gates test
	@$(PY) -m pytest tests/terraform

unit: $(VENV)/ready ## unit tests: services, adapters and what of the core has no gate of its own
	@$(PY) -m pytest tests/unit tests/adapters $(addprefix --ignore=,$(CLI) $(DETECTOR))

detector: $(VENV)/ready ## unit tests of the detector: what it learns and finds, bit for bit in any pieces
	@$(PY) -m pytest $(DETECTOR)

cli: $(VENV)/ready ## unit tests of the command line: local files as people write them
	@$(PY) -m pytest $(CLI)

contract: $(VENV)/ready ## contract tests: local cloud, payloads and state machines
	@$(PY) -m pytest tests/contract

browser: $(VENV)/ready ## what people look at, in Chromium
	@$(PY) -m pytest tests/browser

benchmarks: $(VENV)/ready ## short versions of the benchmarks, and the reference series
	@$(PY) -m pytest tests/benchmarks

simulation: simulation-calls simulation-first simulation-second ## the three gates of simulated runs

simulation-calls: $(VENV)/ready ## each call of a crawl and of a pipeline fails once, in turn
	@$(PY) -m pytest tests/simulation

simulation-first: $(VENV)/ready ## attacks at any call of 200 runs, compared with clean runs: half of the detectors
	@$(PY) -m tests.simulation --seeds 0-199 --shard 1/2

simulation-second: $(VENV)/ready ## the other half of the detectors
	@$(PY) -m tests.simulation --seeds 0-199 --shard 2/2

newest-provider: $(VENV)/ready ## check the Terraform code against the newest AWS provider
	@$(PY) -m scripts.newest_provider
	@$(PY) -m pytest tests/provider

end-to-end: $(VENV)/ready ## end-to-end tests on the local cloud, including faults
	@$(PY) -m pytest tests/end_to_end --ignore $(NEW_ROLE) --ignore $(DEMO_WAREHOUSE)

end-to-end-role: $(VENV)/ready ## end-to-end test of an UNLOAD role that is created, detached and moved
	@$(PY) -m pytest $(NEW_ROLE)

end-to-end-demo: $(VENV)/ready ## end-to-end test of the demo warehouse: network, tables, detector
	@$(PY) -m pytest $(DEMO_WAREHOUSE)

demo-cluster: $(VENV)/ready ## the demo warehouse with a provisioned cluster: apply, plan again, destroy (not in `make test`)
	@DEMO_CLUSTER=1 $(PY) -m pytest $(DEMO_WAREHOUSE)

many-detectors: $(VENV)/ready ## ten detectors on one warehouse: apply, plan again, destroy (not in `make test`, which it would double)
	@$(PY) -m pytest tests/end_to_end/many_detectors.py

tflint: ## tflint with all rules of the bundled ruleset
	@scripts/tflint

checkov: .venv-checkov/ready ## checkov security scan of the Terraform code, offline
	@$(CHECKOV) --quiet || { $(CHECKOV) | grep "Error parsing"; exit 1; }

.venv-checkov/ready: requirements-checkov.txt
	@echo "Setting up .venv-checkov (once) …"
	@$(PYTHON) -m venv .venv-checkov
	@.venv-checkov/bin/pip install --quiet -r requirements-checkov.txt
	@touch $@

package: $(VENV)/ready ## build lambda_src/dist/package.zip
	@$(PY) scripts/build_package.py

package-check: $(VENV)/ready ## check that the committed zip matches the sources
	@$(PY) scripts/build_package.py --check

docs: $(VENV)/ready ## write the READMEs' sections as terraform-docs does, and the table of costs
	@$(PY) scripts/terraform_docs.py
	@$(PY) -m scripts.cost

docs-check: $(VENV)/ready ## check that these sections are up to date
	@$(PY) scripts/terraform_docs.py --check

release-check: $(VENV)/ready ## check that version, CHANGELOG and documents agree
	@$(PY) -m scripts.release check

bench: .venv-bench/ready bench-simulation bench-properties ## accuracy, calibration and speed compared with other detectors: docs/benchmarks.md
	@nice -n 10 .venv-bench/bin/python -m tests.benchmarks

bench-simulation: $(VENV)/ready ## 2,000 simulated runs
	@nice -n 10 $(PY) -m tests.simulation --seeds 0-1999 --jobs $$(nproc)

bench-properties: $(VENV)/ready ## ten times as many examples as in `make test`, where one takes long
	@EXAMPLES_TIMES=10 nice -n 10 $(PY) -m pytest $$(grep -l 'tests.examples' tests/unit/*.py)

.venv-bench/ready: requirements-bench.txt
	@echo "Setting up .venv-bench (once) …"
	@$(PYTHON) -m venv .venv-bench
	@echo '*' > .venv-bench/.gitignore
	@grep -v '^#' $< | while read -r package; do \
	  .venv-bench/bin/pip install --quiet "$$package" || echo "Cannot be installed, its benchmarks are skipped: $$package"; done
	@.venv-bench/bin/python -c 'import numpy, pydantic'
	@touch $@

clean: ## remove everything that the targets above have set up
	rm -rf $(VENV) .venv-checkov .venv-bench .tools .local .mypy_cache .ruff_cache .pytest_cache .hypothesis
