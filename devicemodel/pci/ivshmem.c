// SPDX-License-Identifier: BSD-3-Clause
/*
 * "-s N,ivshmem,hv:/NAME,MB" and "dm:/NAME,MB": memory shared between VMs, PCI
 * 1AF4:1110. A hv: region is the hypervisor's: it emulates the whole function,
 * which is only placed here. A dm: region is POSIX shared memory of the Service
 * VM, for User VMs only and without interrupts. The HSM has no way to take
 * memory from a running VM, so a dm: region stays where it was put, and is served
 * access by access where the guest moves BAR 2 to. I/O request thread only.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gmem.h"
#include "hsm.h"
#include "log.h"
#include "pci.h"
#include "vm.h"

#define VENDOR	       0x1af4U
#define DEVICE	       0x1110U
#define SUBSYSTEM      0x1100U
#define CLASS_RAM      0x050000U
#define BAR_REGISTERS  0U
#define BAR_MSIX       1U
#define BAR_MEMORY     2U
#define REGISTER_BYTES 256U
#define REG_MASK       0U
#define REG_POSITION   8U
#define NAME_MAX_LEN   27U
#define MB_MIN	       2UL
#define MB_MAX	       512UL

struct ivshmem {
	uint8_t *memory; /* of a dm: region; NULL: the hypervisor's */
	uint64_t size;
	uint32_t mask;
};

/* "hv:/name,8" or with a region id behind, which has no meaning here. */
struct wanted {
	bool hv;
	char name[8 + NAME_MAX_LEN]; /* with hv:/ or dm:/ */
	uint64_t size;
};

static int parse(const struct pci_device *dev, const char *config, struct wanted *w)
{
	const char *comma = config ? strchr(config, ',') : NULL;
	unsigned long mb;
	size_t len;
	char *end;

	if (!comma || (strncmp(config, "hv:/", 4) != 0 && strncmp(config, "dm:/", 4) != 0)) {
		log_err("%s: the form is ivshmem,hv:/NAME,MB or ivshmem,dm:/NAME,MB", dev->name);
		return -EINVAL;
	}
	len = (size_t)(comma - config);
	if (len <= 4 || len > 4 + NAME_MAX_LEN || memchr(config + 4, '/', len - 4)) {
		log_err("%s: a name has 1 to %u characters and no slash", dev->name, NAME_MAX_LEN);
		return -EINVAL;
	}
	w->hv = config[0] == 'h';
	memcpy(w->name, config, len);
	w->name[len] = '\0';
	mb = strtoul(comma + 1, &end, 10);
	if (end == comma + 1 || comma[1] < '0' || comma[1] > '9' || (*end && *end != ',') ||
	    mb < MB_MIN || mb > MB_MAX || (mb & (mb - 1)) != 0) {
		log_err("%s: the size is a power of two from %lu to %lu, in MB", dev->name, MB_MIN,
			MB_MAX);
		return -EINVAL;
	}
	w->size = (uint64_t)mb << 20;
	return 0;
}

/* The function is the hypervisor's from here on: no access to it arrives any more. */
static int create_in_hypervisor(struct pci_device *dev, const struct wanted *w)
{
	int err = pci_bar_add(dev, BAR_MSIX, PCI_BAR_MEM32, REGISTER_BYTES, false);

	if (err)
		return err;
	return pci_hv_create(dev, w->name);
}

/* Memory of that name, made if it is not there; others may have it open. */
static int open_memory(const struct pci_device *dev, const struct wanted *w, struct ivshmem *s)
{
	int fd = shm_open(w->name + 3, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct stat st;
	int err = 0;

	if (fd < 0 || fstat(fd, &st) < 0) {
		err = -errno;
	} else if (st.st_size == 0 && ftruncate(fd, (off_t)w->size) < 0) {
		err = -errno;
	} else if (st.st_size != 0 && (uint64_t)st.st_size != w->size) {
		log_err("%s: %s exists with %lld bytes", dev->name, w->name,
			(long long)st.st_size);
		close(fd);
		return -EEXIST;
	}
	if (!err) {
		s->memory = mmap(NULL, w->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (s->memory == MAP_FAILED)
			err = -errno;
	}
	if (fd >= 0)
		close(fd);
	if (err)
		log_err("%s: cannot open shared memory %s: %s%s", dev->name, w->name,
			strerror(-err), err == -ENOENT ? " (is /dev/shm mounted?)" : "");
	return err;
}

static int create_here(struct pci_device *dev, const struct wanted *w, struct ivshmem *s)
{
	uint64_t gpa = pci_cfg_get32(dev, PCI_BASE_ADDRESS_2) & PCI_BASE_ADDRESS_MEM_MASK;
	int err = open_memory(dev, w, s);

	if (err)
		return err;
	gpa = (gpa & UINT32_MAX) | (uint64_t)pci_cfg_get32(dev, PCI_BASE_ADDRESS_3) << 32;
	err = hsm_map_ram(dev->vm->hsm, gpa, s->memory, w->size);
	if (err) {
		log_err("%s: cannot map %s: %s", dev->name, w->name, strerror(-err));
		munmap(s->memory, w->size);
	}
	return err;
}

static int ivshmem_init(struct pci_device *dev, const char *config)
{
	struct ivshmem *s;
	struct wanted w;
	int err = parse(dev, config, &w);

	if (err)
		return err;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->size = w.size;
	pci_cfg_set_ids(dev, VENDOR, DEVICE, CLASS_RAM, 1);
	pci_cfg_set_subsystem(dev, VENDOR, SUBSYSTEM);
	err = pci_bar_add(dev, BAR_REGISTERS, PCI_BAR_MEM32, REGISTER_BYTES, false);
	if (!err)
		err = pci_bar_add(dev, BAR_MEMORY, PCI_BAR_MEM64, w.size, true);
	if (!err)
		err = w.hv ? create_in_hypervisor(dev, &w) : create_here(dev, &w, s);
	if (err) {
		free(s);
		return err;
	}
	dev->priv = s;
	return 0;
}

/* The VM is paused; its view of the memory ends with it, the memory stays for others. */
static void ivshmem_deinit(struct pci_device *dev)
{
	struct ivshmem *s = dev->priv;

	if (s->memory)
		munmap(s->memory, s->size);
	free(s);
}

static void ivshmem_reset(struct pci_device *dev)
{
	struct ivshmem *s = dev->priv;

	s->mask = 0;
}

static uint64_t ivshmem_read(struct pci_device *dev, unsigned int bar, uint64_t offset,
			     unsigned int size)
{
	const struct ivshmem *s = dev->priv;
	uint64_t value = 0;

	if (bar == BAR_MEMORY && offset <= s->size - size)
		memcpy(&value, s->memory + offset, size);
	else if (bar == BAR_REGISTERS && size == 4 && offset == REG_MASK)
		value = s->mask;
	else if (bar == BAR_REGISTERS && size == 4 && offset == REG_POSITION)
		value = dev->vm->vmid;
	return value;
}

static void ivshmem_write(struct pci_device *dev, unsigned int bar, uint64_t offset,
			  unsigned int size, uint64_t value)
{
	struct ivshmem *s = dev->priv;

	if (bar == BAR_MEMORY && offset <= s->size - size)
		memcpy(s->memory + offset, &value, size);
	else if (bar == BAR_REGISTERS && size == 4 && offset == REG_MASK)
		s->mask = (uint32_t)value;
}

static const struct pci_ops ivshmem = {
	.name = "ivshmem",
	.init = ivshmem_init,
	.deinit = ivshmem_deinit,
	.reset = ivshmem_reset,
	.bar_read = ivshmem_read,
	.bar_write = ivshmem_write,
};
PCI_DEVICE(ivshmem);
