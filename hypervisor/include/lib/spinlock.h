/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LIB_SPINLOCK_H
#define LIB_SPINLOCK_H

#include "lib/atomic.h"

/*
 * A ticket lock. Root mode runs with interrupts off, so that there is no irq-saving form; never
 * call schedule() or smp_call() with one held: the other CPU may be spinning for it.
 */
typedef struct {
	volatile uint32_t next;
	volatile uint32_t owner;
} spinlock_t;

static inline void spin_lock(spinlock_t *l)
{
	uint32_t ticket = atomic_add32(&l->next, 1U);

	while (atomic_read32(&l->owner) != ticket) {
		cpu_relax();
	}
}

/* True: taken. */
static inline bool spin_trylock(spinlock_t *l)
{
	uint32_t owner = atomic_read32(&l->owner);

	return atomic_cmpxchg32(&l->next, owner, owner + 1U);
}

/* For what a panic prints too: a holder that was stopped is not waited for. True: taken. */
static inline bool spin_lock_soon(spinlock_t *l)
{
	bool locked = spin_trylock(l);

	for (uint32_t i = 0U; i < 100000U && !locked; i++) {
		cpu_relax();
		locked = spin_trylock(l);
	}
	return locked;
}

static inline void spin_unlock(spinlock_t *l)
{
	__atomic_store_n(&l->owner, l->owner + 1U, __ATOMIC_RELEASE);
}

/* The same; other CPUs see all that was written until here before this one reads anything more. */
static inline void spin_unlock_ordered(spinlock_t *l)
{
	(void)atomic_add32(&l->owner, 1U);
}

#endif
