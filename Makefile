# Kipu. `make help` explains itself. Everything a recipe needs is fetched by a recipe.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

KIPU_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/kipu
export KIPU_CACHE
PYTHON ?= $(firstword $(foreach name,python3.13 python3.12 python3.11 python3,$(shell $(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(name))))
UV_VERSION := 0.13.9
UV := $(KIPU_CACHE)/uv-$(UV_VERSION)/bin/uv
BIN := .venv/bin
CLUSTER ?= auto
IN_CLUSTER := eval "$$(e2e/cluster/env.sh)" &&

.PHONY: help
help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^## / {printf "\n%s\n", substr($$0, 4)} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

## The two commands of the README
.PHONY: demo test
demo: setup cluster-up install ## Run a diamond of Jobs on a real cluster, and watch it
	@$(IN_CLUSTER) e2e/demo.sh
test: check scan simulate browser e2e scale ## Everything: checks, units, crash points, real clusters (.ci/run calls this)
	@$(BIN)/python e2e/summary.py

## Set up
.PHONY: setup lock
setup: .venv/.stamp ## Make .venv from the committed lock

$(UV):
	@test -n "$(PYTHON)" || { echo "kipu: a Python >= 3.11 is needed; set PYTHON=/path/to/it" >&2; exit 1; }
	$(PYTHON) -m venv $(KIPU_CACHE)/uv-$(UV_VERSION)
	$(KIPU_CACHE)/uv-$(UV_VERSION)/bin/python -m pip install -q uv==$(UV_VERSION)

.venv/.stamp: requirements-dev.lock pyproject.toml | $(UV)
	test -x $(BIN)/python || $(UV) venv -q --python $(PYTHON) .venv
	$(UV) pip sync -q --require-hashes --python $(BIN)/python requirements-dev.lock
	$(UV) pip install -q --no-deps --python $(BIN)/python -e .
	touch $@

lock: | $(UV) ## Resolve the dependencies anew and write the four locks
	$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url pyproject.toml -o requirements.lock
	$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --extra cli --group dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --group bench -c requirements-dev.lock -o requirements-bench.lock
	$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --group sbom -c requirements-dev.lock -o requirements-sbom.lock
	$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --group ui-test -c requirements-dev.lock -o requirements-ui-test.lock

## Without a cluster
.PHONY: check fmt lint types unit prove simulate zoo browser crds docs
check: lint types unit prove ## All that needs no cluster, but the crash points
fmt: setup ## Format the code
	$(BIN)/ruff format operator tests e2e bench
	$(BIN)/ruff check --fix operator tests e2e bench
lint: setup ## Style, imports between layers
	$(BIN)/ruff format --check operator tests e2e bench
	$(BIN)/ruff check operator tests e2e bench
	$(BIN)/lint-imports
	$(BIN)/pytest -q -m lint tests/test_architecture.py
types: setup ## mypy, strict, tests included
	$(BIN)/mypy
unit: setup ## Units, about a minute
	$(BIN)/pytest -n 2 -q -m "not cluster and not simulation and not proof and not lint" --junitxml=build/results/unit.xml
prove: setup ## State spaces, laws and costs: what is too long for a unit
	$(BIN)/pytest -n 2 -q -m "proof and not cluster" --junitxml=build/results/proof.xml
simulate: setup ## Crash points, pairs, 2,000 seeds; or any seeds: [SEED=0 N=2000 DEPTH=4]
ifneq ($(SEED)$(N)$(DEPTH),)
	$(BIN)/python -m tests.simulation.main $(and $(SEED),--seed $(SEED)) $(and $(N),--n $(N)) $(and $(DEPTH),--depth $(DEPTH))
else
	$(BIN)/pytest -n 2 -q -m simulation --junitxml=build/results/simulation.xml
endif
zoo: setup ## Every seeded bug against the tests that must catch it; the last line is `K of N caught`
	@$(BIN)/python -m tests.zoo.run
browser: setup ## The page of `kipu ui` in a headless Chromium, which is fetched; pictures in build/ui
	@$(UV) pip install -q --require-hashes --python $(BIN)/python -r requirements-ui-test.lock
	@KIPU_BROWSER="$${KIPU_BROWSER:-$$(e2e/browser.sh)}" $(BIN)/pytest -q -m browser e2e --junitxml=build/results/browser.xml
crds: setup ## Generate crds/, the chart's copy, schemas/ and docs/reference.md from the models
	$(BIN)/python -m kipu.api.crd
	$(BIN)/python -m kipu.api.json_schema
	$(BIN)/python -m kipu.api.reference

## The chart and what is shipped
.PHONY: scan sbom licences
scan: setup ## The rendered chart before kubeconform and kube-score, its alerts by Prometheus' rules; built from Go modules once
	@tools=$$(e2e/scan/build.sh) && helm=$$(dirname "$$(command -v helm || echo "$$(e2e/cluster/build.sh)/bin/helm")") && \
	  PATH="$$tools/bin:$$helm:$$PATH" $(BIN)/python -m e2e.scan "$$tools"

sbom: setup ## What the operator's image holds of Python, as CycloneDX: build/sbom.cdx.json
	@for each in image sbom; do test -x build/$$each-env/bin/python || $(UV) venv -q --python $(PYTHON) build/$$each-env; done
	@$(UV) pip sync -q --require-hashes --python build/image-env/bin/python requirements.lock
	@$(UV) pip sync -q --require-hashes --python build/sbom-env/bin/python requirements-sbom.lock
	@build/sbom-env/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type application \
	  --output-reproducible --of JSON --sv 1.6 -o build/sbom.cdx.json build/image-env/bin/python
	@$(BIN)/python -m tests.supply.sbom build/sbom.cdx.json
licences: setup ## The licence of every locked package: build/licences.md; fails for one that is not allowed
	@$(BIN)/python -m tests.supply.licences build/licences.md

## A real cluster
.PHONY: cluster-up cluster-down image install uninstall e2e scale measure chaos bench
cluster-up: ## Start one: CLUSTER=auto|kind|local|sim (local needs root); last line KUBECONFIG=<path>
	@CLUSTER=$(CLUSTER) e2e/cluster/up.sh
cluster-down: ## End it and leave nothing behind [CLUSTER=sim: that of simulated nodes]
	@CLUSTER=$(CLUSTER) e2e/cluster/down.sh
image: setup ## Build the operator's image
	@e2e/cluster/image.sh
install: image ## Install the chart with that image into the current cluster
	@$(IN_CLUSTER) e2e/cluster/install.sh
uninstall: ## Remove the chart; the CRD and the Workflows stay
	@$(IN_CLUSTER) helm uninstall --namespace kipu-system kipu
e2e: setup cluster-up install ## The chart installed, the operator as a pod, every example, kills
	@$(IN_CLUSTER) $(BIN)/pytest -q -n 3 -m "cluster and not alone" tests e2e --junitxml=build/results/e2e.xml
	@$(IN_CLUSTER) $(BIN)/pytest -q -m alone e2e --junitxml=build/results/alone.xml
scale: setup ## A chain of 1,000 steps, and a fan-out, on simulated nodes: [ITEMS=1000, at most 10000]
	@CLUSTER=sim e2e/cluster/up.sh
	@eval "$$(CLUSTER=sim e2e/cluster/env.sh)" && $(and $(ITEMS),KIPU_SCALE_ITEMS=$(ITEMS)) \
	  $(BIN)/pytest -q -m sim e2e --junitxml=build/results/scale.xml
	@$(BIN)/python e2e/summary.py scale
measure: setup cluster-up install ## API writes, log bytes and gaps of a chain and a fan-out on the real node
	@$(IN_CLUSTER) $(BIN)/python -m e2e.measure
	@$(IN_CLUSTER) $(BIN)/python -m e2e.measure_log
bench: setup ## Kipu beside what no engine can beat, on simulated nodes: [WORKLOAD=dag.json, or DAGS=folder, or SUITE=quick|full|real|timed|slopes|wide|targets; ROUNDS=3; or TRIAL=all, or flood|recovery|housekeeping|kill|cancel|failing|memory; COPIES=]
	@$(UV) pip install -q --require-hashes --python $(BIN)/python -r requirements-bench.lock
	@CLUSTER=sim e2e/cluster/up.sh >&2
	@eval "$$(CLUSTER=sim e2e/cluster/env.sh)" && \
	  $(BIN)/python -m $(if $(TRIAL),bench.trials $(TRIAL) $(and $(COPIES),--copies $(COPIES)),bench) $(and $(WORKLOAD),--workload $(WORKLOAD)) $(and $(DAGS),--dags $(DAGS)) $(and $(SUITE),--suite $(SUITE)) $(and $(ROUNDS),--rounds $(ROUNDS))
chaos: setup cluster-up install ## Faults and deaths: [WORKFLOWS=300 KILLS=200 SEED=1 MINUTES=40 REPLICAS=as installed]
	@$(IN_CLUSTER) $(BIN)/python -m e2e.chaos $(and $(WORKFLOWS),--workflows $(WORKFLOWS)) $(and $(KILLS),--kills $(KILLS)) \
	  $(and $(SEED),--seed $(SEED)) $(and $(MINUTES),--minutes $(MINUTES)) $(and $(REPLICAS),--replicas $(REPLICAS))
