// SPDX-License-Identifier: BSD-3-Clause
// links: tests/unit/hypervisor/linux_abi.c
/*
 * Are include/acrn's structures and numbers those of Linux's <linux/acrn.h>, byte for byte?
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "acrn/hypercall.h"
#include "acrn/ioreq.h"
#include "linux_abi.h"

#define NAME_FIELD    name
#define PIO(f)	      f
#define MMIO(f)	      MMIO_##f
#define MMIO_address  address
#define MMIO_value    mmio_value
#define PCI(f)	      f
#define SIZE(s)	      {"sizeof " #s, sizeof(struct s)},
#define OFFSET(s, f)  {#s "." #f, offsetof(struct s, f)},
#define OFFSET_AS(s, f, as) {#s "." #as, offsetof(struct s, f)},
#define SIZE_OF_PAGE(s) {"page", ACRN_IOREQ_SLOTS * sizeof(struct s)},
#define NUMBER(name, linux_name, own_name) {#name, own_name},

static const struct abi_fact own_abi[] = {
#include "abi_facts.h"
};

static void test_same(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(own_abi); i++) {
		assert_string_equal(own_abi[i].name, linux_abi[i].name);
		if (own_abi[i].value != linux_abi[i].value)
			fail_msg("%s: %lu, Linux has %lu", own_abi[i].name, own_abi[i].value,
				 linux_abi[i].value);
	}
	assert_null(linux_abi[ARRAY_SIZE(own_abi)].name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
