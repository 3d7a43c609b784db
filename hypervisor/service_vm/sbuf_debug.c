// SPDX-License-Identifier: BSD-3-Clause
/*
 * HC_SETUP_SBUF in a debug build: a ring of the Service VM's takes the place of a physical CPU's own
 * ring for its log or trace. On the calling vCPU's CPU; takes no lock, since the CPU whose ring it
 * is is waited for.
 */
#include "acrn/trace.h"
#include "hv/gmem.h"
#include "hv/mm.h"
#include "hv/rings.h"
#include "lib/errno.h"
#include "lib/kconfig.h"
#include "lib/sbuf.h"
#include "hypercall.h"

/* [gpa, gpa+size) is the caller's RAM, in one piece of the machine's too. */
static int find_ram(struct vm *vm, uint64_t gpa, uint64_t size, hpa_t *hpa)
{
	uint64_t left;

	for (uint64_t done = 0U; done < size; done += left) {
		uint64_t at = gpa + done;
		hpa_t found;

		left = MIN(size - done, PAGE_SIZE - at % PAGE_SIZE);
		if (hc_ram(vm, GPA(at), left, &found) != 0) {
			return -EFAULT;
		}
		if (done == 0U) {
			*hpa = found;
		} else if (found.v != hpa->v + done) {
			return -EFAULT;
		} else {
			/* it goes on */
		}
	}
	return 0;
}

/* A CPU's ring has any size. */
static int open_large(struct vm *vm, uint64_t gpa, uint32_t ele_size, struct sbuf *b)
{
	struct sbuf_header h;
	uint64_t size;
	hpa_t hpa;
	int err = gmem_read(vm, GPA(gpa), &h, sizeof(h));

	if (err != 0) {
		return err;
	}
	size = (uint64_t)h.ele_num * h.ele_size;
	if (h.magic != SBUF_MAGIC || h.ele_size != ele_size || h.size != size ||
	    size > SBUF_MAX_SIZE || (gpa % sizeof(uint64_t)) != 0U) {
		return -EINVAL;
	}
	size += sizeof(h);
	err = find_ram(vm, gpa, size, &hpa);
	return (err != 0) ? err : sbuf_open(b, hpa_ptr(hpa), &h, size);
}

int sbuf_setup_of_cpu(struct vm *caller, const struct acrn_sbuf_param *p)
{
	uint32_t size = (p->sbuf_id == ACRN_SBUF_TRACE) ? (uint32_t)sizeof(struct trace_entry)
							: HVLOG_ENTRY;
	struct sbuf b;
	int err;

	if (p->sbuf_id >= RING_KINDS) {
		return -EINVAL;
	}
	if (p->gpa == 0U) {
		return rings_redirect(p->sbuf_id, p->cpu_id, NULL);
	}
	err = open_large(caller, p->gpa, size, &b);
	return (err != 0) ? err : rings_redirect(p->sbuf_id, p->cpu_id, &b);
}
