// SPDX-License-Identifier: BSD-3-Clause
/*
 * "-s N,ahci[-hd|-cd],[hd:|cd:]path[,option...][,hd:path|,cd:path...]": a SATA controller (AHCI
 * 1.3) with a drive on each of its ports. Here are its registers, the ports' and the set-up.
 *
 * Registers are reached on the I/O request thread, commands end there or on a worker of the block
 * backend: h->lock covers all of the state. A port is stopped by letting go of the lock while the
 * backend is drained; what ends meanwhile sees p->stopping and touches nothing.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ahci.h"
#include "log.h"

#define VENDOR	   0x8086U
#define DEVICE	   0x2821U
#define CLASS_AHCI 0x010601U
#define BAR	   5U
#define BAR_BYTES  4096U

/* Of the controller. */
#define REG_CAP 0x00U
#define REG_GHC 0x04U
#define REG_IS	0x08U
#define REG_PI	0x0cU
#define REG_VS	0x10U
#define CAP	0x81241f00U /* 64-bit addresses, CLO, 3 Gbit/s, AHCI only, 32 slots */
#define GHC_HR	0x1U
#define GHC_IE	0x2U
#define GHC_AE	0x80000000U
#define VERSION 0x00010300U

/* Of a port. */
#define PORTS_AT     0x100U
#define PORT_BYTES   0x80U
#define PORT_CLB     0x00U
#define PORT_CLBU    0x04U
#define PORT_FB	     0x08U
#define PORT_FBU     0x0cU
#define PORT_IS	     0x10U
#define PORT_IE	     0x14U
#define PORT_CMD     0x18U
#define PORT_TFD     0x20U
#define PORT_SIG     0x24U
#define PORT_SSTS    0x28U
#define PORT_SCTL    0x2cU
#define PORT_SERR    0x30U
#define PORT_CI	     0x38U
#define CMD_FIXED    0x6U /* spun up, powered on */
#define CMD_CLO	     (1U << 3)
#define CMD_ATAPI    (1U << 24)
#define CMD_WRITABLE (CMD_ST | CMD_FRE)
#define IE_BITS	     0xfdc000ffU
#define LIST_ALIGN   0x3ffU
#define FIS_ALIGN    0xffU
#define SSTS_READY   0x123U /* active, generation 2, a drive is there */
#define DET	     0xfU
#define DET_RESET    0x1U
#define DET_OFF	     0x4U

static uint32_t port_pending(const struct ahci_port *p)
{
	return p->is | ((p->serr & SERR_X) != 0 ? IS_PCS : 0);
}

void ahci_update_irq(struct ahci *h)
{
	uint32_t old = h->is;
	bool level;

	for (unsigned int i = 0; i < h->ports; i++) {
		if ((port_pending(&h->port[i]) & h->port[i].ie) != 0)
			h->is |= 1U << i;
	}
	level = h->irq_enable && h->is != 0;
	/* A message for each port that joins, since the handler may have looked already. */
	if (level && ((h->is & ~old) != 0 || !h->level))
		pci_msi_notify(h->dev, 0);
	if (level != h->level)
		pci_intx_set(h->dev, level);
	h->level = level;
}

/* --- stopping and resetting --- */

/* Afterwards nothing of the port is in flight. The lock is let go meanwhile. */
static void stop(struct ahci_port *p)
{
	p->stopping = true;
	pthread_mutex_unlock(&p->hba->lock);
	block_drain(p->block);
	pthread_mutex_lock(&p->hba->lock);
	p->stopping = false;
	p->busy = false;
	p->halted = false;
	p->ci = 0;
}

/* The link comes up anew. */
static void link_up(struct ahci_port *p)
{
	p->in_reset = false;
	p->sense_key = 0;
	p->sense_code = 0;
	p->write_cache = p->info->writeback;
	p->ssts = SSTS_READY;
	p->serr |= SERR_X;
	ahci_sign(p);
}

static void reset(struct ahci *h)
{
	for (unsigned int i = 0; i < h->ports; i++) {
		struct ahci_port *p = &h->port[i];

		stop(p);
		p->list = 0;
		p->received = 0;
		p->ie = 0;
		p->cmd = 0;
		p->sctl = 0;
		p->serr = 0;
		link_up(p);
		p->is = 0;
	}
	h->is = 0;
	h->irq_enable = false;
	ahci_update_irq(h);
}

static void set_link(struct ahci_port *p, uint32_t value)
{
	uint32_t old = p->sctl & DET;

	p->sctl = value & 0xfffU;
	switch (value & DET) {
	case DET_RESET:
	case DET_OFF:
		stop(p);
		p->ssts = (value & DET) == DET_OFF ? DET_OFF : 0;
		p->tfd = 0x7f;
		break;
	default:
		if (old != 0)
			link_up(p);
	}
}

static void set_command(struct ahci_port *p, uint32_t value)
{
	if ((p->cmd & CMD_ST) != 0 && (value & CMD_ST) == 0)
		stop(p);
	p->cmd = value & CMD_WRITABLE;
	if ((value & CMD_CLO) != 0)
		p->tfd &= ~(ATA_BUSY | ATA_DRQ);
}

/* --- registers --- */

static uint32_t port_read(const struct ahci_port *p, unsigned int reg)
{
	switch (reg) {
	case PORT_CLB:
		return (uint32_t)p->list;
	case PORT_CLBU:
		return (uint32_t)(p->list >> 32);
	case PORT_FB:
		return (uint32_t)p->received;
	case PORT_FBU:
		return (uint32_t)(p->received >> 32);
	case PORT_IS:
		return port_pending(p);
	case PORT_IE:
		return p->ie;
	case PORT_CMD:
		return p->cmd | CMD_FIXED | (p->atapi ? CMD_ATAPI : 0) | p->slot << 8 |
		       ((p->cmd & CMD_FRE) != 0 ? 1U << 14 : 0) |
		       ((p->cmd & CMD_ST) != 0 ? 1U << 15 : 0);
	case PORT_TFD:
		return p->busy ? p->tfd | ATA_BUSY : p->tfd;
	case PORT_SIG:
		return p->sig;
	case PORT_SSTS:
		return p->ssts;
	case PORT_SCTL:
		return p->sctl;
	case PORT_SERR:
		return p->serr;
	case PORT_CI:
		return p->ci;
	default:
		return 0;
	}
}

static uint64_t low_half(uint64_t old, uint32_t value)
{
	return (old & ~(uint64_t)UINT32_MAX) | value;
}

static uint64_t high_half(uint64_t old, uint32_t value)
{
	return (old & UINT32_MAX) | (uint64_t)value << 32;
}

static void port_write(struct ahci_port *p, unsigned int reg, uint32_t value)
{
	switch (reg) {
	case PORT_CLB:
		p->list = low_half(p->list, value & ~LIST_ALIGN);
		break;
	case PORT_CLBU:
		p->list = high_half(p->list, value);
		break;
	case PORT_FB:
		p->received = low_half(p->received, value & ~FIS_ALIGN);
		break;
	case PORT_FBU:
		p->received = high_half(p->received, value);
		break;
	case PORT_IS:
		p->is &= ~value;
		break;
	case PORT_IE:
		p->ie = value & IE_BITS;
		break;
	case PORT_CMD:
		set_command(p, value);
		break;
	case PORT_SCTL:
		set_link(p, value);
		break;
	case PORT_SERR:
		p->serr &= ~value;
		break;
	case PORT_CI:
		if ((p->cmd & CMD_ST) != 0 && p->ssts == SSTS_READY)
			p->ci |= value;
		break;
	default:
		break;
	}
	ahci_run(p);
}

static uint32_t hba_read(const struct ahci *h, unsigned int reg)
{
	switch (reg) {
	case REG_CAP:
		return CAP | (h->ports - 1);
	case REG_GHC:
		return GHC_AE | (h->irq_enable ? GHC_IE : 0);
	case REG_IS:
		return h->is;
	case REG_PI:
		return (1U << h->ports) - 1;
	case REG_VS:
		return VERSION;
	default:
		return 0;
	}
}

static void hba_write(struct ahci *h, unsigned int reg, uint32_t value)
{
	if (reg == REG_GHC && (value & GHC_HR) != 0)
		reset(h);
	else if (reg == REG_GHC)
		h->irq_enable = (value & GHC_IE) != 0;
	else if (reg == REG_IS)
		h->is &= ~value;
}

static uint64_t ahci_bar_read(struct pci_device *dev, unsigned int bar, uint64_t offset,
			      unsigned int size)
{
	struct ahci *h = dev->priv;
	unsigned int reg = (unsigned int)offset & ~3U, shift = 8 * (offset & 3);
	unsigned int port = (reg - PORTS_AT) / PORT_BYTES;
	uint64_t value = 0;

	(void)bar;
	(void)size; /* the caller takes as many bytes as it wants */
	pthread_mutex_lock(&h->lock);
	if (reg < PORTS_AT)
		value = hba_read(h, reg);
	else if (port < h->ports)
		value = port_read(&h->port[port], reg % PORT_BYTES);
	pthread_mutex_unlock(&h->lock);
	return value >> shift;
}

static void ahci_bar_write(struct pci_device *dev, unsigned int bar, uint64_t offset,
			   unsigned int size, uint64_t value)
{
	struct ahci *h = dev->priv;
	unsigned int reg = (unsigned int)offset, port = (reg - PORTS_AT) / PORT_BYTES;

	(void)bar;
	if (size < 4 || reg % 4 != 0) {
		log_guest("%s: write of %u bytes at 0x%x ignored", dev->name, size, reg);
		return;
	}
	pthread_mutex_lock(&h->lock);
	if (reg < PORTS_AT)
		hba_write(h, reg, (uint32_t)value);
	else if (port < h->ports)
		port_write(&h->port[port], reg % PORT_BYTES, (uint32_t)value);
	ahci_update_irq(h);
	pthread_mutex_unlock(&h->lock);
}

static void ahci_reset(struct pci_device *dev)
{
	struct ahci *h = dev->priv;

	pthread_mutex_lock(&h->lock);
	reset(h);
	pthread_mutex_unlock(&h->lock);
}

/* --- set-up --- */

static void close_ports(struct ahci *h)
{
	for (unsigned int i = 0; i < h->ports; i++) {
		struct ahci_port *p = &h->port[i];

		pthread_mutex_lock(&h->lock);
		stop(p);
		p->cmd = 0;
		pthread_mutex_unlock(&h->lock);
		block_close(p->block);
	}
	pthread_mutex_destroy(&h->lock);
	free(h);
}

/* @config is the block backend's, of one drive. */
static int add_drive(struct ahci *h, const char *config, bool atapi)
{
	struct ahci_port *p = &h->port[h->ports];
	int err;

	if (h->ports == AHCI_PORTS) {
		log_err("%s: it has %u ports", h->dev->name, AHCI_PORTS);
		return -EINVAL;
	}
	err = block_open(&p->block, h->dev->name, config);
	if (err < 0)
		return err;
	p->hba = h;
	p->atapi = atapi;
	p->info = block_info(p->block);
	h->ports++;
	if (!atapi && p->info->size == 0) {
		log_err("%s: a disk that is not there cannot be attached to a port", h->dev->name);
		return -EINVAL;
	}
	if (!atapi && p->info->logical != BLOCK_SECTOR)
		log_notice("%s: its sectors have %u bytes", h->dev->name, BLOCK_SECTOR);
	return 0;
}

/* Where the next drive begins in @text, at its ",hd:" or ",cd:"; NULL: there is none. */
static char *next_drive(char *text)
{
	char *hd = strstr(text, ",hd:"), *cd = strstr(text, ",cd:");

	return hd == NULL || (cd != NULL && cd < hd) ? cd : hd;
}

static int add_drives(struct ahci *h, const char *config, bool cd)
{
	char copy[AHCI_PORTS * (PATH_MAX + 256)], one[PATH_MAX + 256], *drive = copy;
	int err = 0;

	if (snprintf(copy, sizeof(copy), "%s", config) >= (int)sizeof(copy))
		return -EINVAL;
	while (drive != NULL && err == 0) {
		char *next;
		bool atapi = cd;

		if (strncmp(drive, "hd:", 3) == 0 || strncmp(drive, "cd:", 3) == 0) {
			atapi = drive[0] == 'c';
			drive += 3;
		}
		next = next_drive(drive);
		if (next != NULL)
			*next++ = '\0';
		if (snprintf(one, sizeof(one), "%s%s", drive, atapi ? ",ro" : "") >=
		    (int)sizeof(one))
			err = -EINVAL;
		else
			err = add_drive(h, one, atapi);
		drive = next;
	}
	return err;
}

static int create(struct pci_device *dev, const char *config, bool cd)
{
	struct ahci *h;
	int err;

	if (config == NULL) {
		log_err("%s: no drive given: the form is ahci,hd:path[,cd:path...]", dev->name);
		return -EINVAL;
	}
	h = calloc(1, sizeof(*h));
	if (h == NULL)
		return -ENOMEM;
	h->dev = dev;
	pthread_mutex_init(&h->lock, NULL);
	pci_cfg_set_ids(dev, VENDOR, DEVICE, CLASS_AHCI, 0);
	err = add_drives(h, config, cd);
	if (err == 0)
		err = pci_bar_add(dev, BAR, PCI_BAR_MEM32, BAR_BYTES, false);
	if (err == 0)
		err = pci_msi_add(dev, 1);
	if (err < 0) {
		close_ports(h);
		return err;
	}
	pci_intx_add(dev);
	dev->priv = h;
	ahci_reset(dev);
	return 0;
}

static int ahci_init(struct pci_device *dev, const char *config)
{
	return create(dev, config, false);
}

static int ahci_cd_init(struct pci_device *dev, const char *config)
{
	return create(dev, config, true);
}

static void ahci_deinit(struct pci_device *dev)
{
	close_ports(dev->priv);
}

#define AHCI_DEVICE(object, named, start)                                                          \
	static const struct pci_ops object = {                                                     \
		.name = (named),                                                                   \
		.init = (start),                                                                   \
		.deinit = ahci_deinit,                                                             \
		.reset = ahci_reset,                                                               \
		.bar_read = ahci_bar_read,                                                         \
		.bar_write = ahci_bar_write,                                                       \
	};                                                                                         \
	PCI_DEVICE(object)

AHCI_DEVICE(ahci, "ahci", ahci_init);
AHCI_DEVICE(ahci_hd, "ahci-hd", ahci_init);
AHCI_DEVICE(ahci_cd, "ahci-cd", ahci_cd_init);
