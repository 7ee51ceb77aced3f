# Every target does its own set-up: a fresh clone needs Python 3.11 or newer with pip, and nothing else.
#   make run ARGS='--data churn.csv --target Churn'     options are handed on
#   make test PYTHON=python3.13                          a Python of your choice
.DEFAULT_GOAL := help
.PHONY: help run test check lab serve bench constraints readme clean
unexport PYTHONDONTWRITEBYTECODE
SHELL := /bin/sh
ARGS ?=
comma := ,
BIN := .venv/bin

# The set-up is done when the stamp of these very requirements is there; editing a notebook or a module never repeats it.
READY := .venv/.ready-$(shell { cat constraints.txt setup.py; sed '/^\[mlnb\]/q' settings.ini; } | cksum | tr ' \t' '--')
ifneq ($(origin PYTHON),undefined)
  # A Python was asked for: an environment of another one is not what was meant.
  ifneq ($(shell $(PYTHON) -V 2>/dev/null),$(shell $(BIN)/python -V 2>/dev/null))
    .PHONY: $(READY)
  endif
endif
ifeq ($(wildcard $(BIN)/python),)
  .PHONY: $(READY)
endif

help:  ## say what can be made (this list)
	@echo 'make <target> [ARGS="..."] [PYTHON=python3.12]'; echo
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1	\2/p' $(MAKEFILE_LIST) | expand -t 16

run: $(READY)  ## run the pipeline on a real data set, or on yours: ARGS="--data F --target T"
	@$(BIN)/mlnb run $(ARGS)

test: $(READY)  ## run all tests: the notebooks' own cells, then pytest
	$(BIN)/nbdev_test --n_workers 2 --do_print
	$(BIN)/python -m pytest -n 2 $(ARGS)

check: $(READY)  ## lint, types, layers, notebooks, and everything made by a script in step with its source
	@$(BIN)/python scripts/check.py $(ARGS)

lab: $(READY)  ## open the notebooks in JupyterLab
	@$(BIN)/mlnb lab $(ARGS)

serve: $(READY)  ## answer predictions of the latest run over HTTP
	@$(BIN)/mlnb serve $(ARGS)

bench: $(READY)  ## measure: each benchmark prints what it compares
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file $(ARGS) || exit 1; done

constraints: $(READY)  ## resolve constraints.txt again from settings.ini (ARGS=--upgrade: the newest versions)
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python scripts/constraints.py $(ARGS)

readme: $(READY)  ## write README.md from nbs/index.ipynb
	@$(BIN)/python scripts/readme.py

clean:  ## delete what can be made again, runs and their store excepted
	rm -rf .venv build dist _docs _proc *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find mlnb tests scripts benchmarks bentos nbs -name __pycache__ -type d -prune -exec rm -rf {} +
	find nbs -name .ipynb_checkpoints -type d -prune -exec rm -rf {} +

$(READY):
	@base=$$($(BIN)/python -c 'import sys; print(sys._base_executable)' 2>/dev/null); \
	for python in $(if $(filter-out undefined,$(origin PYTHON)),'$(PYTHON)',"$$base" python3.12 python3.11 python3.13 python3 python); do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    exec "$$python" scripts/environment.py --stamp $@; \
	  fi; \
	done; \
	echo 'No Python 3.11 or newer found$(if $(PYTHON),$(comma) $(PYTHON) is none): install one, or name it: make PYTHON=/path/to/python3.12' >&2; exit 2
