# octavo: every command of the repository. `make` alone prints this list.

VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
PEER ?=
ARGS ?=
export PYTHON

.DEFAULT_GOAL := help
.PHONY: help try test check format format-check lint types walls docs sizes prove bench deps sbom lock models node sdk mcp-servers programs servers clean
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

help:  ## Print this list
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name text; do \
		printf '  make %-13s %s\n' "$$name" "$$text"; done

try: $(VENV)/.core  ## Install octavo into .venv and watch it mend a bug (no key, no network)
	@$(BIN)/octavo demo

test: $(VENV)/.dev node sdk mcp-servers  ## Run all tests (ARGS="-k name" for some)
	@$(PY) -m pytest $(PYTEST_WORKERS) $(ARGS)

check: format-check lint types walls docs sizes test  ## Format, lint, types, import walls, docs, tests

format: $(VENV)/.dev  ## Rewrite the code in its one format
	@$(BIN)/ruff format -q .
	@$(BIN)/ruff check -q --fix-only --select I .

format-check: $(VENV)/.dev
	@$(BIN)/ruff format --check -q --output-format concise . && echo "format: good" || { echo "format: run \`make format\`" >&2; exit 1; }

lint: $(VENV)/.dev  ## Lint
	@$(BIN)/ruff check -q --output-format concise . && echo "lint: good"

types: $(VENV)/.dev  ## Check types, strictly
	@$(BIN)/mypy

walls: $(VENV)/.dev  ## Check who may import whom
	@$(BIN)/lint-imports --no-logo --cache-dir .import_linter_cache

docs: $(VENV)/.dev  ## Check that links, commands and names in the documents hold
	@$(PY) tools/check_docs.py

sizes: $(VENV)/.dev  ## Print the longest files, and how many checks are waived
	@$(PY) tools/sizes.py

prove: $(VENV)/.dev node sdk mcp-servers  ## Run all tests with their full counts: every kill, every fuzz case (long)
	@OCTAVO_PROVE=1 $(PY) -m pytest $(PYTEST_WORKERS) $(ARGS)

bench: $(VENV)/.dev  ## Print the benchmarks (PEER=path/to/codex compares)
	@$(PY) bench/run.py $(if $(PEER),--peer $(PEER)) $(ARGS)

deps: $(VENV)/.core  ## Print what a core install pulls in, and what each part costs
	@$(PY) tools/deps.py

sbom: $(VENV)/.core  ## Write a CycloneDX bill of materials to dist/sbom.cdx.json
	@$(PY) tools/sbom.py

lock:  ## Choose the newest allowed versions again and write requirements/*.lock
	@$(MAKE) $(VENV)/.lock
	@$(PY) tools/lock.py

models: $(VENV)/.core  ## Write the model catalog that octavo reads from models.toml
	@$(PY) tools/models.py

node:  ## Fetch the official TypeScript SDK and MCP's inspector (skipped without npm)
	@if command -v node >/dev/null && command -v npm >/dev/null; then $(MAKE) .node/.done .inspector/.done; \
	else echo "node: no Node.js here; tests that need it are skipped"; fi

sdk: $(VENV)/.dev  ## Fetch the official Python SDK into .sdk
	@$(MAKE) .sdk/.done

mcp-servers: | $(PY)  ## Fetch MCP servers that others wrote into .mcp-servers
	@$(MAKE) .mcp-servers/.done
	@if command -v node >/dev/null && command -v npm >/dev/null; then $(MAKE) .mcp-servers/.node; \
	else echo "mcp-servers: no Node.js here; tests that need it are skipped"; fi

programs:  ## Install bubblewrap, sshd and gh with apt-get, as root (their tests are skipped without)
	@sh tools/install_programs.sh

servers: | $(PY)  ## Build llama.cpp's server for its tests (skipped where it cannot be; some 5 minutes)
	@sh tools/build_servers.sh $(PY)

clean:  ## Remove what was installed and built
	rm -rf $(VENV) .node .inspector .sdk .mcp-servers .servers dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# ---- Installing. Versions and hashes come from the locks; pip refuses anything else. ----

PIP := $(PY) -m pip --disable-pip-version-check -q install
PYTEST_WORKERS ?= -n 2

$(PY):
	@sh tools/make_venv.sh $(VENV)

# The build backend and pip itself, then the core, then octavo as a plain path (no import hooks).
$(VENV)/.core: requirements/build.lock requirements/core.lock pyproject.toml | $(PY)
	@echo "installing octavo into $(VENV)"
	@$(PIP) --require-hashes -r requirements/build.lock -r requirements/core.lock
	@$(PIP) --no-build-isolation --no-deps --no-index -e .
	@$(PY) -m pip uninstall -q -y setuptools  # its .pth would be read at every start
	@touch $@

$(VENV)/.dev: requirements/dev.lock requirements/mcp.lock $(VENV)/.core
	@echo "installing what the tests need"
	@$(PIP) --require-hashes -r requirements/dev.lock -r requirements/mcp.lock
	@touch $@

$(VENV)/.lock: requirements/lock.lock | $(PY)
	@$(PIP) --require-hashes -r requirements/lock.lock
	@touch $@

.node/.done: tests/conformance/package.json tests/conformance/package-lock.json
	@echo "fetching the official TypeScript SDK into .node"
	@mkdir -p .node && cp $^ .node/
	@npm ci --prefix .node --ignore-scripts --omit=optional --no-audit --no-fund --no-update-notifier --loglevel=error \
		&& touch $@ \
		|| echo "node: the SDK could not be fetched; tests that need it are skipped" >&2

# A folder of its own, as the two locks are resolved apart.
.inspector/.done: tests/conformance/inspector/package.json tests/conformance/inspector/package-lock.json
	@echo "fetching MCP's inspector into .inspector"
	@mkdir -p .inspector && cp $^ .inspector/
	@npm ci --prefix .inspector --ignore-scripts --omit=optional --no-audit --no-fund --no-update-notifier --loglevel=error \
		&& touch $@ \
		|| echo "node: the inspector could not be fetched; tests that need it are skipped" >&2

# A folder of its own: nothing of it is near what octavo imports.
.sdk/.done: requirements/sdk.lock | $(PY)
	@echo "fetching the official Python SDK into .sdk"
	@rm -rf .sdk && mkdir .sdk
	@$(PIP) --require-hashes --no-deps --target .sdk -r requirements/sdk.lock \
		&& touch $@ \
		|| echo "sdk: the SDK could not be fetched; tests that need it are skipped" >&2

# In folders of their own as well, next to nothing that octavo imports.
.mcp-servers/.done: requirements/mcp-servers.lock | $(PY)
	@echo "fetching MCP servers into .mcp-servers"
	@rm -rf .mcp-servers/python && mkdir -p .mcp-servers/python
	@$(PIP) --require-hashes --no-deps --target .mcp-servers/python -r requirements/mcp-servers.lock \
		&& touch $@ \
		|| echo "mcp-servers: they could not be fetched; tests that need them are skipped" >&2

.mcp-servers/.node: tests/mcp/real/package.json tests/mcp/real/package-lock.json
	@mkdir -p .mcp-servers/node && cp $^ .mcp-servers/node/
	@npm ci --prefix .mcp-servers/node --ignore-scripts --omit=optional --no-audit --no-fund \
		--no-update-notifier --loglevel=error && touch $@ \
		|| echo "mcp-servers: they could not be fetched; tests that need them are skipped" >&2
