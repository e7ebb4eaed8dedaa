# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The project's commands. "make help" lists them; what takes more than a line is in tests/ and extensions/molecule/lab.

SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON_OF_VENV := .venv/bin/python
LAB := $(PYTHON_OF_VENV) extensions/molecule/lab

.PHONY: help demo demo-down test test-pythons test-receiver bench-receiver test-kernels test-boot-loaders check format build clean setup setup-lab

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-17s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: setup-lab ## see it work: one receiver, two senders with different kernels, in virtual machines on this computer
	@$(LAB) demo

demo-down: ## end the demo's machines
	@python3 extensions/molecule/lab down

test: setup-lab ## everything: lint, sanity, unit tests, a receiver in a container, senders and a receiver in virtual machines
	@$(PYTHON_OF_VENV) tests/run.py test

test-pythons: setup ## the unit tests under every Python of this machine from 3.7 to 3.13
	@$(PYTHON_OF_VENV) tests/run.py pythons

test-kernels: setup-lab ## senders on every kernel from 5.10 to the newest in Debian, in one network
	@$(PYTHON_OF_VENV) tests/run.py kernels

test-receiver: setup-lab ## what a receiver holds under load, with counts: kill -9, restart, rotation, full disk, 10,000 senders, outputs
	@$(PYTHON_OF_VENV) tests/run.py receiver

bench-receiver: setup-lab ## every collector measured, on a quiet machine: messages kept, processor time, memory (FLEET_NETCONSOLE_SCALE=20: a small try)
	@$(PYTHON_OF_VENV) tests/run.py bench

test-boot-loaders: setup-lab ## kernel parameters under every boot loader: real programs, machines that boot from their own disk, really rebooted
	@$(PYTHON_OF_VENV) tests/run.py boot_loaders

check: setup ## the fast part of it: lint, types, unit tests, the built collection and its documentation
	@$(PYTHON_OF_VENV) tests/run.py check

format: setup ## let the formatters put the Python code in order
	@env -u CI .venv/bin/nox -r -s formatters

build: setup ## the collection's tarball, in build/
	@.venv/bin/ansible-galaxy collection build --force --output-path build

clean: ## remove all that these commands made in this clone (the image cache in ~/.cache/fleet-netconsole stays)
	@if [ -e .lab ]; then python3 extensions/molecule/lab down; fi
	@rm -rf .ansible .cache .lab .lab-test .mypy_cache .nox .pytest_cache .ruff_cache .venv build
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup:
	@tests/setup.sh

setup-lab: setup
	@$(LAB) requirements --install
