# SPDX-License-Identifier: BSD-3-Clause
# How the device model's files are compiled for unit tests.
CPPFLAGS_devicemodel := -D_GNU_SOURCE -I$(TOP)/devicemodel/include -I$(TOP)/devicemodel/platform \
	-I$(TOP)/devicemodel/pci -I$(TOP)/tests/unit/devicemodel -I$(TOP)/tests/fake/include -I$(OUT)/gen
CFLAGS_devicemodel := -std=c11

# options.c prints the version; the tests have their own.
$(OUT)/gen/version.h:
	@mkdir -p $(@D)
	@echo '#define DM_VERSION "test"' > $@
$(OBJ)/devicemodel/devicemodel/core/options.o: $(OUT)/gen/version.h
