// SPDX-License-Identifier: BSD-3-Clause
/*
 * Guest memory: two pieces of address space, low RAM and high RAM, filled
 * segment by segment from huge pages or plain memory, and mapped into the VM by
 * the HSM. Created before any device thread, constant afterwards: no lock.
 * With a vhost-user device each piece is a memfd, which back ends map as well.
 *
 * Memory is never cleared here: the kernel hands out zeroed pages.
 */
#include "gmem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hsm.h"
#include "hugepage.h"
#include "log.h"
#include "vm.h"

#define HUGE_ORDER  21
#define GIANT_ORDER 30
#define GMEM_GIANT  (1ULL << GIANT_ORDER)

struct gmem_region {
	uint64_t gpa;
	uint64_t size;
	uint8_t *hva;
	void *reserved; /* what mmap returned, for munmap */
	size_t reserved_size;
	uint32_t giant; /* bit n: the n-th GB is one page */
	int fd[2];	/* memory that can be shared, of huge and of small pages; or -1 */
	int shared_fd;	/* the one that is mapped; or -1 */
};

struct gmem {
	struct gmem_region low;
	struct gmem_region high;
};

/*
 * Take address space for size bytes, aligned to its largest pages on both sides. It
 * is inaccessible until the segments are placed in it.
 */
static int reserve(struct gmem_region *region, uint64_t gpa, uint64_t size)
{
	const uint64_t align = size < GMEM_GIANT ? GMEM_ALIGN : GMEM_GIANT;
	uintptr_t start;
	void *p;

	region->gpa = gpa;
	region->size = size;
	if (size == 0)
		return 0;
	region->reserved_size = size + align;
	p = mmap(NULL, region->reserved_size, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return -errno;
	region->reserved = p;
	start = ((uintptr_t)p + align - 1) & ~(uintptr_t)(align - 1);
	region->hva = (uint8_t *)start;
	return 0;
}

static int place_huge(uint8_t *hva, uint64_t len, int order)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_HUGETLB;

	if (mmap(hva, len, PROT_READ | PROT_WRITE, flags | order << MAP_HUGE_SHIFT, -1, 0) ==
	    MAP_FAILED)
		return -errno;
	return 0;
}

/* Of a fixed size: else who has it could shorten it, and our next access would be our last. */
static int make_shared(const struct gmem_region *region, unsigned int flags)
{
	int fd = memfd_create("acrn-dm", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);

	if (fd < 0)
		return -1;
	if (ftruncate(fd, (off_t)region->size) == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
		return fd;
	close(fd);
	return -1;
}

/* What the helper opened would be its own: descriptors are made before. */
static int share(struct gmem_region *region)
{
	if (region->size == 0)
		return 0;
	region->fd[0] = make_shared(region, MFD_HUGETLB | HUGE_ORDER << MAP_HUGE_SHIFT);
	region->fd[1] = make_shared(region, 0);
	return region->fd[1] < 0 ? -ENOMEM : 0;
}

static int place_shared(struct gmem_region *region)
{
	for (int i = 0; i < 2; i++) {
		if (region->fd[i] < 0 ||
		    mmap(region->hva, region->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			 region->fd[i], 0) == MAP_FAILED)
			continue;
		region->shared_fd = region->fd[i];
		return 0;
	}
	return -ENOMEM;
}

/* Huge pages where the kernel has or makes enough for the segment, else plain memory. */
static int place_segment(uint8_t *hva, uint64_t len)
{
	if (place_huge(hva, len, HUGE_ORDER) == 0)
		return 0;
	if (mmap(hva, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		 0) == MAP_FAILED)
		return -errno;
	/* A hint: a kernel without transparent huge pages refuses, and that is fine. */
	(void)madvise(hva, len, MADV_HUGEPAGE);
	return 0;
}

/* The HSM maps a page as a whole, so one page is one segment. */
static uint64_t segment_len(const struct gmem_region *region, uint64_t off)
{
	if ((region->giant >> (off / GMEM_GIANT) & 1U) != 0)
		return GMEM_GIANT;
	return region->size - off < GMEM_SEGMENT ? region->size - off : GMEM_SEGMENT;
}

static int place(struct gmem_region *region)
{
	int err = 0;

	if (region->fd[1] >= 0)
		return place_shared(region);
	/* Of these there are only those that the administrator set aside. */
	for (uint64_t off = 0; region->size - off >= GMEM_GIANT; off += GMEM_GIANT) {
		if (place_huge(region->hva + off, GMEM_GIANT, GIANT_ORDER) < 0)
			break;
		region->giant |= 1U << (off / GMEM_GIANT);
	}
	for (uint64_t off = 0; !err && off < region->size; off += segment_len(region, off)) {
		if (segment_len(region, off) <= GMEM_SEGMENT)
			err = place_segment(region->hva + off, segment_len(region, off));
	}
	return err;
}

static int place_all(void *arg)
{
	struct gmem *gmem = arg;
	int err = place(&gmem->low);

	return err ? err : place(&gmem->high);
}

static int map(struct vm *vm, const struct gmem_region *region)
{
	for (uint64_t off = 0, len; off < region->size; off += len) {
		int err;

		len = segment_len(region, off);
		err = hsm_map_ram(vm->hsm, region->gpa + off, region->hva + off, len);
		if (err) {
			log_err("cannot map guest memory 0x%llx-0x%llx: %s",
				(unsigned long long)(region->gpa + off),
				(unsigned long long)(region->gpa + off + len - 1), strerror(-err));
			return err;
		}
	}
	return 0;
}

static void release(struct gmem_region *region)
{
	if (region->reserved)
		munmap(region->reserved, region->reserved_size);
	for (int i = 0; i < 2; i++) {
		if (region->fd[i] >= 0)
			close(region->fd[i]);
	}
}

static bool is_shared(const struct vm_config *cfg)
{
	for (unsigned int i = 0; i < cfg->slot_count; i++) {
		if (strncmp(cfg->slots[i].name, "vhost-user-", 11) == 0)
			return true;
	}
	return false;
}

static const struct gmem_region nothing = {.fd = {-1, -1}, .shared_fd = -1};

int gmem_create(struct vm *vm, uint64_t size)
{
	struct gmem *gmem;
	uint64_t low;
	int err;

	if (size == 0 || size > GMEM_MAX) {
		log_err("memory size must be between 1 byte and %llu MB",
			(unsigned long long)(GMEM_MAX >> 20));
		return -EINVAL;
	}
	gmem = calloc(1, sizeof(*gmem));
	if (!gmem)
		return -ENOMEM;
	size = (size + GMEM_ALIGN - 1) & ~(GMEM_ALIGN - 1);
	low = size < VM_LOWMEM_LIMIT ? size : VM_LOWMEM_LIMIT;

	vm->gmem = gmem;
	gmem->low = nothing;
	gmem->high = nothing;
	err = reserve(&gmem->low, 0, low);
	if (!err)
		err = reserve(&gmem->high, VM_HIGHMEM_BASE, size - low);
	if (!err && is_shared(&vm->cfg))
		err = share(&gmem->low);
	if (!err && is_shared(&vm->cfg))
		err = share(&gmem->high);
	if (!err)
		err = hugepage_borrow(HUGEPAGE_LIMIT, size / GMEM_ALIGN, place_all, gmem);
	if (err)
		log_err("cannot get %llu MB of memory for the VM: %s",
			(unsigned long long)(size >> 20), strerror(-err));
	if (!err)
		err = map(vm, &gmem->low);
	if (!err)
		err = map(vm, &gmem->high);
	if (err)
		gmem_destroy(vm);
	return err;
}

void gmem_destroy(struct vm *vm)
{
	struct gmem *gmem = vm->gmem;

	if (!gmem)
		return;
	release(&gmem->low);
	release(&gmem->high);
	free(gmem);
	vm->gmem = NULL;
}

uint64_t gmem_low_size(const struct vm *vm)
{
	return vm->gmem->low.size;
}

uint64_t gmem_high_size(const struct vm *vm)
{
	return vm->gmem->high.size;
}

void *gmem_ptr(const struct vm *vm, uint64_t gpa, uint64_t len)
{
	const struct gmem_region *region = gpa < VM_HIGHMEM_BASE ? &vm->gmem->low : &vm->gmem->high;
	uint64_t off = gpa - region->gpa;

	if (off >= region->size || len > region->size - off)
		return NULL;
	return region->hva + off;
}

unsigned int gmem_pieces(const struct vm *vm, struct gmem_piece pieces[GMEM_PIECES])
{
	const struct gmem_region *regions[GMEM_PIECES] = {&vm->gmem->low, &vm->gmem->high};
	unsigned int n = 0;

	for (unsigned int i = 0; i < GMEM_PIECES; i++) {
		const struct gmem_region *r = regions[i];

		if (r->size != 0)
			pieces[n++] = (struct gmem_piece) {r->gpa, r->size, r->hva, r->shared_fd};
	}
	return n;
}
