// SPDX-License-Identifier: BSD-3-Clause
/* See fake_guest.h. Both pieces of memory come from malloc(), whose bounds the sanitizer guards. */
#include <assert.h>
#include <stdlib.h>

#include "fake_guest.h"
#include "gmem.h"
#include "power.h"

static uint8_t *low, *high;

void guest_create(void)
{
	low = calloc(1, GUEST_LOW);
	high = calloc(1, GUEST_HIGH);
	assert(low != NULL && high != NULL);
}

void guest_destroy(void)
{
	free(low);
	free(high);
	low = NULL;
	high = NULL;
}

void *gmem_ptr(const struct vm *vm, uint64_t gpa, uint64_t len)
{
	(void)vm;
	if (gpa < GUEST_LOW && len <= GUEST_LOW - gpa)
		return low + gpa;
	if (gpa >= GUEST_HIGH_BASE && gpa - GUEST_HIGH_BASE < GUEST_HIGH &&
	    len <= GUEST_HIGH - (gpa - GUEST_HIGH_BASE))
		return high + (gpa - GUEST_HIGH_BASE);
	return NULL;
}

void *guest_at(uint64_t gpa, uint64_t len)
{
	void *p = gmem_ptr(NULL, gpa, len);

	assert(p != NULL);
	return p;
}

/* Nobody switches this VM off. */
enum power_action power_pending(const struct vm *vm)
{
	(void)vm;
	return POWER_NONE;
}
