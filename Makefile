# `make demo` and `make test` do everything on a fresh machine; the rest is for people who work on the code.
SHELL := /bin/sh
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PYTHONUNBUFFERED := 1

.PHONY: help setup demo test unit lint types check bench clean

help:            ## this list
	@sed -n 's/^\([a-z]*\): .*## /  make \1\t/p' Makefile | expand -t 18

setup:           ## environment, workerd and Pulumi engine; quick when they are there
	@command -v python3 >/dev/null || { echo "setup: python3 is needed (3.11 or newer)"; exit 1; }
	@python3 toolchain/setup.py

demo: setup      ## the story on this machine: switch, failed switch, rollback; KEEP=1 leaves it running
	@python -m emulator run --speed 12 -- python -m demo

test: setup      ## every test, real Pulumi engine and real workerd included
	@python -m pytest -n 2 --dist loadgroup

unit: setup      ## the quick tests only
	@python -m pytest -n 2 -m "not engine"

lint: setup      ## ruff
	@ruff check . && ruff format --check .

types: setup     ## mypy --strict
	@mypy

check: lint types test  ## what .ci/run calls

bench: setup     ## the numbers of the README, measured here
	@python -m benchmarks

clean:           ## forget what runs of the demo left
	@rm -rf .switchback
