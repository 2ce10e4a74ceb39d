# Verbs only: what is built from what stands in build.mk, what runs where in tools/.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.PHONY: help
help: ## list the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-20s %s\n", $$1, $$2}'

include build.mk
