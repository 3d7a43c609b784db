# SPDX-License-Identifier: BSD-3-Clause
# The one way in: make help lists the targets.
#   make [BOARD=bochs] [SCENARIO=shared] [RELEASE=y] [O=dir] [V=1] [TARGET]
BOARD		?= bochs
SCENARIO	?= shared
RELEASE		?= n
O		?= build
override O	:= $(abspath $(O))
PYTHON		:= /usr/bin/python3
SECONDS		?= 60

SELECTION	:= O=$(O) BOARD=$(BOARD) SCENARIO=$(SCENARIO) RELEASE=$(RELEASE)
QUIET		:= --no-print-directory
# Builds started for run, test and bench use all processors, unless -j says otherwise.
PARALLEL	= $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(or $(JOBS),$(shell nproc)))

all: hypervisor devicemodel manager tools

hypervisor:
	+@$(MAKE) $(QUIET) -C hypervisor $(SELECTION) all

# Of another scenario, for the tests: O/scenario/NAME
hypervisor-%:
	+@$(MAKE) $(QUIET) -C hypervisor O=$(O)/scenario/$* BOARD=$(BOARD) SCENARIO=$* all
# With all extensions.
hypervisor-ext:
	+@$(MAKE) $(QUIET) -C hypervisor O=$(O)/scenario/ext BOARD=$(BOARD) SCENARIO=shared \
		KCONFIG=$(CURDIR)/tests/target/ext.config all
OTHERS	:= $(addprefix hypervisor-,bare connected ext given pair partitioned hybrid hybrid_rt)

devicemodel:
	+@$(MAKE) $(QUIET) -C devicemodel O=$(O) all

manager:
	+@$(MAKE) $(QUIET) -C misc/mngr O=$(O) all

tools:
	+@$(MAKE) $(QUIET) -C misc/acrntrace O=$(O) all
	+@$(MAKE) $(QUIET) -C misc/usernet O=$(O) all

tests-unit:
	+@$(MAKE) $(QUIET) -C tests/unit O=$(O) all

tests-guest:
	+@$(MAKE) $(QUIET) -C tests/target/guest O=$(O)

tests-fuzz:
	+@$(MAKE) $(QUIET) -C tests/fuzz O=$(O) all

setup:
	@misc/setup/install.sh
	@misc/guest/build-kernel.sh >/dev/null
	@misc/run/fetch-bochs.sh >/dev/null

# Each of these prepares the machine by itself, so that it works on a fresh one.
run: setup
	+@$(MAKE) $(QUIET) $(PARALLEL) all
	@$(PYTHON) misc/run/run.py -O $(O) $(if $(NONINTERACTIVE),--noninteractive) \
		$(if $(CPUS),--cpus $(CPUS)) $(if $(MACHINE),--machine $(MACHINE))

test: setup
	+@$(MAKE) $(QUIET) $(PARALLEL) all $(OTHERS) tests-unit tests-guest tests-fuzz
	@$(PYTHON) tests/run/run.py -O $(O) $(if $(K),-k '$(K)')

check:
	@misc/setup/install.sh
	@$(PYTHON) tests/check/check.py $(K)

fuzz:
	@misc/setup/install.sh
	+@$(MAKE) $(QUIET) $(PARALLEL) tests-fuzz
	@$(PYTHON) tests/fuzz/fuzz.py -O $(O) --seconds $(SECONDS) $(K)

# make soak MINUTES=30 [SEED=n]
soak: setup
	+@$(MAKE) $(QUIET) $(PARALLEL) all
	@$(PYTHON) tests/soak/soak.py -O $(O) --minutes $(or $(MINUTES),30) --seed $(or $(SEED),1)

# Debian's own kernels. make test-stock [RELEASES="bookworm trixie"]
test-stock: setup
	+@$(MAKE) $(QUIET) $(PARALLEL) all
	@$(PYTHON) tests/stock/stock.py -O $(O) $(RELEASES)

bench: release-and-guests hypervisor-hybrid_rt
	+@for mode in partitioned hybrid; do $(MAKE) $(QUIET) $(PARALLEL) -C hypervisor \
		O=$(O)/release/$$mode SCENARIO=$$mode RELEASE=y all || exit 1; done
	@$(PYTHON) tests/bench/bench.py -O $(O)

# Both ends of shared memory, in release builds.
bench-ivshmem: release-and-guests
	+@$(MAKE) $(QUIET) $(PARALLEL) -C hypervisor O=$(O)/release/connected SCENARIO=connected RELEASE=y all
	@$(PYTHON) tests/bench/ivshmem.py -O $(O)

# How late a timer's interrupt is. make bench-rt [SAMPLES=n]
bench-rt: setup
	+@$(MAKE) $(QUIET) $(PARALLEL) tests-guest hypervisor-partitioned hypervisor-hybrid_rt
	@$(PYTHON) tests/bench/rt.py -O $(O) --samples $(or $(SAMPLES),100000)

# make profile OP=cpuid, or any other row of make bench
profile: release-and-guests
	@$(PYTHON) tests/bench/bench.py -O $(O) --profile $(or $(OP),cpuid)

release-and-guests: setup
	+@$(MAKE) $(QUIET) tests-guest
	+@$(MAKE) $(QUIET) $(PARALLEL) all O=$(O)/release RELEASE=y

footprint: setup
	+@$(MAKE) $(QUIET) tests-guest
	@$(PYTHON) misc/footprint/footprint.py -O $(O)
	@$(PYTHON) tests/bench/ram.py -O $(O)

# The programs of the Service VM, with acrn-dm's man page and completion. DESTDIR=... PREFIX=/usr
PREFIX	?= /usr
TO	= $(DESTDIR)$(PREFIX)
install: devicemodel manager tools
	install -d $(TO)/bin $(TO)/share/man/man8 $(TO)/share/bash-completion/completions
	install $(O)/devicemodel/acrn-dm $(addprefix $(O)/misc/,acrnctl acrnd acrnlog acrntrace acrnsh acrn-usernet) \
		$(TO)/bin
	install misc/bridge/acrn-bridge.sh $(TO)/bin/acrn-bridge
	install -m 644 devicemodel/acrn-dm.8 $(TO)/share/man/man8
	install -m 644 devicemodel/completion.bash $(TO)/share/bash-completion/completions/acrn-dm

menuconfig:
	@misc/config/menuconfig.sh $(BOARD) $(SCENARIO)

clean:
	rm -rf $(O)/hypervisor $(O)/scenario $(O)/devicemodel $(O)/misc $(O)/tests $(O)/image

help:
	@cat misc/setup/help.txt

.PHONY: all hypervisor devicemodel manager tools tests-unit tests-guest tests-fuzz setup run test check fuzz soak test-stock bench bench-ivshmem bench-rt \
	profile release-and-guests footprint install menuconfig clean help
