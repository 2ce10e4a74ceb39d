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

.PHONY: packages test check-mutants install-debug check-land check-unit-suite check-regress check-isolation check-tap
packages: ## install what is missing of tools/packages
	@tools/install-packages

install-debug:
	@$(MAKE) -s -j2 all FLAVOUR=debug
	@$(AS_ROOT) $(MAKE) -s install FLAVOUR=debug

check-land: ## the quick gate before landing: the fast rules, build, unit, regress
	@tools/lint format columns layers_c layers_sql unfinished spdx function_length file_length tests_are_run
	@$(MAKE) -s install-debug
	@$(RUN) unit regress

test: packages ## every test; closes with N passed, N failed
	@[ -d "$${GOLDENARCH_TEST_DATA:-../shared/data}" ] || echo "no public test data (GOLDENARCH_TEST_DATA)"
	@$(MAKE) -s install-debug
	@status=0; $(RUN) unit regress isolation tap conformance docs || status=1; \
	  $(AS_ROOT) $(MAKE) -s install FLAVOUR=release >/dev/null || status=1; exit $$status

check-mutants: install-debug ## take each cure out, demand a red test; ONLY=NN picks
	@tools/mutants $(ONLY)

check-regress: install-debug ## regress tests; ONLY=01_stem picks
	@$(RUN) regress $(PICK)

check-isolation: install-debug ## isolation tests; ONLY=stem picks
	@$(RUN) isolation $(PICK)

.PHONY: check-conformance
check-conformance: install-debug ## the public JSON Schema suite (GOLDENARCH_TEST_DATA), counts a file
	@test/conformance/run

check-tap: install-debug ## tests with real NATS, Redis and runsc; ONLY=01_stem picks
	@$(RUN) tap $(PICK)

.PHONY: bench chaos chaos-audit
bench: ## figures against peers and floors, with their goals; ONLY=10_jwt picks
	@$(MAKE) -s -j2 all FLAVOUR=release
	@$(AS_ROOT) $(MAKE) -s install FLAVOUR=release >/dev/null
	@test/bench/run $(ONLY)

chaos: chaos-audit ## every chaos script

chaos-audit: install-debug ## ROUNDS=100 stops under load, LEAVES=1000000: nothing acknowledged is lost
	@test/chaos/audit --rounds $(or $(ROUNDS),100) --leaves $(or $(LEAVES),1000000)

.PHONY: demo up down psql
demo: ## one agent task from token to completion, narrated, on a stack of its own
	@tools/stack run demo tools/demo

up: ## the private stack under .run, left running
	@tools/stack up

down: ## stop that stack, leave nothing
	@tools/stack down

psql: ## psql into that stack
	@. .run/env && psql

.PHONY: lint docs format
lint: ## every rule of the house; each fails the build
	@tools/lint

docs: install-debug ## docs/reference.md and docs/permissions.md from the catalog
	@tools/docs

format: ## clang-format what is C
	@git ls-files '*.c' '*.h' | xargs -r clang-format -i

print-%:
	$(info $($*))@:
