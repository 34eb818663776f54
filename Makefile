# The verbs of this repository; `make` alone lists them. The first verb that needs .venv sets it up,
# and again when the locked versions change.

PYTHON  ?= python3
PROMETHEUS ?= http://localhost:9090
INSTALL ?= yes
ARGS    ?=

VENV := .venv
BIN  := $(VENV)/bin
PIP  := $(BIN)/python -m pip --quiet --disable-pip-version-check install
UV_VERSION := 0.13.9
UV := $(VENV)/uv-$(UV_VERSION)/bin/uv
RELEASE_TOOLS := build==1.6.1 cyclonedx-bom==7.5.0 twine==7.0.0

LOCKED  := deploy/requirements.txt deploy/requirements-build.txt
RUNTIME := $(VENV)/.runtime
DEV     := $(VENV)/.dev

MAKEFLAGS += --no-builtin-rules --no-print-directory
.SUFFIXES:
.DEFAULT_GOAL := help
.PHONY: help demo test pythons systemd coverage check bench siege chaos upgrade fuzz fuzz-answers replay noise mutants dashboards previews static image release lock docs clean setup programs helm kubernetes

help: ## List the verbs
	@echo "make VERB, where VERB is one of"
	@sed -n 's/^\([a-z-]*\):.*## /\1:/p' Makefile | while IFS=: read -r verb text; do \
	    printf '  %-14s%s\n' "$$verb" "$$text"; done
	@echo "and these variables may be set:"
	@echo "  ARGS=...     more arguments: make demo ARGS=--help, make test ARGS='-k budget'"
	@echo "  PYTHON=...   the Python, 3.11 or newer, that .venv is made with"
	@echo "  INSTALL=no   leave the system's packages alone"

demo: $(RUNTIME) ## Run the daemon against a simulated VergeOS system
	@exec $(BIN)/vergewatch demo $(ARGS)

# Tests wait most of the time.
PYTEST := pytest -n $(shell expr $$(nproc) \* 2 + 1) --dist worksteal

# Tests start hundreds of interpreters: without bytecode, each one compiles all modules again.
unexport PYTHONDONTWRITEBYTECODE

test: $(DEV) programs helm ## Run the tests; ARGS selects some, as for pytest
ifeq ($(strip $(ARGS)),)
	@$(BIN)/python -m $(PYTEST)
else
	@$(BIN)/python -m pytest $(ARGS)
endif

pythons: $(DEV) $(UV) ## Run a part of the tests with Python 3.12 to 3.14, where they can be had
	@command -v mmdebstrap >/dev/null || $(call apt-install,mmdebstrap) || true
	@$(BIN)/python -m tools.pythons --uv $(UV) $(ARGS)

systemd: $(DEV) ## Boot the systemd unit in a container and check it, its reload, upgrade and key rotation
	@command -v mmdebstrap >/dev/null && command -v systemd-nspawn >/dev/null || \
	    $(call apt-install,mmdebstrap systemd-container)
	@$(BIN)/python -m pytest -p no:xdist -o faulthandler_timeout=0 tests/systemd/unit.py $(ARGS)

coverage: $(DEV) programs helm ## Run the tests and measure what they cover, in twice the time
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m $(PYTEST)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

check: $(DEV) ## Run the linters, the type checker and the checks of generated files
	$(call heading,ruff check)
	@$(BIN)/ruff check
	$(call heading,ruff format)
	@$(BIN)/ruff format --check
	$(call heading,mypy)
	@$(BIN)/mypy
	$(call heading,import-linter)
	@$(BIN)/lint-imports
	$(call heading,generated files)
	$(call same,docs/metrics.md)
	$(call same,docs/settings.md)
	$(call same,docs/recovery.md)
	$(call same,docs/doctor.md)
	$(call same,docs/commands.md)
	$(call same,docs/vergewatch.1)
	$(call same,docs/openapi.json)
	@echo "up to date"
	$(call heading,rules)
	$(call sound-rules)
	$(call heading,deployment files)
	@bash -n .ci/run
	@sh -n deploy/apt-install
	@sh -n deploy/systemd/vergewatch
	@sh -n deploy/fetch-promtool-3
	@$(BIN)/python -c "$$READ_YAML" $(YAML)
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec deploy/compose/compose.yaml
	@if command -v promtool >/dev/null; then \
	    promtool check config --syntax-only deploy/compose/prometheus.yml >/dev/null; fi
	@if command -v systemd-analyze >/dev/null; then $(verify-unit); fi
	@echo "sound"

bench: $(DEV) ## Run the benchmark and compare the numbers with their bars
	@$(BIN)/python -m tests.bench $(ARGS)

siege: $(DEV) ## Attack the web server of a daemon and print what holds
	@$(BIN)/python -m tests.siege $(ARGS)

chaos: $(DEV) ## Play random faults and partitions against three replicas and PostgreSQL; ARGS="--rounds 200"
	@$(BIN)/python -m tests.chaos $(ARGS)

upgrade: $(DEV) ## Upgrade the daemon of an earlier commit, and replicas of it; ARGS="--from COMMIT"
	@$(BIN)/python -m tests.upgrade $(ARGS)

fuzz: $(DEV) ## Test recovery with thousands of random scenarios, other ones each time
	@$(BIN)/python -m tests.recovery.fuzz $(ARGS)

fuzz-answers: $(DEV) ## Decode 100,000 answers of VergeOS in which one value was replaced
	@$(BIN)/python -m tests.vergeos.mutated_answers $(ARGS)

replay: $(DEV) ## Simulate a month of recovery and print the results
	@$(BIN)/python -m tests.recovery.replay $(ARGS)

noise: $(DEV) ## Crash VMs among ordinary log rows and compare the starts with their bars
	@$(BIN)/python -m tests.recovery.noise $(ARGS)

mutants: $(DEV) ## Mutate recovery and the alert rules: a test must fail for each change
	@$(BIN)/python -m tests.mutation $(ARGS)

kubernetes: $(DEV) helm ## Apply the Helm chart to a real API server, which is built first; needs Go
	@$(BIN)/python -m tests.kubernetes $(ARGS)

dashboards: $(DEV) ## Write the Grafana dashboards into dashboards/
	@$(BIN)/python -m tools.dashboards dashboards

previews: $(DEV) tools/preview/web/node_modules ## Draw the dashboards; needs npm, Chromium and PROMETHEUS=URL
	@$(BIN)/python -m tools.preview dashboards/*.json --prometheus $(PROMETHEUS) $(ARGS)

static: $(DEV) ## Fetch the vendored files of the console again; needs npm
	@$(BIN)/python -m tools.vendored

docs: $(RUNTIME) ## Write the generated parts of docs/ and alerts/
	@$(BIN)/python -m tools.alert_rules .
	@for page in docs/metrics.md docs/settings.md docs/recovery.md docs/doctor.md docs/openapi.json \
	        docs/commands.md docs/vergewatch.1; do \
	    $(BIN)/vergewatch docs $$page > $$page.new && mv $$page.new $$page || exit; done

# BASE names another base image than the Dockerfile; BASE=debian makes one and needs no registry.
BASE ?=
image: PROGRAMS := buildah podman runc $(if $(filter debian,$(BASE)),mmdebstrap)
image: $(RUNTIME) programs ## Build the container image and test it
	@$(BIN)/python -m tests.image $(BASE)

release: $(BIN)/python ## Build sdist, wheel and SBOM into dist/ and check them; nothing is uploaded
	@$(PYTHON) -m venv --clear $(VENV)/release
	@$(VENV)/release/bin/python -m pip --quiet --disable-pip-version-check install $(RELEASE_TOOLS)
	@$(VENV)/release/bin/python -m pip --quiet --disable-pip-version-check install \
	    --require-hashes -r deploy/requirements-build.txt
	@$(VENV)/release/bin/python -m tools.release

# Locked versions stay while they fit; ARGS=--upgrade takes the newest.
lock: $(UV) ## Lock the dependencies in deploy/requirements*.txt
	@$(lock) pyproject.toml -o deploy/requirements.txt
	@$(lock) pyproject.toml --extra postgres -c deploy/requirements.txt \
	    -o deploy/requirements-postgres.txt
	@$(lock) pyproject.toml --extra postgres --group dev -c deploy/requirements-postgres.txt \
	    -o deploy/requirements-dev.txt
	@$(BIN)/python -c "$$BUILD_REQUIRES" | \
	    $(lock) - -c deploy/requirements-dev.txt -o deploy/requirements-build.txt

clean: ## Remove .venv and all other files that are not in the repository
	@rm -rf $(VENV) dist htmlcov .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache \
	    .ruff_cache .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +


# --- The environment ---

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "Python 3.11 or newer is needed; $(PYTHON) is older or missing: make PYTHON=python3.11 ..." >&2; \
	    exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || $(call apt-install,python3-venv) || { \
	    echo "$(PYTHON) has no ensurepip: install python3-venv, or pass another PYTHON=..." >&2; \
	    exit 1; }
	@echo "Setting up $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }

$(RUNTIME): $(LOCKED) pyproject.toml | $(BIN)/python
	@echo "Installing the runtime dependencies"
	@$(PIP) --require-hashes $(LOCKED:%=-r %)
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): deploy/requirements-dev.txt $(RUNTIME)
	@echo "Installing the test dependencies"
	@$(PIP) --require-hashes -r deploy/requirements-dev.txt
	@touch $@

$(UV): | $(BIN)/python
	@$(PYTHON) -m venv --clear $(VENV)/uv-$(UV_VERSION)
	@$(VENV)/uv-$(UV_VERSION)/bin/python -m pip --quiet --disable-pip-version-check \
	    install uv==$(UV_VERSION)

setup: $(DEV)

# The Debian packages have the names of their programs, but iproute2.
PROGRAMS := openssl prometheus prometheus-alertmanager chromium postgresql
programs:
	@missing=; for program in $(PROGRAMS); do \
	    command -v $$program || ls /usr/lib/$$program/*/bin/postgres || \
	        missing="$$missing $$program"; \
	done >/dev/null 2>&1; \
	command -v ip >/dev/null || missing="$$missing iproute2"; \
	test -z "$$missing" || $(call apt-install,$$missing) || \
	    { echo "Not installed:$$missing. The tests that need one will say so." >&2; test -z "$(CI)"; }

helm: $(DEV)
	@$(BIN)/python -m tools.helm || test -z "$(CI)"


# --- Details of verbs ---

apt-install = { test "$(INSTALL)" = yes && deploy/apt-install $(1); }

heading = @printf '\n== %s\n' '$(1)'

define same
	@page=$$($(BIN)/vergewatch docs $(1)) && { printf '%s\n' "$$page" | diff -u $(1) - || { \
	    echo "$(1) is out of date: run make docs" >&2; exit 1; }; }
endef

tools/preview/web/node_modules: tools/preview/web/package.json
	@cd tools/preview/web && npm install --ignore-scripts --legacy-peer-deps --no-package-lock \
	    --no-audit --no-fund && touch node_modules

define sound-rules
	@if command -v promtool >/dev/null; then \
	    promtool check rules --lint=all --lint-fatal alerts/*.rules.yml >/dev/null; fi
	@if command -v amtool >/dev/null; then \
	    amtool check-config alerts/alertmanager.yml >/dev/null; fi
	@echo "sound"
endef

# Templates are no YAML; tests/chart renders them.
YAML := $(shell find deploy alerts -path '*/templates' -prune -o \( -name '*.yml' -o -name '*.yaml' \) -print)
define READ_YAML
import sys, yaml
for name in sys.argv[1:]:
    with open(name, encoding="utf-8") as file:
        list(yaml.safe_load_all(file))
endef
export READ_YAML

define BUILD_REQUIRES
import tomllib
with open("pyproject.toml", "rb") as file:
    print(*tomllib.load(file)["build-system"]["requires"], sep="\n")
endef
export BUILD_REQUIRES

lock = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-header --no-annotate $(ARGS)

# The program is not installed at the path in the unit, so /bin/true replaces it.
define verify-unit
	unit=$$(mktemp -d) && trap 'rm -rf "$$unit"' EXIT && \
	sed "s|/opt/vergewatch/bin/vergewatch|/bin/true|" deploy/systemd/vergewatch.service \
	    > "$$unit/vergewatch.service" && \
	systemd-analyze verify --man=no "$$unit/vergewatch.service"
endef
