# Every target makes the environment it needs in this directory; nothing is installed elsewhere.
PYTHON ?= python3
VENV := .venv
FLOOR := .venv-floor
BESIDE := .venv-trl
LIVE := .cache/live
GPU_PYTHON ?= $(if $(wildcard $(VENV)/.installed),$(VENV)/bin/python,$(PYTHON))
TEST := OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n auto --maxprocesses 4 --max-worker-restart 0 --dist loadfile
PIP := -m pip --disable-pip-version-check install -qq --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help quickstart test test-fast test-floor lint format clean bench bench-trl bench-gpu live record-payloads

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

quickstart: $(VENV)/.installed ## install, then distill a small memory and judge the result
	$(VENV)/bin/distill run recipes/quickstart.yaml

test: $(VENV)/.installed ## install, then run every test
	$(TEST)

test-fast: $(VENV)/.installed ## the tests that take no more than seconds
	$(TEST) -m "not slow"

test-floor: $(FLOOR)/.installed ## the tests of all that works without torch, in an environment without it
	$(FLOOR)/bin/python -m pytest -n auto --maxprocesses 4 --max-worker-restart 0 --dist loadfile -m "not torch"

bench: $(VENV)/.installed ## time planning, compiling, the guard and distillation (half an hour on a quiet machine)
	$(VENV)/bin/python -m tests.bench.planning
	$(VENV)/bin/python -m tests.bench.guard compile
	$(VENV)/bin/python -m tests.bench.guard latency
	for what in targets student growth; do OMP_NUM_THREADS=1 $(VENV)/bin/python -W ignore -m tests.bench.speed $$what || exit 1; done
	OMP_NUM_THREADS=1 $(VENV)/bin/python -W ignore -m tests.bench.fit
	$(MAKE) bench-trl

bench-trl: $(BESIDE)/.installed ## teacher targets and a whole distillation, beside TRL's trainer in an environment of its own
	for what in targets whole; do OMP_NUM_THREADS=1 $(BESIDE)/bin/python -W ignore -m tests.bench.against_trl $$what || exit 1; done

bench-gpu: ## an 8B model at 20k tokens of memory, beside the GPU's own rates, with the python that is found
	@$(GPU_PYTHON) -W ignore -m tests.bench.speed_gpu

live: $(VENV)/.installed ## install the pinned harnesses (minutes) and drive all of them through every case
	$(VENV)/bin/python -m harness_compile.verify.harnesses.install $(LIVE)
	HARNESS_LIVE=$(LIVE) $(VENV)/bin/python -m pytest -s --timeout 0 tests/live

record-payloads: $(VENV)/.installed ## record what the harnesses hand to the guard, and show what has changed
	$(VENV)/bin/python -m harness_compile.verify.harnesses.install $(LIVE)
	$(VENV)/bin/python -m tests.live.record $(LIVE)

lint: $(VENV)/.installed ## ruff and pyright
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/pyright --pythonpath $(VENV)/bin/python

format: $(VENV)/.installed ## write the layout that lint asks for
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

clean: ## remove the environments and the caches, keep the runs
	rm -rf $(VENV) $(FLOOR) $(BESIDE) .cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/.installed: pyproject.toml constraints.txt
	$(call make_env,$(VENV))
	$(VENV)/bin/python $(PIP) --editable '.[train,dev]'
	@touch $@

$(FLOOR)/.installed: pyproject.toml constraints.txt
	$(call make_env,$(FLOOR))
	$(FLOOR)/bin/python $(PIP) --editable . pytest pytest-timeout pytest-xdist hypothesis
	@! $(FLOOR)/bin/python -c 'import torch' 2>/dev/null || { echo "$(FLOOR) must not have torch: make clean" >&2; exit 1; }
	@touch $@

$(BESIDE)/.installed: pyproject.toml constraints.txt
	$(call make_env,$(BESIDE))
	$(BESIDE)/bin/python $(PIP) --editable '.[train]' trl==1.16.0
	@touch $@

# $(call make_env,DIR): an environment in DIR, or one sentence that says what is missing.
define make_env
@command -v '$(PYTHON)' >/dev/null || { echo "There is no $(PYTHON): install Python 3.11 or later, or say make PYTHON=/path/to/python." >&2; exit 1; }
@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than 3.11: say make PYTHON=python3.11, or install it." >&2; exit 1; }
@'$(PYTHON)' -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) has no venv module: install it (on Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; }
@echo "installing into $(1) (once; some minutes)"
@test -x $(1)/bin/python || '$(PYTHON)' -m venv $(1)
endef
