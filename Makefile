# Thin verbs; what they do is in infra/local, and CI calls the same ones.
# `make up PROFILE=release` runs the release build instead of the debug one.

PROFILE ?= dev
CARGO   ?= cargo
BUILT   := $(if $(filter dev,$(PROFILE)),debug,$(PROFILE))
LOCAL   := target/$(BUILT)/local
# Test programs beside each other, and tests beside each other in one program.
PROGRAMS ?= 2
THREADS ?= 2
# What is tested and linted beside the defaults: keys in a hardware module, on SoftHSM.
ALL     := --features seal/pkcs11
FUZZ_SECONDS ?= 60

.DEFAULT_GOAL := help
.PHONY: help setup build demo test up status logs down backup restore clean bench profile chaos fuzz fmt lint doc deny

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-8s %s\n", $$1, $$2 }'

setup: ## Install what is missing: Debian packages, Kafka, Python and Node clients
	@infra/local/setup.sh

build: setup ## Build everything
	$(CARGO) build --workspace --profile $(PROFILE)

demo: build ## Start the stack and tell the whole story step by step
	@$(LOCAL) demo

test: setup ## Run all tests, the black-box ones against real Kafka, PostgreSQL and stock clients
	@echo "test   1/2 building the services that the black-box tests start"
	@$(CARGO) build --workspace $(ALL)
	@echo "test   2/2 all tests; the black-box ones come first, start brokers and take minutes"
	@CARGO="$(CARGO)" PROGRAMS=$(PROGRAMS) THREADS=$(THREADS) infra/local/test.sh $(ALL)

up: build ## Start a stack with sample companies and data in it, and write local/hub.env
	@$(LOCAL) up

status: $(LOCAL) ## Show what runs and where
	@$(LOCAL) status

logs: $(LOCAL) ## Show the logs' last lines (make logs SERVICE=hub FOLLOW=1)
	@$(LOCAL) logs $(SERVICE) $(if $(FOLLOW),--follow)

down: $(LOCAL) ## Stop the stack; its data stays
	@$(LOCAL) down

backup: $(LOCAL) ## Back the databases up while they are in use (make backup TO=file)
	@$(LOCAL) backup $(if $(TO),--out $(TO))

restore: $(LOCAL) ## Stop the stack and put a backup back (make restore FROM=file); then `make up`
	@$(LOCAL) restore --from $(FROM)

clean: $(LOCAL) ## Stop the stack and remove its data and logs; downloads and the build stay
	@$(LOCAL) clean

bench: setup ## Measure the hub, the intake and the history beside their limits (docs/benchmarks.md)
	$(CARGO) build --workspace --release
	target/release/bench

profile: ## Draw where the hub's time goes while it opens records (local/profile.svg)
	@infra/local/setup.sh profile
	$(CARGO) build --workspace --release
	@tests/bench/profile.sh

FAULTS ?= 1000
chaos: ## Make FAULTS faults on the whole stack and judge every delivered byte (SEED=n repeats; docs/how-to/chaos.md)
	@infra/local/setup.sh >&2
	@$(CARGO) build --workspace --profile $(PROFILE)
	@target/$(BUILT)/chaos --faults $(FAULTS) $(if $(SEED),--seed $(SEED)) $(if $(JSON),--json)

fuzz: ## Fuzz every decoder for FUZZ_SECONDS each (libs/*/fuzz/README.md)
	@infra/local/fuzz.sh $(FUZZ_SECONDS)

fmt: ## Format the code
	$(CARGO) fmt --all

lint: setup ## Check formatting and lints; warnings are errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace $(ALL) --all-targets -- -D warnings

doc: setup ## Build the code's documentation (target/doc)
	$(CARGO) doc --workspace --no-deps

deny: setup ## Check licences, sources and known vulnerabilities of the dependencies (ADVISORIES=no: not the last)
	@command -v cargo-deny >/dev/null || $(CARGO) install --locked cargo-deny
	@$(CARGO) deny $(ALL) check --hide-inclusion-graph licenses bans sources
ifneq ($(ADVISORIES),no)
	@$(CARGO) deny fetch db || { echo "deny   advisories could not be looked up: no database. ADVISORIES=no leaves them out"; exit 1; }
	@$(CARGO) deny --offline $(ALL) check advisories
endif

$(LOCAL):
	@infra/local/setup.sh
	$(CARGO) build --profile $(PROFILE) -p local
