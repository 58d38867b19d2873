# A thin layer over the CMake presets. `make help` lists the targets.
PRESET ?= release
.PHONY: help deps build test format lint clean

help:
	@printf '%s\n' 'make test    install what is missing, build, and run every test' \
	  'make build   build only' 'make lint    formatting, style and clang-tidy' \
	  'make format  reformat the sources'

deps:
	@tools/install-deps

build: deps
	cmake --preset $(PRESET)
	cmake --build --preset $(PRESET)

test: build
	ctest --preset $(PRESET) --no-tests=error

format:
	tools/format --fix

lint: build
	tools/format --check
	tools/lint build/$(PRESET)

clean:
	rm -rf build
