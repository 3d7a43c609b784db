# SPDX-License-Identifier: BSD-3-Clause
# How the device model's files are compiled for unit tests.
CPPFLAGS_devicemodel := -D_GNU_SOURCE -I$(TOP)/devicemodel/include -I$(TOP)/devicemodel/platform \
	-I$(TOP)/devicemodel/pci -I$(TOP)/tests/unit/devicemodel -I$(TOP)/tests/fake/include -I$(OUT)/gen \
	-I$(TOP)/tests/target/guest
CFLAGS_devicemodel := -std=c11
LDLIBS_devicemodel := -ljansson -luring

# options.c prints the version; the tests have their own.
$(OUT)/gen/version.h:
	@mkdir -p $(@D)
	@echo '#define DM_VERSION "test"' > $@
$(OBJ)/devicemodel/devicemodel/core/options.o: $(OUT)/gen/version.h

# The device model but for virtio, disks, main() and the HSM: what dm_machine.h starts. @stopped is the
# same with a clock that stands still (fake_clock.h), @driver with the real hsm.c.
SET_devicemodel_stopped := \
	$(addprefix devicemodel/core/,log.c io_space.c pio.c mmio.c gmem.c hugepage.c helper.c keeper.c meminfo.c mevent.c \
		iothread.c ioreq.c power.c rings.c options.c vm_options.c cpu_map.c vm.c load.c load_bzimage.c \
		load_elf.c load_ovmf.c \
		chardev.c monitor.c server.c request.c) \
	$(filter-out devicemodel/platform/clock.c devicemodel/pci/ahci%,$(patsubst $(TOP)/%,%, \
		$(wildcard $(TOP)/devicemodel/acpi/*.c $(TOP)/devicemodel/pci/*.c \
		$(TOP)/devicemodel/platform/*.c))) \
	tests/fake/fake_hsm.c tests/unit/devicemodel/dm_machine.c
SET_devicemodel_machine := $(SET_devicemodel_stopped) devicemodel/platform/clock.c
SET_devicemodel_driver := $(filter-out tests/fake/fake_hsm.c,$(SET_devicemodel_machine)) devicemodel/core/hsm.c
SET_devicemodel_stopped += tests/unit/devicemodel/fake_clock.c
