# Verbs only: what is built from what stands in build.mk, what runs where in tools/ and test/run.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.PHONY: help
help: ## list the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-20s %s\n", $$1, $$2}'

include build.mk

ONLY ?=
RUN   = test/run
PICK  = $(if $(ONLY),-- $(ONLY))
# Installing needs root unless the server's folders are ours.
AS_ROOT = $(if $(shell [ -w $(PG_LIBDIR) ] || echo no),sudo)

.PHONY: packages install-debug check-land check-unit-suite check-regress check-isolation check-tap
packages: ## install what is missing of tools/packages
	@tools/install-packages

install-debug:
	@$(MAKE) -s -j2 all FLAVOUR=debug
	@$(AS_ROOT) $(MAKE) -s install FLAVOUR=debug

check-land: ## the quick gate before landing: build, unit, regress
ifneq ($(and $(wildcard extension/*.c),$(wildcard sql/header.sql)),)
	@$(MAKE) -s install-debug
	@$(RUN) unit regress
else
	@echo "no extension to build yet"
	@$(RUN) unit
endif

check-regress: install-debug ## regress tests; ONLY=01_stem picks
	@$(RUN) regress $(PICK)

check-isolation: install-debug ## isolation tests; ONLY=stem picks
	@$(RUN) isolation $(PICK)

check-tap: install-debug ## tests with real NATS, Redis and runsc; ONLY=01_stem picks
	@$(RUN) tap $(PICK)

.PHONY: up down psql
up: ## the private stack under .run, left running
	@tools/stack up

down: ## stop that stack, leave nothing
	@tools/stack down

psql: ## psql into that stack
	@. .run/env && psql

.PHONY: lint format
lint: ## every rule of the house; each fails the build
	@tools/lint

format: ## clang-format what is C
	@git ls-files '*.c' '*.h' | xargs -r clang-format -i

print-%:
	$(info $($*))@:
