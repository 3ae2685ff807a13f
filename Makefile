# Every target sets up its own environment: python3 with pip is all that must be there.
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test soak bench lint clean
.DEFAULT_GOAL := demo

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || python3 -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: $(READY)  ## render, train source-only and adapted, evaluate, register, report
	$(BIN)/sim2pose demo

test: $(READY)  ## the whole fast suite
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

soak: $(READY)  ## long fault-injection and endurance runs
	$(BIN)/python -m pytest -m soak --timeout 3600

bench: $(READY)  ## speed as ratios against named baselines of the same run
	$(BIN)/sim2pose bench render
	$(BIN)/sim2pose bench ingest
	$(BIN)/sim2pose bench train
	$(BIN)/sim2pose bench fit

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .mypy_cache
