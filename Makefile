# mppi_zoo: `make help` lists the targets.
#
# Another build of torch (CUDA, or CPU only): name it and, where needed, the index that has it, by
# pip's own settings, e.g. `make venv TORCH=torch==2.12.1 PIP_EXTRA_INDEX_URL=<index with CUDA builds>`.
# Other versions altogether: `make venv CONSTRAINTS=my-constraints.txt TORCH=torch`.

PYTHON ?= python3
CONSTRAINTS ?= constraints.txt
TORCH ?= torch==2.13.0

TASK ?= dmc:walker-walk
STEPS ?= 15000
SMOKE_STEPS ?= 1200
# Shorter phases than a run's, so that a minute sees all of them.
SMOKE_ARGS := --param seed_steps=500 --param eval_every=600 --param eval_episodes=2
SEED ?= 1
OUT ?=
GIN ?= gin/tdmpc2_equiv.gin
SCALE ?= gin/scale/laptop.gin
ARGS ?=

RUNS ?= baselines/results/laptop
AGENTS ?=

WORKERS ?= auto
PYTEST_ARGS ?=
BENCH ?= $(sort $(wildcard benchmarks/bench_*.py))

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.mppi_zoo-installed
PIP := $(PY) -m pip --disable-pip-version-check

# One thread per test worker: the networks are small, and workers that each start a thread per
# core slow one another down many times over.
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

# A choice made on the command line counts even when nothing changed on disk.
ifneq ($(filter command line,$(foreach v,TORCH CONSTRAINTS PYTHON,$(origin $(v)))),)
.PHONY: $(STAMP)
endif

define CHECK_PYTHON
import sys
have = sys.version.split()[0]
if not (3, 10) <= sys.version_info[:2] < (3, 14):
    sys.exit("mppi_zoo needs Python 3.10 to 3.13, but '%s' is Python %s; name another one: "
             "make venv PYTHON=python3.12" % (sys.argv[1], have))
try:
    import ensurepip, venv
except ImportError:
    sys.exit("'%s' (Python %s) cannot make virtual environments, since its venv or ensurepip module "
             "is missing; on Debian and Ubuntu: sudo apt install python3-venv (or python%d.%d-venv)"
             % (sys.argv[1], have, sys.version_info[0], sys.version_info[1]))
endef
export CHECK_PYTHON

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 10
	@echo "Variables: TASK STEPS SEED OUT GIN SCALE ARGS (run, smoke), SMOKE_STEPS (smoke),"
	@echo "           PYTHON TORCH CONSTRAINTS (venv), WORKERS PYTEST_ARGS (test), BENCH (bench),"
	@echo "           RUNS (report), AGENTS (agents)"

.PHONY: venv
venv: $(STAMP) ## create .venv and install the package with its development tools

# The constraint on torch gives way to TORCH; the rest of the file stays as it is.
$(STAMP): pyproject.toml setup.py $(CONSTRAINTS)
	@if ! $(PY) -m pip --version >/dev/null 2>&1; then \
	  command -v "$(PYTHON)" >/dev/null || { \
	    echo "No '$(PYTHON)' was found; mppi_zoo needs Python 3.10 to 3.13: make venv PYTHON=/path/to/python3" >&2; \
	    exit 1; }; \
	  "$(PYTHON)" -c "$$CHECK_PYTHON" "$(PYTHON)"; \
	  echo "Creating $(VENV) with $$("$(PYTHON)" --version)"; \
	  "$(PYTHON)" -m venv $(VENV); \
	fi
	@$(PY) -c "$$CHECK_PYTHON" $(PY)
	@{ grep -v '^torch==' $(CONSTRAINTS) || true; echo '$(TORCH)'; } > $(VENV)/constraints.txt
	$(PIP) install -c $(VENV)/constraints.txt '$(TORCH)' -e '.[dev]'
	@if $(PY) -c 'import sys; sys.exit(sys.version_info < (3, 13))'; then \
	  echo "Python 3.13: dm_control without labmaze, which has no wheel for it (see pyproject.toml)"; \
	  $(PIP) install -c $(VENV)/constraints.txt --no-deps dm_control; \
	fi
	@touch $@

TRAIN = $(PY) -m mppi_zoo.run --gin $(GIN) --gin $(SCALE) --task $(TASK) --seed $(SEED)

.PHONY: run
run: venv ## train on TASK (dmc:walker-walk) at laptop scale
	$(TRAIN) --steps $(STEPS) $(if $(OUT),--out $(OUT)) $(ARGS)

.PHONY: smoke
smoke: SMOKE_OUT = $(or $(OUT),runs/smoke)
smoke: venv ## the same training, about a minute of it
	$(if $(OUT),,@rm -rf runs/smoke)
	$(TRAIN) --steps $(SMOKE_STEPS) --out $(SMOKE_OUT) $(SMOKE_ARGS) $(ARGS)

.PHONY: analysis
analysis: report notebooks ## report on the committed results, and all notebooks executed

.PHONY: report
report: venv ## report on RUNS (the committed results) in report/index.html
	$(PY) -m mppi_zoo.report $(RUNS) --out report

.PHONY: agents
agents: VERSION = $(shell $(PY) -c 'from mppi_zoo.core.version import VERSION; print(VERSION)')
agents: venv ## pack the agents of AGENTS (finished run folders) into dist/mppi_zoo-agents-VERSION.tar.gz
	@if [ -z "$(AGENTS)" ]; then echo 'name finished run folders: make agents AGENTS="runs/a runs/b"' >&2; exit 2; fi
	$(PY) -m mppi_zoo.share bundle $(AGENTS) --out dist/mppi_zoo-agents-$(VERSION).tar.gz

.PHONY: notebooks
notebooks: venv ## execute the notebooks in place
	$(ONE_THREAD) $(PY) notebooks/execute.py

.PHONY: docs
docs: $(VENV)/.docs-installed ## the documentation site, in site/index.html; warnings are errors
	$(PY) docs/site_pages.py

$(VENV)/.docs-installed: $(STAMP)
	$(PIP) install -c $(VENV)/constraints.txt -e '.[docs]'
	@touch $@

.PHONY: test
# The types are checked beside the tests, since either leaves a core idle at times.
test: venv ## format check, lint, types and all tests
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	@$(PY) -m pyright >$(VENV)/pyright.log 2>&1 & types=$$!; code=0; \
	$(ONE_THREAD) $(PY) -m pytest -n $(WORKERS) --maxprocesses 8 --dist worksteal $(PYTEST_ARGS) \
	  || code=$$?; \
	wait $$types || { code=1; echo "pyright found errors:"; }; \
	cat $(VENV)/pyright.log; exit $$code

.PHONY: mutations
mutations: venv ## seed single-line faults and check that a named test kills each
	$(ONE_THREAD) $(PY) tests/mutations/run.py

.PHONY: fuzz
fuzz: FUZZ_ARGS ?= --inputs 800 --flips 150 --seconds 100
fuzz: venv ## feed the package faulty inputs, two minutes of them; FUZZ_ARGS= for thousands
	$(ONE_THREAD) $(PY) tests/system/fuzz.py $(FUZZ_ARGS)

.PHONY: soak
soak: SOAK_ARGS ?= --kills 14 --steps 200 --eval-every 40
soak: venv ## kill a short training again and again, and compare it with an undisturbed one
	@$(MAKE) --no-print-directory -j 2 --output-sync=target SOAK_ARGS='$(SOAK_ARGS)' soak-1 soak-4

# with so many environments; one evaluates beside its training, the undisturbed run never does
.PHONY: soak-1 soak-4
soak-1 soak-4: soak-%: venv
	$(ONE_THREAD) $(PY) tests/system/soak/soak.py --num-envs $* $(if $(filter 1,$*),--beside) $(SOAK_ARGS)

.PHONY: matrix
matrix: venv ## by hand: every member trains and resumes exactly on dm_control and Gymnasium
	$(ONE_THREAD) $(PY) -m pytest -n $(WORKERS) --dist worksteal tests/system/matrix.py

.PHONY: soakstudy
soakstudy: STUDY_ARGS ?= --kills 12 --steps 40 --num-envs 4 --async-envs
soakstudy: venv ## by hand: the same for a whole study, whose every process is killed
	$(ONE_THREAD) $(PY) tests/system/soak/study_soak.py $(STUDY_ARGS)

# 77: this machine cannot have a Slurm (no root, no apt-get), which is no fault; a message says so.
.PHONY: slurm
slurm: venv ## studies on a real Slurm, set up for them on this machine (root on Debian)
	@$(ONE_THREAD) $(PY) tests/system/slurm/cluster.py run -- $(abspath $(PY)) -m pytest tests/system/slurm \
	  --durations=5 $(PYTEST_ARGS) \
	  || { code=$$?; [ $$code = 77 ] && echo "skipped: tests of studies on Slurm" || exit $$code; }

.PHONY: lint
lint: venv ## format check, lint and types only
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m pyright

.PHONY: format
format: venv ## rewrite the sources in the house format
	$(PY) -m ruff check --fix-only --exit-zero .
	$(PY) -m ruff format .

.PHONY: bench
bench: venv ## run the benchmarks (benchmarks/bench_*.py)
	@if [ -z "$(BENCH)" ]; then echo "No benchmarks/bench_*.py to run" >&2; exit 1; fi
	@for script in $(BENCH); do \
	  echo "== $$script"; $(PY) -m benchmarks.$$(basename $$script .py); \
	done

.PHONY: clean
clean: ## remove what tools left behind; keeps .venv and runs/
	rm -rf build dist site .cache *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +
