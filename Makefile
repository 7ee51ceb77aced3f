# Every target sets up the environment first: a fresh clone needs only Python 3.11 or newer with pip.
#   make run ARGS='--data churn.csv --target Churn'     pass options
#   make test PYTHON=python3.13                          choose a Python
.DEFAULT_GOAL := help
.PHONY: help run test coverage check docs lab serve bench constraints readme clean
unexport PYTHONDONTWRITEBYTECODE
SHELL := /bin/sh
ARGS ?=
comma := ,
BIN := .venv/bin

# Setup is complete when the marker file of these requirements exists; editing a notebook or a module does not repeat it.
READY := .venv/.ready-$(shell { cat requirements-dev.txt setup.py; sed '/^\[mlnb\]/q' settings.ini; } | cksum | tr ' \t' '--')
ifneq ($(origin PYTHON),undefined)
  # PYTHON was given: rebuild an environment of another version.
  ifneq ($(shell $(PYTHON) -V 2>/dev/null),$(shell $(BIN)/python -V 2>/dev/null))
    .PHONY: $(READY)
  endif
endif
ifeq ($(wildcard $(BIN)/python),)
  .PHONY: $(READY)
endif

# The tools of the documentation site have an environment that no test needs.
DOCS_READY := .venv-docs/.ready-$(shell cat requirements-docs.txt 2>/dev/null | cksum | tr ' \t' '--')

help:  ## list the targets
	@echo 'make <target> [ARGS="..."] [PYTHON=python3.12]'; echo
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1	\2/p' $(MAKEFILE_LIST) | expand -t 16

run: $(READY)  ## run the pipeline on an example data set, or yours: ARGS="--data F --target T"
	@$(BIN)/mlnb run $(ARGS)

test: $(READY)  ## run the notebooks' cells, then pytest
	$(BIN)/python scripts/notebook_tests.py
	$(BIN)/python -m pytest -n 4 $(ARGS)

coverage: $(READY)  ## run pytest with coverage measured; fails below the floor
	@$(BIN)/python scripts/measure_coverage.py $(ARGS)

check: $(READY)  ## run linters, type checks, import rules and checks of generated files
	@$(BIN)/python scripts/check.py $(ARGS)

docs: $(READY) $(DOCS_READY)  ## build the documentation site in _docs; ARGS=--fast executes no notebook
	@$(BIN)/python scripts/docs.py $(ARGS)

lab: $(READY)  ## open the notebooks in JupyterLab
	@$(BIN)/mlnb lab $(ARGS)

serve: $(READY)  ## serve predictions of the latest run over HTTP
	@$(BIN)/mlnb serve $(ARGS)

bench: $(READY)  ## run the benchmarks with a target and print their table (ARGS=--every: run all)
	@$(BIN)/python benchmarks/all.py $(ARGS)

constraints: $(READY)  ## resolve all versions from settings.ini (ARGS=--upgrade: newest versions)
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python scripts/constraints.py $(ARGS)

readme: $(READY)  ## write README.md from nbs/index.ipynb
	@$(BIN)/python scripts/readme.py

clean:  ## delete generated files except runs and the artifact store
	rm -rf .venv .venv-docs build dist _docs _proc *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find mlnb tests scripts benchmarks bentos nbs -name __pycache__ -type d -prune -exec rm -rf {} +
	find nbs -name .ipynb_checkpoints -type d -prune -exec rm -rf {} +

$(READY):
	@base=$$($(BIN)/python -c 'import sys; print(sys._base_executable)' 2>/dev/null); \
	for python in $(if $(filter-out undefined,$(origin PYTHON)),'$(PYTHON)',"$$base" python3.12 python3.11 python3.13 python3 python); do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    exec "$$python" scripts/environment.py --stamp $@; \
	  fi; \
	done; \
	echo 'No Python 3.11 or newer found$(if $(PYTHON),$(comma) $(PYTHON) is not one): install one, or set its path: make PYTHON=/path/to/python3.12' >&2; exit 2

$(DOCS_READY): | $(READY)
	@rm -rf .venv-docs
	@$(BIN)/python -m venv .venv-docs
	@.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-docs.txt
	@touch $@
