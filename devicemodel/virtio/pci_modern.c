// SPDX-License-Identifier: BSD-3-Clause
/*
 * The virtio 1.x PCI transport: capabilities, the registers behind them, doorbells, MSI-X (or MSI)
 * with INTx as the fallback. pci/ calls it in the I/O request thread for every register access.
 *
 * BAR 0 is the legacy interface, where the device type has one (pci_legacy.c); BAR 1 holds the
 * MSI-X table, BAR 2 (I/O ports) the doorbells, BAR 4 (memory) all structures, doorbells once more.
 * A port costs the hypervisor no instruction decoding, so its capability comes first and drivers
 * take it.
 *
 * Doorbells that do not stop a vCPU are doorbell.c's; those that come here go to its thread.
 *
 * Other threads come in by raise_interrupt() only; isr and the INTx level change together
 * under isr_lock, or an acknowledge could undo an interrupt that was raised just before.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <linux/virtio_pci.h>

#include "doorbell.h"
#include "log.h"
#include "pci_modern.h"
#include "virtio_pci.h"
#include "vm.h"

#define VIRTIO_VENDOR	  0x1AF4U
#define VIRTIO_DEVICE_1_0 0x1040U /* plus the device type (4.1.2) */
#define VIRTIO_REVISION	  1U	  /* 0: a legacy driver may take it (4.1.2.1, 4.1.2.3) */

/* Inside BAR_MODERN, a page each. */
#define AREA_SIZE   0x1000U
#define AREA_COMMON 0U
#define AREA_ISR    1U
#define AREA_CONFIG 2U
#define AREA_NOTIFY 3U
#define AREAS	    4U

#define COMMON_SIZE 0x38U

static void raise_interrupt(struct virtio_dev *dev, uint16_t vector, uint8_t isr)
{
	struct virtio_pci *vp = (struct virtio_pci *)dev; /* its first member */

	if (pci_msix_enabled(vp->pci)) {
		if (vector != VIRTIO_MSI_NO_VECTOR)
			pci_msix_notify(vp->pci, vector);
		return;
	}
	pthread_mutex_lock(&vp->isr_lock);
	vp->isr |= isr;
	if (pci_msi_enabled(vp->pci))
		pci_msi_notify(vp->pci, 0);
	else
		pci_intx_set(vp->pci, true);
	pthread_mutex_unlock(&vp->isr_lock);
}

static bool message(struct virtio_dev *dev, uint16_t vector, uint64_t *addr, uint32_t *data)
{
	return pci_msix_message(((struct virtio_pci *)dev)->pci, vector, addr, data);
}

static void stop_kicks(struct virtio_dev *dev)
{
	doorbells_close(((struct virtio_pci *)dev)->bells);
}

/* Reading the ISR acknowledges (4.1.4.5). */
uint8_t virtio_pci_isr_take(struct virtio_pci *vp)
{
	uint8_t isr;

	pthread_mutex_lock(&vp->isr_lock);
	isr = vp->isr;
	vp->isr = 0;
	pci_intx_set(vp->pci, false);
	pthread_mutex_unlock(&vp->isr_lock);
	return isr;
}

static bool has_legacy(const struct virtio_pci *vp)
{
	return pci_legacy_device_id(vp->dev.ops->id) != 0;
}

static struct queue *selected(struct virtio_pci *vp)
{
	return virtio_queue(&vp->dev, vp->queue_select);
}

/* --- common configuration: one pair of functions a register (4.1.4.3) --- */

static uint32_t read_dfselect(struct virtio_pci *vp)
{
	return vp->device_feature_select;
}

static void write_dfselect(struct virtio_pci *vp, uint32_t value)
{
	vp->device_feature_select = value;
}

static uint32_t read_df(struct virtio_pci *vp)
{
	return virtio_offered(&vp->dev, vp->device_feature_select);
}

static uint32_t read_gfselect(struct virtio_pci *vp)
{
	return vp->driver_feature_select;
}

static void write_gfselect(struct virtio_pci *vp, uint32_t value)
{
	vp->driver_feature_select = value;
}

static uint32_t read_gf(struct virtio_pci *vp)
{
	return virtio_accepted(&vp->dev, vp->driver_feature_select);
}

static void write_gf(struct virtio_pci *vp, uint32_t value)
{
	virtio_accept(&vp->dev, vp->driver_feature_select, value);
}

void virtio_pci_set_vector(struct virtio_pci *vp, _Atomic uint16_t *vector, uint32_t value)
{
	/* One that does not exist reads back as NO_VECTOR: the driver sees the refusal. */
	atomic_store(vector, (uint16_t)(value <= vp->dev.queues ? value : VIRTIO_MSI_NO_VECTOR));
	pci_modern_msix_changed(vp->pci);
}

static uint32_t read_msix(struct virtio_pci *vp)
{
	return atomic_load(&vp->dev.config_vector);
}

static void write_msix(struct virtio_pci *vp, uint32_t value)
{
	virtio_pci_set_vector(vp, &vp->dev.config_vector, value);
}

static uint32_t read_numq(struct virtio_pci *vp)
{
	return vp->dev.queues;
}

static uint32_t read_status(struct virtio_pci *vp)
{
	return atomic_load(&vp->dev.status);
}

void virtio_pci_write_status(struct virtio_pci *vp, uint32_t value)
{
	if (value == 0)
		pci_modern_reset(vp->pci);
	else
		virtio_set_status(&vp->dev, (uint8_t)value);
	/* Behind the kicks that setting it makes. */
	if ((atomic_load(&vp->dev.status) & VIRTIO_CONFIG_S_DRIVER_OK) != 0)
		doorbells_open(vp->bells);
}

static uint32_t read_generation(struct virtio_pci *vp)
{
	return vp->dev.generation;
}

static uint32_t read_qselect(struct virtio_pci *vp)
{
	return vp->queue_select;
}

static void write_qselect(struct virtio_pci *vp, uint32_t value)
{
	vp->queue_select = (uint16_t)value;
}

static uint32_t read_qsize(struct virtio_pci *vp)
{
	const struct queue *q = selected(vp);

	return q != NULL ? q->size : 0;
}

static uint32_t read_qmsix(struct virtio_pci *vp)
{
	const struct queue *q = selected(vp);

	return q != NULL ? atomic_load(&q->vector) : VIRTIO_MSI_NO_VECTOR;
}

static void write_qmsix(struct virtio_pci *vp, uint32_t value)
{
	struct queue *q = selected(vp);

	if (q != NULL)
		virtio_pci_set_vector(vp, &q->vector, value);
}

static uint32_t read_qenable(struct virtio_pci *vp)
{
	const struct queue *q = selected(vp);

	return q != NULL && atomic_load(&q->live) ? 1 : 0;
}

static void write_qenable(struct virtio_pci *vp, uint32_t value)
{
	struct queue *q = selected(vp);

	if (q != NULL && value == 1)
		virtio_queue_enable(&vp->dev, q);
}

static uint32_t read_qnoff(struct virtio_pci *vp)
{
	return selected(vp) != NULL ? vp->queue_select : 0;
}

/* The queue whose layout may still be written; a live ring does not move. */
static struct queue *writable_queue(struct virtio_pci *vp)
{
	struct queue *q = selected(vp);

	if (q != NULL && atomic_load(&q->live)) {
		log_guest("%s: write to the layout of live queue %u ignored", vp->dev.name,
			  q->index);
		return NULL;
	}
	return q;
}

static void write_qsize(struct virtio_pci *vp, uint32_t value)
{
	struct queue *q = writable_queue(vp);

	if (q != NULL)
		q->size = (uint16_t)value;
}

static void put_half(uint64_t *addr, bool high, uint32_t value)
{
	unsigned int shift = high ? 32 : 0;

	*addr = (*addr & ~((uint64_t)UINT32_MAX << shift)) | (uint64_t)value << shift;
}

#define QUEUE_ADDRESS(name, field, high)                                                           \
	static uint32_t read_##name(struct virtio_pci *vp)                                         \
	{                                                                                          \
		const struct queue *q = selected(vp);                                              \
                                                                                                   \
		return q != NULL ? (uint32_t)(q->field >> ((high) ? 32 : 0)) : 0;                  \
	}                                                                                          \
	static void write_##name(struct virtio_pci *vp, uint32_t value)                            \
	{                                                                                          \
		struct queue *q = writable_queue(vp);                                              \
                                                                                                   \
		if (q != NULL)                                                                     \
			put_half(&q->field, high, value);                                          \
	}

QUEUE_ADDRESS(desclo, desc_gpa, false)
QUEUE_ADDRESS(deschi, desc_gpa, true)
QUEUE_ADDRESS(availlo, avail_gpa, false)
QUEUE_ADDRESS(availhi, avail_gpa, true)
QUEUE_ADDRESS(usedlo, used_gpa, false)
QUEUE_ADDRESS(usedhi, used_gpa, true)

struct reg {
	uint8_t offset, size;
	uint32_t (*read)(struct virtio_pci *vp);
	void (*write)(struct virtio_pci *vp, uint32_t value); /* NULL: read-only */
};

static const struct reg common_regs[] = {
	{VIRTIO_PCI_COMMON_DFSELECT, 4, read_dfselect, write_dfselect},
	{VIRTIO_PCI_COMMON_DF, 4, read_df, NULL},
	{VIRTIO_PCI_COMMON_GFSELECT, 4, read_gfselect, write_gfselect},
	{VIRTIO_PCI_COMMON_GF, 4, read_gf, write_gf},
	{VIRTIO_PCI_COMMON_MSIX, 2, read_msix, write_msix},
	{VIRTIO_PCI_COMMON_NUMQ, 2, read_numq, NULL},
	{VIRTIO_PCI_COMMON_STATUS, 1, read_status, virtio_pci_write_status},
	{VIRTIO_PCI_COMMON_CFGGENERATION, 1, read_generation, NULL},
	{VIRTIO_PCI_COMMON_Q_SELECT, 2, read_qselect, write_qselect},
	{VIRTIO_PCI_COMMON_Q_SIZE, 2, read_qsize, write_qsize},
	{VIRTIO_PCI_COMMON_Q_MSIX, 2, read_qmsix, write_qmsix},
	{VIRTIO_PCI_COMMON_Q_ENABLE, 2, read_qenable, write_qenable},
	{VIRTIO_PCI_COMMON_Q_NOFF, 2, read_qnoff, NULL},
	{VIRTIO_PCI_COMMON_Q_DESCLO, 4, read_desclo, write_desclo},
	{VIRTIO_PCI_COMMON_Q_DESCHI, 4, read_deschi, write_deschi},
	{VIRTIO_PCI_COMMON_Q_AVAILLO, 4, read_availlo, write_availlo},
	{VIRTIO_PCI_COMMON_Q_AVAILHI, 4, read_availhi, write_availhi},
	{VIRTIO_PCI_COMMON_Q_USEDLO, 4, read_usedlo, write_usedlo},
	{VIRTIO_PCI_COMMON_Q_USEDHI, 4, read_usedhi, write_usedhi},
};

/* Fields are accessed whole (4.1.3.1); NULL for anything else. */
static const struct reg *find_reg(uint64_t offset, unsigned int size)
{
	for (size_t i = 0; i < sizeof(common_regs) / sizeof(common_regs[0]); i++)
		if (common_regs[i].offset == offset && common_regs[i].size == size)
			return &common_regs[i];
	return NULL;
}

/* The 64-bit addresses may be accessed in one piece as well. */
static bool is_address(uint64_t offset, unsigned int size)
{
	return size == 8 && offset >= VIRTIO_PCI_COMMON_Q_DESCLO && offset < COMMON_SIZE &&
	       offset % 8 == 0;
}

static uint64_t common_read(struct virtio_pci *vp, uint64_t offset, unsigned int size)
{
	const struct reg *reg;

	if (is_address(offset, size))
		return common_read(vp, offset, 4) | common_read(vp, offset + 4, 4) << 32;
	reg = find_reg(offset, size);
	return reg != NULL ? reg->read(vp) : all_ones(size);
}

static void common_write(struct virtio_pci *vp, uint64_t offset, unsigned int size, uint64_t value)
{
	const struct reg *reg;

	if (is_address(offset, size)) {
		common_write(vp, offset, 4, (uint32_t)value);
		common_write(vp, offset + 4, 4, value >> 32);
		return;
	}
	reg = find_reg(offset, size);
	if (reg != NULL && reg->write != NULL)
		reg->write(vp, (uint32_t)(value & all_ones(size)));
	else
		log_guest("%s: %u-byte write at 0x%llx of the common configuration ignored",
			  vp->dev.name, size, (unsigned long long)offset);
}

/* --- BARs --- */

void virtio_pci_ring(struct virtio_pci *vp, unsigned int queue)
{
	if (!doorbells_ring(vp->bells, queue))
		virtio_kick(&vp->dev, queue);
}

void virtio_pci_write_config(struct virtio_pci *vp, uint64_t offset, unsigned int size,
			     uint64_t value)
{
	doorbells_hold(vp->bells);
	virtio_config_write(&vp->dev, offset, size, value);
	doorbells_go_on(vp->bells);
}

uint64_t pci_modern_bar_read(struct pci_device *pci, unsigned int bar, uint64_t offset,
			     unsigned int size)
{
	struct virtio_pci *vp = pci->priv;
	uint64_t area = offset / AREA_SIZE;

	if (bar == BAR_LEGACY && has_legacy(vp))
		return pci_legacy_read(vp, offset, size);
	offset %= AREA_SIZE;
	if (bar != BAR_MODERN)
		return all_ones(size);
	if (area == AREA_COMMON)
		return common_read(vp, offset, size);
	if (area == AREA_ISR)
		return offset == 0 ? virtio_pci_isr_take(vp) : 0;
	if (area == AREA_CONFIG)
		return virtio_config_read(&vp->dev, offset, size);
	return all_ones(size);
}

void pci_modern_bar_write(struct pci_device *pci, unsigned int bar, uint64_t offset,
			  unsigned int size, uint64_t value)
{
	struct virtio_pci *vp = pci->priv;
	uint64_t area = bar == BAR_NOTIFY ? AREA_NOTIFY : offset / AREA_SIZE;

	if (bar == BAR_LEGACY && has_legacy(vp))
		pci_legacy_write(vp, offset, size, value);
	offset %= AREA_SIZE;
	if (bar != BAR_NOTIFY && bar != BAR_MODERN)
		return;
	if (area == AREA_NOTIFY)
		virtio_pci_ring(vp, (unsigned int)offset / DOORBELL_STRIDE);
	else if (area == AREA_COMMON)
		common_write(vp, offset, size, value);
	else if (area == AREA_CONFIG)
		virtio_pci_write_config(vp, offset, size, value);
}

void pci_modern_bar_moved(struct pci_device *pci, unsigned int bar)
{
	const struct virtio_pci *vp = pci->priv;

	if (bar == BAR_NOTIFY)
		doorbells_move(vp->bells,
			       (uint16_t)(pci->bar[bar].mapped ? pci->bar[bar].mapped_at : 0));
}

void pci_modern_msix_changed(struct pci_device *pci)
{
	struct virtio_pci *vp = pci->priv;

	if (vp->dev.messages_changed)
		vp->dev.messages_changed(&vp->dev);
}

/* --- set-up and reset --- */

struct cap {
	uint8_t type, bar;
	unsigned int extra; /* bytes after struct virtio_pci_cap */
	uint32_t offset, length;
};

static int add_cap(struct pci_device *pci, const struct cap *cap)
{
	unsigned int len = (unsigned int)sizeof(struct virtio_pci_cap) + cap->extra, at;
	int ret = pci_cap_add(pci, PCI_CAP_ID_VNDR, len);

	if (ret < 0)
		return ret;
	at = (unsigned int)ret;
	pci_cfg_set8(pci, at + VIRTIO_PCI_CAP_LEN, (uint8_t)len);
	pci_cfg_set8(pci, at + VIRTIO_PCI_CAP_CFG_TYPE, cap->type);
	pci_cfg_set8(pci, at + VIRTIO_PCI_CAP_BAR, cap->bar);
	pci_cfg_set32(pci, at + VIRTIO_PCI_CAP_OFFSET, cap->offset);
	pci_cfg_set32(pci, at + VIRTIO_PCI_CAP_LENGTH, cap->length);
	if (cap->type == VIRTIO_PCI_CAP_NOTIFY_CFG)
		pci_cfg_set32(pci, at + VIRTIO_PCI_NOTIFY_CAP_MULT, DOORBELL_STRIDE);
	return ret;
}

static int add_caps(struct virtio_pci *vp)
{
	uint32_t doorbells = vp->dev.queues * DOORBELL_STRIDE;
	const struct cap caps[] = {
		{VIRTIO_PCI_CAP_COMMON_CFG, BAR_MODERN, 0, AREA_COMMON * AREA_SIZE, COMMON_SIZE},
		{VIRTIO_PCI_CAP_ISR_CFG, BAR_MODERN, 0, AREA_ISR * AREA_SIZE, 1},
		{VIRTIO_PCI_CAP_NOTIFY_CFG, BAR_NOTIFY, 4, 0, doorbells},
		{VIRTIO_PCI_CAP_NOTIFY_CFG, BAR_MODERN, 4, AREA_NOTIFY * AREA_SIZE, doorbells},
		{VIRTIO_PCI_CAP_DEVICE_CFG, BAR_MODERN, 0, AREA_CONFIG * AREA_SIZE,
		 (uint32_t)vp->dev.config_len},
		{VIRTIO_PCI_CAP_PCI_CFG, 0, 4, 0, 0},
	};
	int ret = 0;

	for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]) && ret >= 0; i++)
		if (caps[i].type != VIRTIO_PCI_CAP_DEVICE_CFG || caps[i].length != 0)
			ret = add_cap(vp->pci, &caps[i]);
	if (ret < 0)
		return ret;

	vp->cfg_cap = (unsigned int)ret;
	vp->pci->wmask[vp->cfg_cap + VIRTIO_PCI_CAP_BAR] = 0xFF;
	memset(&vp->pci->wmask[vp->cfg_cap + VIRTIO_PCI_CAP_OFFSET], 0xFF, 8); /* and length */
	return 0;
}

/* A message a queue, or --virtio_msi one for all, of which the ISR register tells more. */
static int add_messages(struct virtio_pci *vp)
{
	unsigned int vectors = vp->dev.queues + 1U;
	int ret;

	if (vp->dev.vm->cfg.virtio_msi)
		return pci_msi_add(vp->pci, 1);
	ret = pci_bar_add(vp->pci, BAR_MSIX, PCI_BAR_MEM32, pci_msix_bytes(vectors), false);
	return ret < 0 ? ret : pci_msix_add(vp->pci, BAR_MSIX, 0, vectors);
}

static int add_bars(struct virtio_pci *vp)
{
	uint64_t doorbells = vp->dev.queues * DOORBELL_STRIDE;
	int ret = add_messages(vp);

	if (ret >= 0 && has_legacy(vp))
		ret = pci_bar_add(vp->pci, BAR_LEGACY, PCI_BAR_IO,
				  pci_legacy_size(vp->dev.config_len), false);
	if (ret >= 0)
		ret = pci_bar_add(vp->pci, BAR_NOTIFY, PCI_BAR_IO, doorbells, false);
	if (ret >= 0)
		ret = pci_bar_add(vp->pci, BAR_MODERN, PCI_BAR_MEM32, AREAS * AREA_SIZE, false);
	return ret;
}

int pci_modern_init(struct pci_device *pci, const struct virtio_ops *ops, const char *config)
{
	struct virtio_pci *vp = calloc(1, sizeof(*vp));
	int ret;

	if (vp == NULL)
		return -ENOMEM;
	vp->pci = pci;
	vp->dev.vm = pci->vm;
	vp->dev.ops = ops;
	vp->dev.name = pci->name;
	vp->dev.interrupt = raise_interrupt;
	vp->dev.message = message;
	vp->dev.stop_kicks = stop_kicks;
	pthread_mutex_init(&vp->isr_lock, NULL);
	pci->priv = vp;

	ret = virtio_create(&vp->dev, config);
	if (ret < 0)
		goto out_free;

	if (has_legacy(vp))
		pci_cfg_set_ids(pci, VIRTIO_VENDOR, pci_legacy_device_id(ops->id), ops->class_code,
				0);
	else
		pci_cfg_set_ids(pci, VIRTIO_VENDOR, (uint16_t)(VIRTIO_DEVICE_1_0 + ops->id),
				ops->class_code, VIRTIO_REVISION);
	pci_cfg_set_subsystem(pci, VIRTIO_VENDOR, ops->id);
	ret = add_bars(vp);
	if (ret >= 0)
		ret = add_caps(vp);
	if (ret < 0) {
		log_err("%s: no room for its BARs or capabilities", pci->name);
		goto out_destroy;
	}
	pci_intx_add(pci);
	vp->bells = doorbells_create(&vp->dev);
	return 0;

out_destroy:
	virtio_destroy(&vp->dev);
out_free:
	pthread_mutex_destroy(&vp->isr_lock);
	pci->priv = NULL;
	free(vp);
	return ret;
}

void pci_modern_reset(struct pci_device *pci)
{
	struct virtio_pci *vp = pci->priv;

	virtio_reset(&vp->dev);
	vp->device_feature_select = 0;
	vp->driver_feature_select = 0;
	vp->queue_select = 0;
	(void)virtio_pci_isr_take(vp);
}

int pci_modern_rescan(struct pci_device *pci, const char *file)
{
	struct virtio_pci *vp = pci->priv;
	int err = -ENOTTY;

	doorbells_hold(vp->bells);
	if (vp->dev.ops->rescan)
		err = vp->dev.ops->rescan(&vp->dev, file);
	doorbells_go_on(vp->bells);
	return err;
}

void pci_modern_deinit(struct pci_device *pci)
{
	struct virtio_pci *vp = pci->priv;

	virtio_destroy(&vp->dev);
	doorbells_destroy(vp->bells);
	pthread_mutex_destroy(&vp->isr_lock);
	free(vp);
}
