# Short, and each line is one that you could type. `make test` is all that CI
# runs. Nothing here is needed to use Fanfare: go run ./cmd/fanfare.
.NOTPARALLEL:
.PHONY: help run test lint gen fresh tools bench microbench

help: ## Say what there is
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1	\2/p' Makefile

run: ## Start a server on 127.0.0.1:8080, its data in ./fanfare-data
	go run ./cmd/fanfare

test: tools fresh lint ## Check and test everything, as CI does
	npm test --silent --prefix sdk/js
	go -C bench test ./...
	go -C interop test ./...
	go test -race -timeout 15m ./...

lint: ## Formatting, types, go vet, staticcheck
	@unformatted=$$(gofmt -l bench broker cmd dashboard interop sdk) && test -z "$$unformatted" || { echo "run gofmt -w on:"; echo "$$unformatted"; exit 1; } >&2
	go vet ./...
	go -C bench vet ./...
	go -C interop vet ./...
	go tool -modfile=tools.mod staticcheck ./...
	sdk/js/node_modules/.bin/tsc -p dashboard

gen: ## Build what is generated from its sources
	go generate ./...
	npm run --silent --prefix sdk/js types

fresh: ## Prove that what is generated is what its sources make
	.ci/fresh

tools: ## Install what the tests need besides Go
	.ci/tools

bench: ## Measure Fanfare beside its peers, about an hour, into docs/benchmarks.md (ARGS=--quick: minutes)
	go -C bench run . $(ARGS)

microbench: ## Run the Go benchmarks
	go test -run '^$$' -bench . -benchmem ./...
