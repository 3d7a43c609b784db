/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_CAPS_H
#define HV_CAPS_H

#include "lib/types.h"

/*
 * Optional and required CPU features, found once at boot. `hide=NAME[,NAME]` on the hypervisor's
 * command line makes an optional one absent, so that its absence can be tested.
 */
enum cpu_cap {
	CAP_NX,
	CAP_SMEP,
	CAP_SMAP,
	CAP_1G_PAGES,
	CAP_X2APIC,
	CAP_TSC_DEADLINE,
	CAP_INVARIANT_TSC,
	CAP_XSAVE,
	CAP_XSAVES,
	CAP_PCID,
	CAP_EPT_2M,
	CAP_EPT_1G,
	CAP_VPID,
	CAP_UNRESTRICTED,
	CAP_TPR_SHADOW,
	CAP_APIC_ACCESS,
	CAP_X2APIC_VIRT,
	CAP_APIC_REGS,
	CAP_VINTR_DELIVERY,
	CAP_POSTED_INTR,
	CAP_PREEMPTION_TIMER,
	CAP_PAUSE_EXIT,
	CAP_RDTSCP,
	CAP_INVPCID,
	CAP_TSC_SCALING,
	CAP_SELF_SNOOP,
	CAP_COUNT,
};

bool cap_has(enum cpu_cap cap);

/* Detect on the BSP; `hide` is the hide= list or NULL. Return -ENODEV if a fatal one is missing. */
int caps_init(const char *hide);

/* Make do without a feature that this machine has but gets wrong. At boot, before it is used. */
void cap_drop(enum cpu_cap cap);

/* Print what is missing and what that costs, release builds too. */
void caps_report(void);

#endif
