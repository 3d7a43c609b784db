# SPDX-License-Identifier: BSD-3-Clause
# Tests that count instructions: the device model's files as they ship, without sanitizers.
CPPFLAGS_cost	= $(CPPFLAGS_devicemodel)
CFLAGS_cost	:= -std=c11 -O2 -fno-sanitize=all -fomit-frame-pointer
LDLIBS_cost := -ljansson
LDFLAGS_cost	:= -fno-sanitize=all -Wl,--wrap=hsm_wait_ioreq -Wl,--wrap=hsm_notify_ioreq
SET_cost_machine = $(SET_devicemodel_machine)
$(OBJ)/cost/devicemodel/core/options.o: $(OUT)/gen/version.h
