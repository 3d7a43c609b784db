# SPDX-License-Identifier: BSD-3-Clause
# How the hypervisor's files are compiled for unit tests: over the fake machine's instructions,
# which stand first among the headers, with the configuration of the shared scenario.
CPPFLAGS_hypervisor := -DUNIT_TEST -D_GNU_SOURCE -I$(TOP)/tests/fake/include \
	-I$(TOP)/tests/unit/hypervisor -I$(TOP)/hypervisor/include -I$(OUT)/gen-hv
CFLAGS_hypervisor := -std=gnu11

# The fake processor, its log and its memory: what most tests link.
SET_hypervisor_machine := $(addprefix tests/fake/,fake_machine.c fake_log.c fake_pool.c fake_time.c)
# The scheduler without its policy, real timers, and threads of the test.
SET_hypervisor_sched := hypervisor/sched/schedule.c hypervisor/arch/x86/cpu/timer.c \
	$(SET_hypervisor_machine) tests/unit/hypervisor/sched_machine.c
# Virtual interrupt controllers, and a core around them that writes down what it is asked for.
SET_hypervisor_vapic := $(addprefix hypervisor/vapic/,apicv.c apicv_exits.c inject.c pt/ptirq.c pt/ptirq_remap.c vapic.c \
	vlapic.c vlapic_icr.c vlapic_irr.c vlapic_timer.c vpic.c) \
	$(addprefix hypervisor/guest/,unit.c vintr.c vioapic.c) tests/unit/hypervisor/vapic_machine.c
# CPU emulation and PCI: the real units, two VMs, memory and an EPT of the test.
SET_hypervisor_guest := $(addprefix hypervisor/guest/,gmem.c gmem_seg.c gmem_walk.c inst.c inst_alu.c inst_cache.c inst_mem.c \
	inst_decode.c inst_exits.c unit.c vcpu_fpu.c vcpuid.c vcpuid_table.c vcr.c vcr_exit.c vevent.c vio.c \
	vio_string.c vmsr.c vmsr_misc.c vmsr_switch.c vmtrr.c) \
	$(addprefix hypervisor/vpci/,pci.c vpci.c func/vfunc.c func/vfunc_bar.c func/vfunc_msix.c func/vmsi.c \
	func/vmsix.c func/vpci_pt.c) \
	tests/unit/hypervisor/guest_machine.c
# Emulated PCI functions over real EPTs.
SET_hypervisor_vfunc := $(addprefix hypervisor/vpci/,pci.c vpci.c func/vfunc.c func/vfunc_bar.c func/vfunc_msix.c func/vmsi.c \
	func/vmsix.c func/vpci_pt.c) \
	$(addprefix hypervisor/guest/,gmem.c unit.c vio.c) hypervisor/arch/x86/vmx/ept.c \
	hypervisor/arch/x86/mm/pgtable.c tests/unit/hypervisor/vfunc_machine.c
# Hypercalls and I/O requests: the real files, VM states and an EPT of the test.
SET_hypervisor_service := $(addprefix hypervisor/service_vm/,hc_dev.c hc_vdev.c hc_mem.c hc_misc.c hc_vm.c \
	asyncio.c hypercall.c inherit.c ioreq.c own_end.c sbuf.c sbuf_debug.c vm_event.c) hypervisor/debug/rings.c hypervisor/lib/sbuf.c hypervisor/guest/unit.c $(SET_hypervisor_machine) \
	tests/unit/hypervisor/service_machine.c

$(OUT)/gen-hv/config.h: $(TOP)/configs/boards/bochs.xml $(TOP)/configs/scenarios/bochs/shared.xml \
		$(TOP)/Kconfig
	@mkdir -p $(@D)
	$(Q)/usr/bin/python3 $(TOP)/misc/config/generate.py --quiet --out $(@D) \
		--board $(TOP)/configs/boards/bochs.xml \
		--scenario $(TOP)/configs/scenarios/bochs/shared.xml
$(OUT)/links.mk: $(OUT)/gen-hv/config.h
