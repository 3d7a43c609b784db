// SPDX-License-Identifier: BSD-3-Clause
/*
 * Memory shared between VMs: for each region of the scenario a PCI function, 1AF4:1110, in every VM
 * that the region names and no other.  BAR 0 has the registers, BAR 1 the MSI-X table, BAR 2 shows
 * the memory, which is taken from the memory map at boot.  A write to the doorbell sends one of the
 * peer's messages; the peer's id is its VM id.  A region's lock covers who is there, and is taken
 * before a VM's vPCI lock.
 */
#include "lib/errno.h"
#include "lib/kconfig.h"
#include "lib/spinlock.h"
#include "lib/string.h"
#include "hv/boot.h"
#include "hv/log.h"
#include "hv/mm.h"
#include "hv/unit.h"
#include "hv/vfunc.h"
#include "hv/vio.h"
#include "hv/vm.h"

#define BAR_REGISTERS 0U
#define BAR_MSIX      1U
#define BAR_MEMORY    2U
#define VECTORS	      8U
#define PREFIX	      "hv:/"
#define PREFIX_LEN    4U

#define REG_INTR_MASK	0x0U /* of interrupt lines, which this function has not: kept, no effect */
#define REG_INTR_STATUS 0x4U
#define REG_IV_POSITION 0x8U
#define REG_DOORBELL	0xCU
#define DOORBELL_PEER(v)   ((v) >> 16)
#define DOORBELL_VECTOR(v) ((v) & 0xFFFFU)

struct end {
	struct region *region;
	struct vfunc *f; /* NULL: the VM is not there, or has not made the function */
	uint32_t intr_mask;
};

struct region {
	const struct ivshmem_config *cfg;
	hpa_t base;
	spinlock_t lock;
	struct end end[CONFIG_MAX_VM_NUM]; /* by VM id */
};

static struct region *regions;

static struct region *find(const char *text)
{
	if (strncmp(text, PREFIX, PREFIX_LEN) != 0) {
		return NULL;
	}
	for (uint16_t i = 0U; i < ivshmem_config_count; i++) {
		if (strcmp(text + PREFIX_LEN, regions[i].cfg->name) == 0) {
			return &regions[i];
		}
	}
	return NULL;
}

static int check(const struct vm *vm, const struct region *r, const struct vfunc_args *args)
{
	if (!r) {
		pr_err("%s: there is no shared memory %.32s", vm->name, args->text);
		return -ENOENT;
	}
	if (!vm->config || (r->cfg->vms & BIT(vm->id)) == 0U) {
		pr_err("%s: shared memory %s is for other VMs", vm->name, r->cfg->name);
		return -EPERM;
	}
	if (args->size[BAR_MEMORY] != 0U && args->size[BAR_MEMORY] != r->cfg->size) {
		pr_err("%s: shared memory %s has %lu MB, not %u", vm->name, r->cfg->name,
		       r->cfg->size >> 20, args->size[BAR_MEMORY] >> 20);
		return -EINVAL;
	}
	if (r->end[vm->id].f) {
		pr_err("%s: it has shared memory %s already", vm->name, r->cfg->name);
		return -EEXIST;
	}
	return 0;
}

static int ivshmem_init(struct vfunc *f, const struct vfunc_args *args)
{
	const struct vm *vm = vfunc_vm(f);
	struct region *r = args ? find(args->text) : NULL;
	int ret = args ? check(vm, r, args) : -EINVAL;
	struct end *end;

	if (ret != 0) {
		return ret;
	}
	vfunc_bar_trap(f, BAR_REGISTERS, PAGE_SIZE);
	vfunc_msix(f, BAR_MSIX, VECTORS);
	vfunc_bar_memory(f, BAR_MEMORY, r->cfg->size, r->base);
	end = &r->end[vm->id];
	end->region = r;
	end->intr_mask = 0U;
	vfunc_set_priv(f, end);
	spin_lock(&r->lock);
	end->f = f;
	spin_unlock(&r->lock);
	return 0;
}

static void ivshmem_reset(struct vfunc *f)
{
	struct end *end = vfunc_priv(f);

	end->intr_mask = 0U;
}

static void ivshmem_deinit(struct vfunc *f)
{
	struct end *end = vfunc_priv(f);

	spin_lock(&end->region->lock);
	end->f = NULL;
	spin_unlock(&end->region->lock);
}

/* A peer that is not there hears nothing, as on a wire. */
static void ring(struct region *r, uint32_t val)
{
	uint32_t peer = DOORBELL_PEER(val);

	spin_lock(&r->lock);
	if (peer < CONFIG_MAX_VM_NUM && r->end[peer].f) {
		vfunc_raise(r->end[peer].f, DOORBELL_VECTOR(val));
	}
	spin_unlock(&r->lock);
}

/* Registers are 32 bits wide, and answer to nothing else. */
static void ivshmem_access(struct vfunc *f, uint32_t bar, uint64_t offset, struct io_access *io)
{
	struct end *end = vfunc_priv(f);

	(void)bar;
	if (io->width != 4U) {
		return;
	}
	switch (offset) {
	case REG_INTR_MASK:
		if (io->write) {
			end->intr_mask = (uint32_t)io->value;
		} else {
			io->value = end->intr_mask;
		}
		break;
	case REG_INTR_STATUS:
		io->value = 0U;
		break;
	case REG_IV_POSITION:
		io->value = vfunc_vm(f)->id;
		break;
	case REG_DOORBELL:
		if (io->write) {
			ring(end->region, (uint32_t)io->value);
		} else {
			io->value = 0U;
		}
		break;
	default:
		break;
	}
}

VFUNC(ivshmem, .name = "ivshmem", .vendor = 0x1AF4, .device = 0x1110, .sub_vendor = 0x1AF4,
      .sub_device = 0x1100, .class_rev = 0x05000001 /* RAM */, .init = ivshmem_init,
      .reset = ivshmem_reset, .deinit = ivshmem_deinit, .access = ivshmem_access);

/* Those of post-launched VMs are made by hypercall. */
static int ivshmem_vm_init(struct vm *vm)
{
	for (uint16_t i = 0U; i < ivshmem_config_count && vm->load_order != POST_LAUNCHED_VM; i++) {
		const struct ivshmem_config *cfg = &ivshmem_configs[i];
		struct vfunc_args args = {.text = PREFIX};

		if ((cfg->vms & BIT(vm->id)) != 0U) {
			(void)string_copy(&args.text[PREFIX_LEN], cfg->name, sizeof(cfg->name));
			vfunc_create_at(vm, vfunc_type_find(0x1AF4, 0x1110), cfg->bdf[vm->id],
					&args);
		}
	}
	return 0;
}

/* Regions are a power of two from 2 MB: the largest first, each is aligned to its size. */
static int ivshmem_boot(void)
{
	uint64_t total = 0U;
	hpa_t base;
	int ret;

	for (uint16_t i = 0U; i < ivshmem_config_count; i++) {
		total += ivshmem_configs[i].size;
	}
	if (total == 0U) {
		return 0;
	}
	ret = boot_alloc_shared(total, &base);
	if (ret != 0) {
		report("ivshmem: no %lu MB of free RAM", total >> 20);
		return ret;
	}
	regions = boot_alloc(ivshmem_config_count * sizeof(*regions), 64U);
	for (uint16_t i = 0U; i < ivshmem_config_count; i++) {
		regions[i].cfg = &ivshmem_configs[i];
		regions[i].base = base;
		base.v += ivshmem_configs[i].size;
	}
	return 0;
}

UNIT(ivshmem) = {
	.name = "ivshmem",
	.level = UNIT_DEV,
	.boot = ivshmem_boot,
	.vm_init = ivshmem_vm_init,
};
