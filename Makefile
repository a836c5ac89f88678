# make demo    one synthetic study through the whole pipeline, into out/demo (Rust, Python 3.11+, a C++ compiler and make are enough)
# make test    every test, with its own set-up
# make test-slicer    the 3D Slicer extension on Slicer's core (1.3 GB, Python 3.11 on x86-64 Linux)
# make test-memory    the C and C++ tests under valgrind (minutes)
# make lint    formatting and lints
# make bench   what the library costs beside the model
# make install PREFIX=/usr/local [DESTDIR=] [LIBDIR=lib]    the library, its headers, CMake and pkg-config files, the program

CARGO   ?= cargo
PYTHON  ?= python3
PROFILE ?= release
DEMO    ?= out/demo
# A patient that the demo model never saw.
SEED    ?= 7

# cargo's name of the profile and the folder it builds into differ for dev.
BUILT = target/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))

# The runtime's environment: ONNX Runtime, the phantom's few packages, and cmake for the JPEG-LS decoder's build. No PyTorch.
VENV        = $(CURDIR)/.venv
VENV_JUDGES = $(CURDIR)/.venv-judges
VENV_TRAIN  = $(CURDIR)/training/.venv
VENV_SLICER = $(CURDIR)/plugins/slicer/.venv
PIP         = -m pip install --quiet --disable-pip-version-check

export PATH := $(VENV)/bin:$(PATH)
export VIRTUAL_ENV := $(VENV)

PREFIX  ?= /usr/local
LIBDIR  ?= lib
# Which tests of tests/ctest: quick, "quick|full", memory.
LABELS  ?= quick
CTEST    = $(CURDIR)/out/ctest

.PHONY: demo test test-rust test-demo test-ctest test-memory test-training test-slicer lint setup build install clean bench

setup: $(VENV)/.done
build: setup
	$(CARGO) build --locked --profile $(PROFILE) --lib --bin seqseg

install: build
	BUILT='$(BUILT)' PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' LIBDIR='$(LIBDIR)' bindings/cpp/install.sh

$(VENV)/.done: training/pyproject.toml Makefile
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python $(PIP) onnxruntime==1.32.0 cmake==4.1.2
	$(VENV)/bin/python $(PIP) --editable training
	touch $@

$(VENV_JUDGES)/.done: tests/judges/requirements.txt
	$(PYTHON) -m venv $(VENV_JUDGES)
	$(VENV_JUDGES)/bin/python $(PIP) --requirement tests/judges/requirements.txt
	touch $@

$(VENV_TRAIN)/.done: training/pyproject.toml
	$(PYTHON) -m venv $(VENV_TRAIN)
	$(VENV_TRAIN)/bin/python $(PIP) --editable 'training[train,test]'
	touch $@

# The extension's panel on 3D Slicer's core. WHEEL, or one of the tests' build.
PYTHON_SLICER ?= python3.11
$(VENV_SLICER)/.done: plugins/slicer/Testing/requirements.txt
	$(PYTHON_SLICER) -m venv $(VENV_SLICER)
	$(VENV_SLICER)/bin/python $(PIP) --requirement $<
	touch $@

test-slicer: setup $(VENV_SLICER)/.done $(if $(WHEEL),,test-wheel)
	$(VENV_SLICER)/bin/python $(PIP) --no-deps --force-reinstall $(or $(WHEEL),out/python/wheel/*.whl)
	rm -rf out/slicer && mkdir -p out/slicer
	$(VENV)/bin/python -m seqseg_train.phantom --seed 7 --out out/slicer/phantom
	SEQSEG_PHANTOM=$(CURDIR)/out/slicer/phantom $(VENV_SLICER)/bin/python -m pytest --quiet -rs plugins/slicer/Testing

demo: build
	mkdir -p $(DEMO)
	$(VENV)/bin/python -m seqseg_train.phantom --seed $(SEED) --out $(DEMO)/study
	$(BUILT)/seqseg run --t1 $(DEMO)/study/T1 --t1c $(DEMO)/study/T1C --t2 $(DEMO)/study/T2 \
	    --bundle models/demo --device cpu --out $(DEMO)
	$(VENV)/bin/python -m seqseg_train.score --run $(DEMO) --truth $(DEMO)/study/truth.nii.gz

test: test-rust test-demo test-ctest test-training

test-rust: setup $(VENV_JUDGES)/.done
	SEQSEG_TEST_PYTHON=$(VENV_JUDGES)/bin/python $(CARGO) test --locked

# The demo, as a user types it, on the tests' build.
test-demo: setup
	$(MAKE) --no-print-directory demo PROFILE=dev DEMO=out/test-demo

# C and C++ against an installed tree, on the tests' build.
test-ctest: setup
	rm -rf $(CTEST)/installed
	$(MAKE) --no-print-directory install PROFILE=dev PREFIX=$(CTEST)/installed DESTDIR= LIBDIR=lib
	cmake -S tests/ctest -B $(CTEST)/build -DCMAKE_PREFIX_PATH=$(CTEST)/installed
	cmake --build $(CTEST)/build --parallel 2
	ctest --test-dir $(CTEST)/build --output-on-failure --label-regex '$(LABELS)'

test-memory:
	$(MAKE) --no-print-directory test-ctest LABELS=memory

test-training: $(VENV_TRAIN)/.done
	cd training && $(VENV_TRAIN)/bin/python -m pytest --quiet

# What the library costs beside the model; see benches/.
BUNDLE ?= models/demo
bench: setup
	$(CARGO) bench --locked --bench overhead -- $(BUNDLE)

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- --deny warnings

clean:
	rm -rf target out $(VENV) $(VENV_JUDGES) $(VENV_TRAIN) $(VENV_SLICER)
