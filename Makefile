# make demo            one synthetic study through the whole pipeline, into out/demo
# make test            the tests of every change, with their own set-up
#
# Both need Rust, Python 3.11 or later, a C++ compiler and make.
#
# make lint            formatting, lints, documentation links, minimum versions
# make format          lay out the Rust, Python, C and C++ sources
# make docs            the documentation site, into out/site
# make build           the library and the program
# make install         PREFIX=/usr/local [DESTDIR=] [LIBDIR=lib]: library, headers, CMake and
#                      pkg-config files, program
# make wheel           the Python package, into dist (manylinux_2_28: linked with zig)
#
# Tests that take longer, or that need more than is installed by default:
# make test-orientation    one patient in every storage order, form and tilt (minutes)
# make test-memory     C and C++ under valgrind, the C ABI's Rust tests under AddressSanitizer
# make test-slicer     the 3D Slicer extension on Slicer's core (1.4 GB, Python 3.11, x86-64 Linux)
# make test-cancel     BUNDLE=DIR: how long a cancel takes with that model
# make judges          structure sets before more third-party software (an archive, dcmjs,
#                      dcmrtstruct2nii)
# make fuzz            TARGET=dicom SECONDS=60: one reader against forged files (fuzz/README.md)
# make abi-check       the header against the committed baseline; make abi-baseline writes it
# make bench           what the library costs beside the model [BUNDLE= REPEATS= THREADS=]
# make bench-paper     the same with networks of the paper's size (untrained; made by PyTorch)
# make footprint       the size of an installed wheel, beside other packages' download sizes

CARGO   ?= cargo
PYTHON  ?= python3
PROFILE ?= release
DEMO    ?= out/demo
# A patient that the demo model never saw.
SEED    ?= 7

# cargo's name of the profile and the folder it builds into differ for dev.
BUILT = target/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))

# The runtime's environment: ONNX Runtime, the phantom's few packages, and cmake for the JPEG-LS
# decoder's build. No PyTorch.
VENV        = $(CURDIR)/.venv
VENV_JUDGES = $(CURDIR)/.venv-judges
VENV_TRAIN  = $(CURDIR)/training/.venv
VENV_PYTHON = $(CURDIR)/bindings/python/.venv
VENV_WHEEL  = $(CURDIR)/bindings/python/.venv-wheel
VENV_SLICER = $(CURDIR)/plugins/slicer/.venv
VENV_LINT   = $(CURDIR)/.venv-lint
VENV_DOCS   = $(CURDIR)/.venv-docs
PIP         = -m pip install --quiet --disable-pip-version-check

export PATH := $(VENV)/bin:$(PATH)
export VIRTUAL_ENV := $(VENV)

PREFIX  ?= /usr/local
LIBDIR  ?= lib
# Which tests of tests/ctest: quick, "quick|full", memory.
LABELS  ?= quick
CTEST    = $(CURDIR)/out/ctest

# The wheel that the Python tests run on; by default one of the tests' build.
WHEEL   ?=
# The wheel's target; zig brings this glibc's symbols.
TRIPLE   = $(shell uname -m)-unknown-linux-gnu
GLIBC    = 2.28
WHEELS   = --quiet --no-deps --no-build-isolation

.PHONY: demo test lint format docs setup build install clean \
    test-rust test-demo build-ctest test-ctest test-wheel test-python test-training \
    test-orientation test-memory test-asan test-cancel test-slicer judges fuzz \
    abi-check abi-baseline bench bench-paper wheel footprint

setup: $(VENV)/.done
build: setup
	$(CARGO) build --locked --profile $(PROFILE) --lib --bin nasoseg

install: build
	BUILT='$(BUILT)' PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' LIBDIR='$(LIBDIR)' bindings/cpp/install.sh

TOO_OLD = "$(PYTHON) is too old: Python 3.11 or later is required; set PYTHON="
$(VENV)/.done: training/pyproject.toml Makefile
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and $(TOO_OLD))'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python $(PIP) onnxruntime==1.32.0 cmake==4.1.2
	$(VENV)/bin/python $(PIP) --editable training
	touch $@

# An environment of the Python $(1) with what the first prerequisite lists, in the target's folder.
define environment
$(1) -m venv $(@D)
$(@D)/bin/python $(PIP) --requirement $<
touch $@
endef

$(VENV_JUDGES)/.done: tests/judges/requirements.txt
	$(call environment,$(PYTHON))

$(VENV_PYTHON)/.done: bindings/python/requirements.txt
	$(call environment,$(PYTHON))

$(VENV_WHEEL)/.done: bindings/python/requirements-wheel.txt
	$(call environment,$(PYTHON))

$(VENV_LINT)/.done: tests/lint/requirements.txt
	$(call environment,$(PYTHON))

$(VENV_DOCS)/.done: docs/requirements.txt
	$(call environment,$(PYTHON))

$(VENV_TRAIN)/.done: training/pyproject.toml
	$(PYTHON) -m venv $(VENV_TRAIN)
	$(VENV_TRAIN)/bin/python $(PIP) --editable 'training[train,test]'
	touch $@

# The extension's panel on 3D Slicer's core. WHEEL, or one of the tests' build.
PYTHON_SLICER ?= python3.11
$(VENV_SLICER)/.done: plugins/slicer/Testing/requirements.txt
	$(call environment,$(PYTHON_SLICER))

test-slicer: setup $(VENV_SLICER)/.done $(if $(WHEEL),,test-wheel)
	$(VENV_SLICER)/bin/python $(PIP) --no-deps --force-reinstall $(or $(WHEEL),out/python/wheel/*.whl)
	rm -rf out/slicer && mkdir -p out/slicer
	$(VENV)/bin/python -m nasoseg_train.phantom --seed 7 --out out/slicer/phantom
	NASOSEG_PHANTOM=$(CURDIR)/out/slicer/phantom \
	    $(VENV_SLICER)/bin/python -m pytest --quiet -rs plugins/slicer/Testing

demo: build
	mkdir -p $(DEMO)
	$(VENV)/bin/python -m nasoseg_train.phantom --seed $(SEED) --out $(DEMO)/study
	$(BUILT)/nasoseg run --t1 $(DEMO)/study/T1 --t1c $(DEMO)/study/T1C --t2 $(DEMO)/study/T2 \
	    --bundle models/demo --device cpu --out $(DEMO)
	$(VENV)/bin/python -m nasoseg_train.commands.score --run $(DEMO) --truth $(DEMO)/study/truth.nii.gz

test: test-rust test-demo test-ctest test-python docs test-training

# Faults first: what stays in target/ is then the library without them.
test-rust: setup $(VENV_JUDGES)/.done
	$(CARGO) test --locked --features fault-injection --test faults
	NASOSEG_TEST_PYTHON=$(VENV_JUDGES)/bin/python $(CARGO) test --locked

# The demo, as a user types it, on the tests' build.
test-demo: setup
	$(MAKE) --no-print-directory demo PROFILE=dev DEMO=out/test-demo

# C and C++ against an installed tree, on the tests' build.
build-ctest: setup
	rm -rf $(CTEST)/installed
	$(MAKE) --no-print-directory install PROFILE=dev PREFIX=$(CTEST)/installed DESTDIR= LIBDIR=lib
	cmake -S tests/ctest -B $(CTEST)/build -DCMAKE_PREFIX_PATH=$(CTEST)/installed
	cmake --build $(CTEST)/build --parallel 2

test-ctest: build-ctest
	ctest --test-dir $(CTEST)/build --output-on-failure --label-regex '$(LABELS)'

test-orientation: setup $(VENV_JUDGES)/.done
	NASOSEG_TEST_PYTHON=$(VENV_JUDGES)/bin/python \
	    $(CARGO) test --locked --test orientation -- --include-ignored --nocapture

# The Python package as it is installed: WHEEL, or one of the tests' build without its debug
# information.
test-python: $(VENV_PYTHON)/.done $(if $(WHEEL),,test-wheel)
	$(VENV_PYTHON)/bin/python $(PIP) --no-deps --force-reinstall $(or $(WHEEL),out/python/wheel/*.whl)
	cd bindings/python && $(VENV_PYTHON)/bin/python -m pytest --quiet

test-wheel: $(VENV_PYTHON)/.done
	$(MAKE) --no-print-directory build PROFILE=dev
	rm -rf out/python/wheel && mkdir -p out/python/built
	for name in libnasoseg.so nasoseg; do \
	    strip -o out/python/built/$$name target/debug/$$name || exit 1; \
	done
	NASOSEG_BUILT=$(CURDIR)/out/python/built \
	    $(VENV_PYTHON)/bin/python -m pip wheel $(WHEELS) --wheel-dir out/python/wheel bindings/python

test-memory: test-asan
	$(MAKE) --no-print-directory test-ctest LABELS=memory

# What touches raw pointers, under AddressSanitizer. Its flag is not stable. A target is named so
# that build scripts and macros go without it.
HOST      = $(shell rustc -vV | sed -n 's/^host: //p')
ASAN_TEST = RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address $(CARGO) test --locked \
    --target $(HOST) --target-dir target/asan --features fault-injection
test-asan: setup
	$(ASAN_TEST) --test ffi --test faults
	$(ASAN_TEST) --lib ffi::

# A large model is not in the repository: nasoseg-train export-untrained --preset paper --out DIR
# makes one of the paper's size.
test-cancel: build-ctest
	$(CTEST)/build/cancel $(BUNDLE)

abi-check:
	tests/abi/check.sh '$(CC)' include/nasoseg.h tests/abi/nasoseg.abi

abi-baseline:
	tests/abi/baseline.sh '$(CC)' include/nasoseg.h tests/abi/nasoseg.abi

# Patients are prepared by the program of the tests' build.
test-training: setup $(VENV_TRAIN)/.done
	$(CARGO) build --locked --bin nasoseg
	cd training && NASOSEG_PROGRAM=$(CURDIR)/target/debug/nasoseg \
	    $(VENV_TRAIN)/bin/python -m pytest --quiet

# Orthanc, dcmtk and node come with the system (Debian: orthanc, orthanc-dicomweb, dcmtk, npm); what
# is missing is named and left out.
JUDGED = out/judges
judges: setup $(VENV_JUDGES)/.done $(JUDGED)/dcmrtstruct2nii/.done
	NASOSEG_TEST_PYTHON=$(VENV_JUDGES)/bin/python \
	    NASOSEG_DCMRTSTRUCT2NII=$(CURDIR)/$(JUDGED)/dcmrtstruct2nii/bin/dcmrtstruct2nii \
	    $(CARGO) test --locked --test rtstruct --test compare -- --nocapture
	$(MAKE) --no-print-directory demo DEMO=$(JUDGED)/demo
	$(VENV_JUDGES)/bin/python tests/judges/orthanc_check.py \
	    --images $(JUDGED)/demo/study/T1C --rtstruct $(JUDGED)/demo/rtstruct.dcm
	@if command -v npm >/dev/null; then \
	    mkdir -p $(JUDGED)/node && cp tests/judges/node/* $(JUDGED)/node && \
	    (cd $(JUDGED)/node && npm install --silent --no-audit --no-fund) && \
	    node $(JUDGED)/node/dcmjs_check.mjs $(JUDGED)/demo/study/T1C $(JUDGED)/demo/rtstruct.dcm; \
	else echo 'SKIPPED: dcmjs: npm is not installed'; fi

$(JUDGED)/dcmrtstruct2nii/.done: tests/judges/dcmrtstruct2nii.txt
	$(call environment,$(PYTHON))

# What the library costs beside the model; see benches/.
BUNDLE  ?= models/demo
REPEATS ?= 15
# 0: all cores.
THREADS ?= 0
bench: setup
	$(CARGO) bench --locked --bench overhead -- $(BUNDLE) $(REPEATS) $(THREADS)

bench-paper: $(VENV_TRAIN)/.done
	cd training && $(VENV_TRAIN)/bin/python -m nasoseg_train.cli export-untrained --preset paper \
	    --out $(CURDIR)/out/paper
	$(MAKE) --no-print-directory bench BUNDLE=out/paper REPEATS=3

# auditwheel fails if the files need more than the tag says.
wheel: setup $(VENV_WHEEL)/.done
	PATH=$(VENV_WHEEL)/bin:$$PATH $(CARGO) zigbuild --locked --release \
	    --target $(TRIPLE).$(GLIBC) --lib --bin nasoseg
	rm -rf out/wheel dist
	NASOSEG_BUILT=$(CURDIR)/target/$(TRIPLE)/release \
	    $(VENV_WHEEL)/bin/python -m pip wheel $(WHEELS) --wheel-dir out/wheel bindings/python
	PATH=$(VENV_WHEEL)/bin:$$PATH auditwheel repair --only-plat \
	    --plat manylinux_$(subst .,_,$(GLIBC))_$(shell uname -m) --wheel-dir dist out/wheel/*.whl
	ls -l dist

footprint: $(VENV_WHEEL)/.done
	test -n "$(wildcard dist/*.whl)" || $(MAKE) --no-print-directory wheel
	PATH=$(VENV_WHEEL)/bin:$$PATH python bindings/python/tools/footprint.py dist/*.whl \
	    --other nnunetv2 --other TotalSegmentator

# The limits: 5 seconds and 512 MB at once for an input; fuzz/bound.rs counts every byte besides.
TARGET    ?= dicom
SECONDS   ?= 60
SANITIZER ?= address
fuzz: setup $(VENV_JUDGES)/.done
	$(VENV_JUDGES)/bin/python fuzz/seeds.py
	mkdir -p fuzz/corpus/$(TARGET)
	RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run --sanitizer $(SANITIZER) $(TARGET) \
	    fuzz/corpus/$(TARGET) fuzz/seeds/$(TARGET) -- \
	    -max_total_time=$(SECONDS) -timeout=5 -rss_limit_mb=2048 -malloc_limit_mb=512 -max_len=131072

# The C and C++ sources that clang-format lays out.
C_SOURCES = $(shell git ls-files 'bindings/cpp/include/*.hpp' 'tests/ctest/*.[ch]' \
    'tests/ctest/*.cpp' 'examples/*.[ch]' 'examples/*.cpp' plugins/planning/main.cpp)
LINT = $(VENV_LINT)/bin

lint: setup $(VENV_LINT)/.done
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets --features fault-injection -- --deny warnings
	$(CARGO) clippy --locked --no-default-features --lib --bins -- --deny warnings
	RUSTDOCFLAGS='--deny warnings' $(CARGO) doc --locked --no-deps --lib
	$(PYTHON) tests/lint/msrv.py
	$(PYTHON) tests/lint/width.py
	$(LINT)/ruff check --quiet
	$(LINT)/ruff format --quiet --check
	$(LINT)/mypy --config-file bindings/python/pyproject.toml bindings/python/src
	$(LINT)/clang-format --dry-run --Werror $(C_SOURCES)

format: $(VENV_LINT)/.done
	$(CARGO) fmt
	$(LINT)/ruff check --quiet --fix-only --select I
	$(LINT)/ruff format --quiet
	$(LINT)/clang-format -i $(C_SOURCES)

# A warning, a broken link among them, fails. NO_MKDOCS_2_WARNING: this builds with MkDocs 1.
docs: $(VENV_DOCS)/.done
	NO_MKDOCS_2_WARNING=1 $(VENV_DOCS)/bin/python -m mkdocs build --strict --quiet
	@echo 'out/site/index.html; with search: $(PYTHON) -m http.server --directory out/site'

clean:
	rm -rf target out dist $(VENV) $(VENV_JUDGES) $(VENV_TRAIN) $(VENV_PYTHON) $(VENV_WHEEL) \
	    $(VENV_SLICER) $(VENV_LINT) $(VENV_DOCS)
