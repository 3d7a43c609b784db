// SPDX-License-Identifier: BSD-3-Clause
/*
 * What this CPU can do: one table says where each feature is announced, whether its absence is
 * fatal, and what the absence costs. Read once on the boot CPU (all CPUs of a board are taken to be
 * alike), before anything uses a feature; constant afterwards, no lock. MSRs are read only where
 * CPUID says that they exist.
 */
#include "hv/caps.h"
#include "asm/cpuid.h"
#include "asm/msr.h"
#include "asm/vmx.h"
#include "hv/boot.h"
#include "lib/errno.h"
#include "lib/string.h"

/* A feature lives in a CPUID register, or among the allowed-1 bits of a VMX capability MSR. */
enum where { CPUID_1_ECX, CPUID_1_EDX, CPUID_7_EBX, CPUID_D1_EAX, CPUID_81_EDX, CPUID_87_EDX,
	     VMX_PIN, VMX_PROC, VMX_PROC2, VMX_EPT_CAP, WHERE_COUNT };

struct feature {
	const char *name;  /* as in hide= */
	enum where where;
	uint64_t mask; /* all of these */
	bool fatal;
	const char *cost;
};

static const struct feature features[CAP_COUNT] = {
	[CAP_NX] = {"nx", CPUID_81_EDX, BIT(20), false, "data of the hypervisor is executable"},
	[CAP_SMEP] = {"smep", CPUID_7_EBX, BIT(7), false, "no guard against running user pages"},
	[CAP_SMAP] = {"smap", CPUID_7_EBX, BIT(20), false, "no guard against reading user pages"},
	[CAP_1G_PAGES] = {"1gpage", CPUID_81_EDX, BIT(26), false, "host map in 2 MB pages"},
	[CAP_X2APIC] = {"x2apic", CPUID_1_ECX, BIT(21), false, "APIC by memory accesses, slower"},
	[CAP_TSC_DEADLINE] = {"tscdeadline", CPUID_1_ECX, BIT(24), false,
			      "timers by the APIC's counter, coarser"},
	[CAP_INVARIANT_TSC] = {"invtsc", CPUID_87_EDX, BIT(8), false,
			       "time drifts if the clock rate changes"},
	[CAP_XSAVE] = {"xsave", CPUID_1_ECX, BIT(26), false, "guests have no AVX"},
	[CAP_XSAVES] = {"xsaves", CPUID_D1_EAX, BIT(3), false, "guests have no XSAVES"},
	[CAP_PCID] = {"pcid", CPUID_1_ECX, BIT(17), false, "guests have no PCID"},
	[CAP_EPT_2M] = {"ept2m", VMX_EPT_CAP, EPT_CAP_2M, false, "guest memory in 4 KB pages"},
	[CAP_EPT_1G] = {"ept1g", VMX_EPT_CAP, EPT_CAP_1G, false, "guest memory in 2 MB pages"},
	[CAP_VPID] = {"vpid", VMX_PROC2, PROC2_VPID, false, "every exit flushes the TLB"},
	[CAP_UNRESTRICTED] = {"unrestricted", VMX_PROC2, PROC2_UNRESTRICTED, true,
			      "guests cannot start in real mode"},
	[CAP_TPR_SHADOW] = {"tprshadow", VMX_PROC, PROC_TPR_SHADOW, false, "CR8 accesses exit"},
	[CAP_APIC_ACCESS] = {"apicaccess", VMX_PROC2, PROC2_APIC_ACCESS, false,
			     "xAPIC accesses are decoded"},
	[CAP_X2APIC_VIRT] = {"x2apicvirt", VMX_PROC2, PROC2_X2APIC, false, "TPR accesses exit"},
	[CAP_APIC_REGS] = {"apicregs", VMX_PROC2, PROC2_APIC_REGS, false, "APIC reads exit"},
	[CAP_VINTR_DELIVERY] = {"vid", VMX_PROC2, PROC2_VINTR_DELIVERY, false,
				"interrupts and EOIs exit"},
	[CAP_POSTED_INTR] = {"posted", VMX_PIN, PIN_POSTED_INTR, false,
			     "interrupts from another CPU exit"},
	[CAP_PREEMPTION_TIMER] = {"preemption", VMX_PIN, PIN_PREEMPTION_TIMER, false,
				  "guests can hold back the end of a slice"},
	[CAP_PAUSE_EXIT] = {"pause", VMX_PROC, PROC_PAUSE_EXIT, false, "spinning guests use up "
								       "their slice"},
	[CAP_RDTSCP] = {"rdtscp", VMX_PROC2, PROC2_RDTSCP, false, "guests have no RDTSCP"},
	[CAP_INVPCID] = {"invpcid", VMX_PROC2, PROC2_INVPCID, false, "guests have no INVPCID"},
	[CAP_TSC_SCALING] = {"tscscaling", VMX_PROC2, PROC2_TSC_SCALING, false,
			     "guests see the host's TSC rate"},
	[CAP_SELF_SNOOP] = {"selfsnoop", CPUID_1_EDX, BIT(27), false, "no WBINVD of a VM is left out"},
};

static bool present[CAP_COUNT];
static uint64_t words[WHERE_COUNT];

bool cap_has(enum cpu_cap cap)
{
	return present[cap];
}

void cap_drop(enum cpu_cap cap)
{
	present[cap] = false;
}

static uint64_t allowed1(uint32_t msr)
{
	return msr_read(msr) >> 32;
}

static void read_vmx_words(void)
{
	bool true_ctls = (msr_read(MSR_VMX_BASIC) & BIT(55)) != 0U;

	words[VMX_PIN] = allowed1(true_ctls ? MSR_VMX_TRUE_PINBASED : MSR_VMX_PINBASED);
	words[VMX_PROC] = allowed1(true_ctls ? MSR_VMX_TRUE_PROCBASED : MSR_VMX_PROCBASED);
	if ((words[VMX_PROC] & PROC_SECONDARY) != 0U) {
		words[VMX_PROC2] = allowed1(MSR_VMX_PROCBASED2);
	}
	if ((words[VMX_PROC2] & (PROC2_EPT | PROC2_VPID)) != 0U) {
		words[VMX_EPT_CAP] = msr_read(MSR_VMX_EPT_VPID_CAP);
	}
}

/* A misspelt name would hide nothing, and the test that wanted it would prove nothing. */
static void check_names(const char *hide)
{
	while (hide != NULL && *hide != '\0') {
		const char *end = strchr(hide, ',');
		size_t i = 0U, n = (end != NULL) ? (size_t)(end - hide) : strlen(hide);

		while (i < CAP_COUNT &&
		       (strncmp(features[i].name, hide, n) != 0 || features[i].name[n] != '\0')) {
			i++;
		}
		if (n != 0U && i == CAP_COUNT) {
			report("boot: hide=%.*s: there is no such feature", (int)n, hide);
		}
		hide = (end != NULL) ? end + 1 : NULL;
	}
}

static bool hidden(const char *hide, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = hide; p != NULL && *p != '\0'; p = strchr(p, ',')) {
		p += (*p == ',') ? 1 : 0;
		if (strncmp(p, name, n) == 0 && (p[n] == ',' || p[n] == '\0')) {
			return true;
		}
	}
	return false;
}

/* Features that are of no use without another. */
static void drop_dependent(void)
{
	static const struct {
		enum cpu_cap cap, needs;
	} deps[] = {
		{CAP_X2APIC_VIRT, CAP_TPR_SHADOW},    {CAP_APIC_REGS, CAP_TPR_SHADOW},
		{CAP_APIC_ACCESS, CAP_TPR_SHADOW},    {CAP_VINTR_DELIVERY, CAP_APIC_REGS},
		{CAP_VINTR_DELIVERY, CAP_X2APIC_VIRT}, {CAP_POSTED_INTR, CAP_VINTR_DELIVERY},
		{CAP_XSAVES, CAP_XSAVE},	      {CAP_PCID, CAP_VPID},
		{CAP_EPT_1G, CAP_EPT_2M},
	};

	for (size_t i = 0U; i < ARRAY_SIZE(deps); i++) {
		present[deps[i].cap] = present[deps[i].cap] && present[deps[i].needs];
	}
}

static int check_vmx(void)
{
	uint64_t fc;

	if ((words[CPUID_1_ECX] & BIT(5)) == 0U) {
		report("cpu: no VMX: the processor lacks it, or its virtual machine hides it");
		return -ENODEV;
	}
	fc = msr_read(MSR_FEATURE_CONTROL);
	if ((fc & FEATURE_CONTROL_LOCK) != 0U && (fc & FEATURE_CONTROL_VMX_NO_SMX) == 0U) {
		report("cpu: VMX is locked off by the firmware: switch \"virtualization\" on in "
		       "its set-up");
		return -ENODEV;
	}
	return 0;
}

int caps_init(const char *hide)
{
	int ret;

	(void)memset(words, 0, sizeof(words));
	words[CPUID_1_ECX] = cpuid_reg(1U, 0U, CPUID_ECX);
	words[CPUID_1_EDX] = cpuid_reg(1U, 0U, CPUID_EDX);
	words[CPUID_7_EBX] = cpuid_reg(7U, 0U, CPUID_EBX);
	words[CPUID_D1_EAX] = cpuid_reg(0xDU, 1U, CPUID_EAX);
	words[CPUID_81_EDX] = cpuid_reg(0x80000001U, 0U, CPUID_EDX);
	words[CPUID_87_EDX] = cpuid_reg(0x80000007U, 0U, CPUID_EDX);
	ret = check_vmx();
	if (ret != 0) {
		return ret;
	}
	read_vmx_words();
	if ((words[VMX_PROC2] & PROC2_EPT) == 0U || (words[VMX_EPT_CAP] & EPT_CAP_WALK4) == 0U ||
	    (words[VMX_EPT_CAP] & EPT_CAP_INVEPT) == 0U) {
		report("cpu: no EPT (second-level paging), which every guest needs");
		return -ENODEV;
	}
	check_names(hide);
	for (size_t i = 0U; i < CAP_COUNT; i++) {
		const struct feature *f = &features[i];

		present[i] = (words[f->where] & f->mask) == f->mask && !hidden(hide, f->name);
	}
	drop_dependent();
	for (size_t i = 0U; i < CAP_COUNT; i++) {
		if (features[i].fatal && !present[i]) {
			report("cpu: no %s: %s", features[i].name, features[i].cost);
			ret = -ENODEV;
		}
	}
	return ret;
}

void caps_report(void)
{
	for (size_t i = 0U; i < CAP_COUNT; i++) {
		if (!present[i]) {
			report("boot: no %s: %s", features[i].name, features[i].cost);
		}
	}
}
