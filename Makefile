# The two commands of the README are `make train` and `make test`; each sets up .venv first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Where a Python with everything installed stands ready (a GPU machine's image, say): make test-gpu PY=python3
PY ?= $(BIN)/python
# How long make test-gpu and make bench-gpu may take; what is left is for the next call.
MINUTES ?= inf
# Which pieces of make bench-gpu (--list names them; all), and how many at a time, each with a GPU of its own.
PIECES ?=
LANES ?= 1
PLUGINS := $(sort $(dir $(wildcard plugins/*/pyproject.toml)))
STAMP := $(VENV)/.tritonrl-installed

export OMP_NUM_THREADS ?= 2
export TOKENIZERS_PARALLELISM ?= false

.PHONY: integrity integrity-gpu help setup train test check lint test-trainers test-gpu bench-gpu clean

help:
	@echo "make train     train the small model with every extension on (runs on a laptop)"
	@echo "make test      the tests (at most 10 minutes on 2 cores)"
	@echo "make check     linters, types, and the slow tests"
	@echo "make docs      the documentation as a site, in build/site"
	@echo "make setup     only set up .venv"
	@echo "make test-trainers  the adapters for verl and verifiers, against these packages"
	@echo "make test-gpu  the tests that need an NVIDIA GPU, file by file (MINUTES=9: call again to go on)"
	@echo "make bench-gpu the figures of docs/benchmarks.md, piece by piece (PIECES=a,b MINUTES=10 LANES=2; call again to go on)"

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt $(addsuffix pyproject.toml,$(PLUGINS))
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip -c constraints.txt
	$(BIN)/python -c "import torch" 2>/dev/null || $(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python -m pip install --quiet -c constraints.txt hatchling editables
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-build-isolation -e '.[dev,lora]' $(addprefix -e ./,$(PLUGINS))
	touch $@

train: setup
	$(BIN)/tritonrl train --preset all_extensions

test: setup
	$(BIN)/python -m pytest -m "not slow and not gpu" tests plugins

docs: setup
	DISABLE_MKDOCS_2_WARNING=true $(BIN)/mkdocs build --quiet --site-dir build/site

lint: setup
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint
	$(BIN)/python -m pytest -m "slow and not gpu" tests plugins

# Other trainers want other versions of what is in .venv: each gets an environment of its own (verifiers 0.6 GB; verl borrows
# torch from .venv).
OTHERS := build/other-trainers

test-trainers: setup
	test -x $(OTHERS)/verifiers/bin/python || $(PYTHON) -m venv $(OTHERS)/verifiers
	$(OTHERS)/verifiers/bin/python -m pip install --quiet verifiers==0.4.0
	test -x $(OTHERS)/verl/bin/python || $(PYTHON) -m venv $(OTHERS)/verl
	$(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" \
		> $$($(OTHERS)/verl/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/borrowed.pth
	$(OTHERS)/verl/bin/python -m pip install --quiet --no-deps verl==0.9.1 'tensordict<=0.10' codetiming hydra-core omegaconf \
		antlr4-python3-runtime==4.9.3 torchdata pylatexenc orjson cloudpickle pyvers importlib_metadata
	VERL_PYTHON=$(CURDIR)/$(OTHERS)/verl/bin/python VERIFIERS_PYTHON=$(CURDIR)/$(OTHERS)/verifiers/bin/python \
		$(BIN)/python -m pytest tests/serve/test_other_trainers.py

test-gpu:
	$(PY) benchmarks/gpu_tests.py --minutes $(MINUTES)

bench-gpu:
	$(PY) benchmarks/bench_gpu.py --pieces "$(PIECES)" --minutes $(MINUTES) --lanes $(LANES)

# The confusion matrix of docs/integrity.md: an hour or two on 2 cores; what stands in ROWS is not judged again. Cheats once,
# honest kernels with fresh inputs 20 times under all extensions and twice under each preset beside. In pieces: EACH=5 ends
# each of the three after so many minutes; the next `make` goes on.
ROWS ?= integrity.jsonl
BESIDE := baseline,multi_input_only,sandbox_only,staged_eval_only,calibrated_timing_only,fusion_data_only,curriculum_only
MATRIX = benchmarks/integrity.py run --device $(1) --rows $(ROWS) $(if $(EACH),--minutes $(EACH))

define matrix
	$(2) $(MATRIX) --presets all_extensions,$(BESIDE) --only cheats
	$(2) $(MATRIX) --presets all_extensions --only honest --runs 20
	$(2) $(MATRIX) --presets $(BESIDE) --only honest --runs 2
	$(2) benchmarks/integrity.py table --rows $(ROWS) --kinds
endef

integrity: setup
	$(call matrix,cpu,$(BIN)/python)

integrity-gpu:
	$(call matrix,cuda,$(PY))

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
