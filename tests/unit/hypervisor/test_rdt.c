// SPDX-License-Identifier: BSD-3-Clause
/*
 * Classes of service: does each processor work in the class of the vCPU it holds, with the masks of
 * the scenario, and what if it offers less than those ask for?
 */
// links: @machine @guest hypervisor/ext/rdt/rdt.c tests/fake/fake_report.c
#include <string.h>

#include "fake_report.h"
#include "guest_machine.h"

#define QOS_CFG 0xC81U
#define PQR	0xC8FU
#define MASK	0xC90U
#define L2_MASK 0xD10U
#define DELAY	0xD50U
#define RES_L3	BIT32(1)
#define RES_L2	BIT32(2)
#define RES_MBA BIT32(3)

extern const struct unit __start_hv_units[], __stop_hv_units[];

static const uint32_t masks[] = {0xFFFFF, 0xF0, 0xF, 0xF0000};
static const uint16_t delays[] = {0, 200, 50, 10};
static const uint8_t clos[] = {2, 1};
static const struct vm_config config = {.clos = clos, .clos_count = 1};
/* The generated table, which the hypervisor never changes, and each test does. */
extern struct rdt_config wanted __asm__("rdt_config");
struct rdt_config wanted = {.masks = masks, .delays = delays};

static void (*hook)(struct thread *t);
static uint32_t passed_on;

static void next_switch_in(struct thread *t)
{
	(void)t;
	passed_on++;
}

void (*vcpu_switch_replace(void (*fn)(struct thread *t)))(struct thread *t)
{
	hook = fn;
	return next_switch_in;
}

/* A processor with these resources, of so many classes; its cache has 11 ways. */
static void start(uint32_t resources, uint32_t classes, uint32_t more)
{
	fake_cpuid_set(7, 0, 1, BIT32(15), 0, 0);
	fake_cpuid_set(0x10, 0, 0, resources, 0, 0);
	fake_cpuid_set(0x10, 1, 10, 0, more, classes - 1U);
	fake_cpuid_set(0x10, 2, 7, 0, more, classes - 1U);
	fake_cpuid_set(0x10, 3, 89, 0, 4, 7);
	for (uint32_t i = 0; i < classes; i++) {
		if ((resources & RES_L3) != 0U)
			fake_msr_set(MASK + i, 0x7FF);
		if ((resources & RES_L2) != 0U)
			fake_msr_set(L2_MASK + i, 0xFF);
		if ((resources & RES_MBA) != 0U)
			fake_msr_set(DELAY + i, 0);
	}
	if ((more & BIT32(2)) != 0U)
		fake_msr_set(QOS_CFG, 0);
	fake_msr_set(PQR, 0);
	hook = NULL;
	passed_on = 0;
	fake_report_reset();
	for (const struct unit *u = __start_hv_units; u < __stop_hv_units; u++) {
		if (strcmp(u->name, "rdt") == 0)
			assert_int_equal(u->boot(), 0);
	}
}

static void want(uint8_t mask_count, uint8_t delay_count, bool cdp)
{
	wanted.mask_count = mask_count;
	wanted.delay_count = delay_count;
	wanted.cdp = cdp;
}

static void run(struct vcpu *vcpu)
{
	uint32_t before = passed_on;

	hook(&vcpu->thread);
	assert_int_equal(passed_on, before + 1);
}

/* Are masks and delays written once a processor, and the class only when it is another one? */
static void test_classes(void **state)
{
	struct vcpu *a = test_vcpu(0, 0), *b = test_vcpu(1, 0), *other = test_vcpu(1, 1);
	uint32_t writes;

	(void)state;
	want(4, 4, false);
	test_vm(0)->config = &config;
	test_vm(1)->config = NULL; /* a VM the scenario does not know: class 0 */
	start(RES_L3 | RES_L2 | RES_MBA, 16, 0);
	assert_string_equal(fake_report_text, "");
	run(a);
	assert_int_equal(fake_msr_get(PQR), 2UL << 32);
	assert_int_equal(fake_msr_get(MASK), 0x7FF); /* of 20 bits the cache has 11 */
	assert_int_equal(fake_msr_get(MASK + 1), 0xF0);
	assert_int_equal(fake_msr_get(MASK + 2), 0xF);
	assert_int_equal(fake_msr_get(MASK + 3), 0x7FF); /* nothing is left: a mask is never 0 */
	assert_int_equal(fake_msr_get(L2_MASK + 1), 0xFF);
	assert_int_equal(fake_msr_get(DELAY + 1), 90);
	assert_int_equal(fake_msr_get(DELAY + 2), 50);
	writes = fake_msr_writes;
	run(a);
	assert_int_equal(fake_msr_writes, writes);
	run(b);
	assert_int_equal(fake_msr_get(PQR), 0);
	assert_int_equal(fake_msr_writes, writes + 1);
	run(other); /* on the other processor, which was not programmed yet */
	assert_int_equal(fake_msr_writes, writes + 1 + 4 + 4 + 1);
	assert_int_equal(fake_msr_gp, 0);
}

/* What if a vCPU is beyond the list of its VM's classes? */
static void test_second_vcpu(void **state)
{
	(void)state;
	want(4, 0, false);
	test_vm(0)->config = &config;
	start(RES_L3, 16, 0);
	run(test_vcpu(0, 0));
	assert_int_equal(fake_msr_get(PQR), 2UL << 32);
	run(test_vcpu(0, 1));
	assert_int_equal(fake_msr_get(PQR), 0);
}

/* What if code and data have a mask each: is that switched on first, and are classes pairs? */
static void test_cdp(void **state)
{
	static const uint8_t one = 1;
	const struct vm_config second = {.clos = &one, .clos_count = 1};

	(void)state;
	want(4, 0, true);
	test_vm(0)->config = &second;
	start(RES_L3, 16, BIT32(2));
	run(test_vcpu(0, 0));
	assert_int_equal(fake_msr_get(QOS_CFG), 1);
	assert_int_equal(fake_msr_get(PQR), 1UL << 32);
	assert_int_equal(fake_msr_get(MASK + 2), 0xF);
	test_vm(0)->config = &config; /* class 2 would be masks 4 and 5 */
	run(test_vcpu(0, 0));
	assert_int_equal(fake_msr_get(PQR), 0);

	/* Without the feature no mask is used: one for both is not what the scenario says. */
	start(RES_L3, 16, 0);
	assert_non_null(strstr(fake_report_text, "of 4 cache masks and 0 bandwidth delays this CPU takes 0"));
	assert_null(hook);
}

/* What if the processor has the second cache only, fewer classes, or nothing at all? */
static void test_less(void **state)
{
	(void)state;
	want(4, 4, false);
	test_vm(0)->config = &config;
	start(RES_L2, 2, 0);
	assert_string_equal(fake_report_text, "boot: RDT: of 4 cache masks and 4 bandwidth delays this CPU takes "
				    "2 and 0; what is beyond is in class 0\n");
	run(test_vcpu(0, 0));
	assert_int_equal(fake_msr_get(L2_MASK + 1), 0xF0);
	assert_int_equal(fake_msr_get(PQR), 0);
	start(0, 1, 0);
	assert_null(hook);
	assert_string_equal(fake_report_text, "boot: RDT: of 4 cache masks and 4 bandwidth delays this CPU takes "
				    "0 and 0\n");
	fake_cpuid_set(0, 0, 0xD, 0, 0, 0);
	start(RES_L3, 16, 0);
	assert_null(hook);
	assert_int_equal(fake_msr_gp, 0);
}

/* What if a guest looks for it? */
static void test_hidden(void **state)
{
	static const uint32_t numbers[] = {QOS_CFG, 0xC82, 0xC8D, 0xC8E, PQR, MASK, L2_MASK, DELAY};
	struct vcpu *vcpu = test_vcpu(0, 0);
	uint64_t val;

	(void)state;
	want(4, 0, false);
	start(RES_L3, 16, 0);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		assert_int_equal(vmsr_read(vcpu, numbers[i], &val), -EINVAL);
		assert_int_equal(vmsr_write(vcpu, numbers[i], 0), -EINVAL);
		assert_true(msr_exits(vcpu->vm, numbers[i], false));
		assert_true(msr_exits(vcpu->vm, numbers[i], true));
	}
	vcpu->gpr[GPR_RAX] = 0x10;
	vcpu->gpr[GPR_RCX] = 0;
	test_exit(vcpu, EXIT_CPUID);
	assert_int_equal(vcpu->gpr[GPR_RBX], 0);
	vcpu->gpr[GPR_RAX] = 7;
	vcpu->gpr[GPR_RCX] = 0;
	test_exit(vcpu, EXIT_CPUID);
	assert_int_equal(vcpu->gpr[GPR_RBX] & (BIT32(15) | BIT32(12)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_classes, guest_setup, guest_teardown),
		cmocka_unit_test_setup_teardown(test_second_vcpu, guest_setup, guest_teardown),
		cmocka_unit_test_setup_teardown(test_cdp, guest_setup, guest_teardown),
		cmocka_unit_test_setup_teardown(test_less, guest_setup, guest_teardown),
		cmocka_unit_test_setup_teardown(test_hidden, guest_setup, guest_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
