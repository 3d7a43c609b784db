/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LIB_ATOMIC_H
#define LIB_ATOMIC_H

#include "lib/types.h"

/* Words shared with another CPU or the guest; sequentially consistent unless the name says so. */

static inline uint64_t atomic_read64(const volatile uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static inline uint32_t atomic_read32(const volatile uint32_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static inline void atomic_set64(volatile uint64_t *p, uint64_t v)
{
	__atomic_store_n(p, v, __ATOMIC_SEQ_CST);
}

static inline void atomic_set32(volatile uint32_t *p, uint32_t v)
{
	__atomic_store_n(p, v, __ATOMIC_SEQ_CST);
}

static inline uint64_t atomic_or64(volatile uint64_t *p, uint64_t bits)
{
	return __atomic_fetch_or(p, bits, __ATOMIC_SEQ_CST);
}

static inline uint64_t atomic_and64(volatile uint64_t *p, uint64_t bits)
{
	return __atomic_fetch_and(p, bits, __ATOMIC_SEQ_CST);
}

static inline uint32_t atomic_add32(volatile uint32_t *p, uint32_t n)
{
	return __atomic_fetch_add(p, n, __ATOMIC_SEQ_CST);
}

static inline uint64_t atomic_xchg64(volatile uint64_t *p, uint64_t v)
{
	return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);
}

static inline bool atomic_cmpxchg32(volatile uint32_t *p, uint32_t expect, uint32_t v)
{
	return __atomic_compare_exchange_n(p, &expect, v, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
}

/* Bit n of a bitmap of 64-bit words; the set and clear forms return the bit's old value. */
static inline bool atomic_set_bit(volatile uint64_t *map, unsigned int n)
{
	return (atomic_or64(&map[n / 64U], BIT(n % 64U)) & BIT(n % 64U)) != 0U;
}

static inline bool atomic_clear_bit(volatile uint64_t *map, unsigned int n)
{
	return (atomic_and64(&map[n / 64U], ~BIT(n % 64U)) & BIT(n % 64U)) != 0U;
}

static inline bool atomic_test_bit(const volatile uint64_t *map, unsigned int n)
{
	return (atomic_read64(&map[n / 64U]) & BIT(n % 64U)) != 0U;
}

static inline void cpu_relax(void)
{
	__asm__ volatile("pause" ::: "memory");
}

#endif
