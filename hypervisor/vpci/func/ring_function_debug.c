// SPDX-License-Identifier: BSD-3-Clause
/*
 * The rings as a PCI function of the Service VM, so that a program there can map them by sysfs,
 * with any kernel (doc/abi/rings.md). BAR 0 is a page of registers; BAR 2 shows the rings and BAR 4,
 * without a serial port, that of the console; nobody but the hypervisor can write them. Registers
 * are read and written on the vCPU's CPU; there is no lock, each is one word.
 */
#include "acrn/version.h"
#include "acrn/ring_function.h"
#include "hv/log.h"
#include "hv/log_sink.h"
#include "hv/mm.h"
#include "hv/pcpu.h"
#include "hv/rings.h"
#include "hv/timer.h"
#include "hv/unit.h"
#include "hv/vfunc.h"
#include "hv/vio.h"
#include "hv/vm.h"

static int ring_function_init(struct vfunc *f, const struct vfunc_args *args)
{
	uint64_t size, console_size;
	hpa_t hpa = rings_memory(&size), console = console_ring_memory(&console_size);

	(void)args;
	vfunc_bar_trap(f, RINGS_BAR_REGS, PAGE_SIZE);
	vfunc_bar_show(f, RINGS_BAR_MEMORY, size, hpa);
	if (console_size != 0U) {
		vfunc_bar_show(f, RINGS_BAR_CONSOLE, console_size, console);
	}
	return 0;
}

static uint32_t read_reg(uint64_t reg)
{
	switch (reg) {
	case RINGS_REG_MAGIC:
		return RINGS_MAGIC;
	case RINGS_REG_VERSION:
		return RINGS_VERSION;
	case RINGS_REG_API:
		return ((uint32_t)ACRN_API_MAJOR << 16) | ACRN_API_MINOR;
	case RINGS_REG_TSC_KHZ:
		return tsc_khz();
	case RINGS_REG_CPUS:
		return pcpu_count;
	case RINGS_REG_STRIDE:
		return rings_stride();
	case RINGS_REG_LOG:
		return rings_offset(ACRN_SBUF_HVLOG);
	case RINGS_REG_TRACE:
		return rings_offset(ACRN_SBUF_TRACE);
	case RINGS_REG_TRACE_ON:
		return trace_is_on() ? 1U : 0U;
	case RINGS_REG_CONSOLE_LEVEL:
		return log_levels[LOG_TO_CONSOLE];
	case RINGS_REG_LOG_LEVEL:
		return log_levels[LOG_TO_MEM];
	case RINGS_REG_KEY:
		return console_ring_full() ? RINGS_KEY : 0U;
	default:
		return 0U;
	}
}

static void write_reg(uint64_t reg, uint32_t value)
{
	switch (reg) {
	case RINGS_REG_TRACE_ON:
		trace_switch_on((value & 1U) != 0U);
		break;
	case RINGS_REG_CONSOLE_LEVEL:
		log_levels[LOG_TO_CONSOLE] = MIN(value, LOG_DBG);
		break;
	case RINGS_REG_LOG_LEVEL:
		log_levels[LOG_TO_MEM] = MIN(value, LOG_DBG);
		break;
	case RINGS_REG_KEY:
		if ((value & RINGS_KEY) != 0U) {
			console_ring_key((uint8_t)value);
		}
		break;
	default:
		break; /* read-only, or nothing is there */
	}
}

/* Whole registers only: others read all-ones and write nothing. */
static void ring_function_access(struct vfunc *f, uint32_t bar, uint64_t offset,
				 struct io_access *io)
{
	(void)f;
	(void)bar;
	if (io->width != sizeof(uint32_t) || (offset % sizeof(uint32_t)) != 0U) {
		return;
	}
	if (io->write) {
		write_reg(offset, (uint32_t)io->value);
	} else {
		io->value = read_reg(offset);
	}
}

VFUNC(rings, .name = "log and trace rings", .vendor = RINGS_VENDOR, .device = RINGS_DEVICE,
      .sub_vendor = RINGS_VENDOR, .sub_device = RINGS_DEVICE, .class_rev = RINGS_CLASS,
      .init = ring_function_init, .access = ring_function_access);

/* A machine without a free place for it runs all the same. */
static int ring_function_vm_init(struct vm *vm)
{
	int32_t bdf;
	int ret;

	if (vm->load_order != SERVICE_VM) {
		return 0;
	}
	bdf = vfunc_free_slot(vm);
	ret = (bdf < 0) ? bdf : vfunc_create(vm, &vfunc_rings, (bdf_t)bdf, NULL);
	if (ret != 0) {
		pr_warn("%s: no PCI function for log and trace, error %d", vm->name, ret);
	}
	return 0;
}

UNIT(ring_function) = {
	.name = "ring function",
	.level = UNIT_PCI + 1U,
	.vm_init = ring_function_vm_init,
};
