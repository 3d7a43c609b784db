/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_EPT_H
#define HV_EPT_H

#include "lib/types.h"
#include "lib/spinlock.h"
#include "hv/pgtable.h"

/*
 * Second-level tables of one VM (SDM 3C 29.3). Lock order: ept->lock is innermost. Changes that
 * take rights away are followed by ept_flush(), with no lock held.
 */
struct ept {
	spinlock_t lock;
	struct pgtable pt;
	uint64_t eptp;
	volatile uint32_t changes; /* counts them: what was looked up before one may be stale */
	bool uncached;		   /* some of it was mapped so: a device, which may go round the caches */
	volatile uint64_t cpus; /* pCPUs that may hold translations of this VM, by id */
};

int ept_init(struct ept *ept);	  /* -ENOMEM */
void ept_destroy(struct ept *ept); /* gives all tables back; flush first */

/*
 * Map [gpa, gpa+size) to hpa with `attr` = EPT_RWX bits | EPT_MT_x; replaces what was there, in the
 * largest pages alignment and the CPU allow. All 4 KB multiples. -EINVAL; -ENOMEM: the range is as
 * it was, or, after ept_map(), not mapped at all.
 */
int ept_map(struct ept *ept, gpa_t gpa, hpa_t hpa, uint64_t size, uint64_t attr);
int ept_unmap(struct ept *ept, gpa_t gpa, uint64_t size);

/*
 * Translate; *left (may be NULL) gets the bytes up to the end of that page, *attr (may be NULL) its
 * rights and memory type. -ENOENT if nothing is mapped: *left bytes from here on are not.
 */
int ept_lookup(struct ept *ept, gpa_t gpa, hpa_t *hpa, uint64_t *left, uint64_t *attr);

/* No CPU uses a stale translation of this VM when it returns. The caller holds no lock. */
void ept_flush(struct ept *ept);

#endif
