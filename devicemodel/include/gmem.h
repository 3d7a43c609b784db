// SPDX-License-Identifier: BSD-3-Clause
/*
 * Guest memory, and the only way from a guest-physical address to a pointer.
 *
 * Low RAM and high RAM are each one contiguous piece of this process's address
 * space, whatever segments the hypervisor maps them in, so a checked range is
 * always one pointer. What it points to is shared with the running guest: copy
 * once, check the copy, use the copy.
 */
#ifndef DM_GMEM_H
#define DM_GMEM_H

#include <stdint.h>

struct vm;

/* Bytes per SET_MEMSEG where pages are smaller; the HSM takes 256 segments and a 32-bit size. */
#define GMEM_SEGMENT (64ULL << 20)
#define GMEM_ALIGN   (2ULL << 20)
#define GMEM_MAX     (256ULL * GMEM_SEGMENT)

/*
 * Reserve and map size bytes (rounded up to GMEM_ALIGN), from huge pages where
 * the system has free ones, and hand the segments to the hypervisor.
 */
int gmem_create(struct vm *vm, uint64_t size);
void gmem_destroy(struct vm *vm);

/* Bytes of RAM from GPA 0, and from VM_HIGHMEM_BASE. */
uint64_t gmem_low_size(const struct vm *vm);
uint64_t gmem_high_size(const struct vm *vm);

/*
 * Host pointer to the guest's [gpa, gpa + len), NULL when any byte of it is not
 * RAM. len 0 is valid where gpa itself is RAM. Any thread.
 */
void *gmem_ptr(const struct vm *vm, uint64_t gpa, uint64_t len);

/* All RAM, for those who access it by other ways than this process's. */
#define GMEM_PIECES 2U
struct gmem_piece {
	uint64_t gpa, size;
	void *hva;
	int fd; /* gmem.c's, for other processes to map; offset 0 is gpa. -1: no vhost-user device
		 */
};

/* Fills in @pieces; how many there are. Any thread. */
unsigned int gmem_pieces(const struct vm *vm, struct gmem_piece pieces[GMEM_PIECES]);

#endif
