// SPDX-License-Identifier: BSD-3-Clause
// fuzzes: hypervisor/vapic/apicv.c hypervisor/vapic/apicv_exits.c hypervisor/vapic/inject.c
// fuzzes: hypervisor/vapic/pt/ptirq.c hypervisor/vapic/pt/ptirq_remap.c hypervisor/vapic/vapic.c
// fuzzes: hypervisor/vapic/vlapic.c hypervisor/vapic/vlapic_icr.c hypervisor/vapic/vlapic_irr.c
// fuzzes: hypervisor/vapic/vlapic_timer.c hypervisor/vapic/vpic.c hypervisor/guest/vintr.c
// fuzzes: hypervisor/guest/vioapic.c
// links: @machine @vapic
/*
 * Any use of the interrupt controllers by three vCPUs, with messages, lines and time between: does
 * a vCPU only ever take vectors that an interrupt may have, and is no timer or host vector left?
 * Input: a byte for the processor's features and the VM's role, then steps.
 */
#include "vapic_machine.h"

#include "fuzz.h"

static struct vcpu *vcpu_of(uint8_t n)
{
	struct vcpu *c = test_vcpu(0, n % TEST_VCPUS);

	test_cpu(c->pcpu->id);
	return c;
}

static void msr_access(struct vcpu *c, struct fuzz *in)
{
	uint8_t n = (uint8_t)fuzz_take(in, 1);
	uint32_t msr = n < 0x40 ? MSR_X2APIC_FIRST + n : n & 1 ? MSR_APIC_BASE : MSR_TSC_DEADLINE;
	uint64_t val = fuzz_take(in, n & 0x80 ? 8 : 4);

	if (n & 0x40)
		(void)rdmsr(c, msr, &val);
	else
		(void)wrmsr(c, msr, val);
}

static void mmio_access(struct vcpu *c, struct fuzz *in)
{
	uint8_t what = (uint8_t)fuzz_take(in, 1), width = (uint8_t)(1U << (what >> 1 & 3));
	uint64_t at = (what & 8 ? 0xFEC00000U : APIC_DEFAULT_BASE) + (fuzz_take(in, 1) << 4) +
		      (what & 0x10 ? what >> 5 : 0);

	if (what & 1)
		mmio_put(c, at, width, fuzz_take(in, width));
	else
		(void)mmio_get(c, at, width);
}

static void port_access(struct vcpu *c, struct fuzz *in)
{
	static const uint16_t ports[] = {0x20, 0x21, 0xA0, 0xA1, 0x4D0, 0x4D1};
	uint8_t what = (uint8_t)fuzz_take(in, 1);

	if (what & 0x80)
		port_put(c, ports[what % 6], (uint8_t)fuzz_take(in, 1));
	else
		(void)port_get(c, ports[what % 6]);
}

static void step(struct fuzz *in)
{
	uint8_t what = (uint8_t)fuzz_take(in, 1);
	struct vcpu *c = vcpu_of(what >> 4);
	int vector;

	switch (what & 15) {
	case 0:
	case 1:
	case 2:
		mmio_access(c, in);
		break;
	case 3:
	case 4:
		msr_access(c, in);
		break;
	case 5:
		port_access(c, in);
		break;
	case 6:
		(void)vintr_set_gsi(c->vm, (uint32_t)fuzz_take(in, 1),
				    (uint32_t)fuzz_take(in, 1) % 5U);
		break;
	case 7:
		(void)vintr_msi(c->vm, 0xFEE00000U | fuzz_take(in, 3), (uint32_t)fuzz_take(in, 2));
		break;
	case 8:
		time_to(fake_tsc + fuzz_take(in, 3));
		break;
	case 9:
		fake_vmcs[VMCS_GUEST_RFLAGS] = RFLAGS_FIXED | (what & 0x80 ? RFLAGS_IF : 0);
		fake_vmcs[VMCS_GUEST_INTERRUPTIBILITY] = fuzz_take(in, 1) & 3;
		break;
	default:
		vector = vm_enter(c);
		/* below 16 only what a PIC or a message in its place was told to send */
		assert_in_range(vector + 1, 0, 256);
		(void)c->vm->vintr->pending(c);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum cpu_cap apicv[] = {CAP_TPR_SHADOW, CAP_APIC_ACCESS,	 CAP_X2APIC_VIRT,
					     CAP_APIC_REGS,  CAP_VINTR_DELIVERY, CAP_POSTED_INTR};
	static const uint8_t counts[] = {0, 1, 3, 6};
	struct fuzz in = {data, size};
	uint8_t kind = (uint8_t)fuzz_take(&in, 1);

	machine_start(apicv, counts[kind & 3], kind & 4 ? SERVICE_VM : POST_LAUNCHED_VM);
	while (in.left != 0)
		step(&in);
	machine_stop();
	return 0;
}
