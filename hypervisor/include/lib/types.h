/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LIB_TYPES_H
#define LIB_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The four address spaces. Each is a type of its own, so that handing a guest-physical address
 * to something that wants a host-physical one does not compile. `.v` is the plain number, in bytes.
 */
typedef struct {
	uint64_t v;
} hpa_t; /* host-physical */

typedef struct {
	uint64_t v;
} gpa_t; /* guest-physical, of one VM */

typedef struct {
	uint64_t v;
} gva_t; /* guest-virtual (linear), of one vCPU */

#define HPA(x) ((hpa_t){(uint64_t)(x)})
#define GPA(x) ((gpa_t){(uint64_t)(x)})
#define GVA(x) ((gva_t){(uint64_t)(x)})

#define PAGE_SHIFT   12U
#define PAGE_SIZE    4096UL
#define PAGE_MASK    (~(PAGE_SIZE - 1UL))
#define PAGE_SIZE_2M 0x200000UL
#define PAGE_SIZE_1G 0x40000000UL

#define KB(x) ((uint64_t)(x) << 10)
#define MB(x) ((uint64_t)(x) << 20)
#define GB(x) ((uint64_t)(x) << 30)

#define ARRAY_SIZE(a)	 (sizeof(a) / sizeof((a)[0]))
#define ALIGN_UP(x, a)	 (((x) + (a) - 1U) & ~((a) - 1U))
#define ALIGN_DOWN(x, a) ((x) & ~((a) - 1U))
#define MIN(a, b)	 ((a) < (b) ? (a) : (b))
#define MAX(a, b)	 ((a) > (b) ? (a) : (b))

#define BIT(n)	 (1UL << (n))
#define BIT32(n) ((uint32_t)1U << (n))

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))

#define __force_inline	  inline __attribute__((always_inline))
#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define __packed	  __attribute__((packed))
#define __aligned(n)	  __attribute__((aligned(n)))
#define __section(s)	  __attribute__((section(s)))
#define __used		  __attribute__((used))
#define __noreturn	  __attribute__((noreturn))
#define __noinline	  __attribute__((noinline))
#define __printf_fmt(a, b) __attribute__((format(printf, a, b)))
#define __must_check	  __attribute__((warn_unused_result))

#endif
