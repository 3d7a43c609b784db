// SPDX-License-Identifier: BSD-3-Clause
/*
 * The table of contents: what happens at boot, in order, and why there. Runs on the boot CPU from
 * reloc.c; the other CPUs come through pcpu_main(). No lock: until pcpu_start_all() there is one
 * CPU, and the others only wait for vCPUs. A step that cannot do its work says so in one line and
 * the machine halts, with a reason on serial and screen.
 */
#include "hv/acpi.h"
#include "hv/boot.h"
#include "hv/caps.h"
#include "hv/cpu.h"
#include "hv/image.h"
#include "hv/irq.h"
#include "hv/log.h"
#include "hv/mm.h"
#include "hv/pcpu.h"
#include "hv/screen.h"
#include "hv/timer.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vm.h"
#include "hv/vmexit.h"

static __noreturn void refuse(const char *why)
{
	report("ACRN: %s; halted", why);
	cpu_halt_forever();
}

void boot_main(uint32_t magic, hpa_t info)
{
	char hide[128];
	int err;

	/*
	 * A place to print, first as the board file says, then as the command line does, and the
	 * loader's screen: it has to be clear of the memory map's RAM.
	 */
	report_init();
	if (multiboot_parse(magic, info) != 0) {
		refuse("the boot loader's information is unusable");
	}
	err = e820_init();
	report_init();

	/* A fault from here on is a message and not a reset. */
	cpu_init_boot();

	/* Is this CPU able to do it? Before memory is touched in a way that needs it. */
	if (caps_init(boot_option("hide", hide, sizeof(hide)) ? hide : NULL) != 0) {
		refuse("this machine cannot run a hypervisor");
	}

	/* Memory: our own share of the map, then the tables that enforce the shares. */
	if (err != 0) {
		refuse("there is no usable memory map");
	}
	acpi_init(boot_info.rsdp_hpa);
	pcpu_discover();
	if (boot_alloc_init() != 0) {
		refuse("there is not enough memory for the hypervisor itself");
	}
	pcpu_alloc();
	hostmm_init();
	screen_map();
	hostmm_enable();

	/* Interrupts and time on this CPU. */
	tsc_init_pcpu();
	irq_init();
	lapic_init_pcpu();
	ioapic_init();
	tsc_calibrate();
	timer_init_pcpu();

	/* Tables built by registration, then the other CPUs, which need all of the above. */
	vmexit_init();
	if (unit_boot() != 0) {
		refuse("a part of the hypervisor did not start");
	}
	pcpu_start_all();
	caps_report();

	/* Guests. Nothing is allocated after the seal, which comes before any of them runs. */
	vm_slots_init();
	if (load_vms() != 0) {
		refuse("no VM could be started");
	}
	boot_alloc_seal();
	screen_lost();
	load_start_vms();
	pcpu_run();
}
