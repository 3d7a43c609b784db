// SPDX-License-Identifier: BSD-3-Clause
/*
 * AHCI 1.3, sections 4 and 5: takes commands from a port's list, moves their data, posts the
 * FISes that end them. One command of a port is under way at a time; a transfer goes to the block
 * backend in steps of as many pieces as p->iov holds. Called with the controller's lock held, on
 * the I/O request thread or on a worker of the backend; on_done() takes the lock itself.
 */
#include <errno.h>
#include <string.h>

#include "ahci.h"
#include "gmem.h"
#include "log.h"
#include "vm.h"

#define HEADER_BYTES   32U
#define PACKET_AT      0x40U
#define PRDT_AT	       0x80U
#define PRD_BYTES      16U
#define PRD_LEN_MASK   0x3fffffU
#define FIS_FROM_HOST  0x27U
#define FIS_TO_HOST    0x34U
#define FIS_PIO_SETUP  0x5fU
#define FIS_IS_COMMAND 0x80U
#define FIS_IRQ	       0x40U
#define PIO_AT	       0x20U /* of the received FISes */
#define D2H_AT	       0x40U
#define CONTROL_SRST   0x04U

static void *ram(const struct ahci_port *p, uint64_t gpa, uint64_t len)
{
	return gmem_ptr(p->hba->dev->vm, gpa, len);
}

/* --- the end of a command --- */

static void post(struct ahci_port *p, uint8_t type, unsigned int at)
{
	uint8_t fis[FIS_BYTES], *to;

	memcpy(fis, p->fis, sizeof(fis));
	fis[0] = type;
	fis[1] = FIS_IRQ;
	fis[2] = (uint8_t)p->tfd;
	fis[3] = (uint8_t)(p->tfd >> 8);
	fis[14] = 0;
	fis[15] = 0;
	memset(&fis[16], 0, 4);
	if (type == FIS_PIO_SETUP) {
		fis[1] |= 0x20; /* to memory */
		fis[2] |= ATA_DRQ;
		fis[15] = (uint8_t)p->tfd;
		fis[16] = (uint8_t)p->moved;
		fis[17] = (uint8_t)(p->moved >> 8);
	}
	to = (p->cmd & CMD_FRE) != 0 ? ram(p, p->received + at, sizeof(fis)) : NULL;
	if (to != NULL)
		memcpy(to, fis, sizeof(fis));
	p->is |= type == FIS_PIO_SETUP ? IS_PSS : IS_DHRS;
}

void ahci_finish(struct ahci_port *p, uint32_t status, uint32_t error)
{
	uint8_t *header = ram(p, p->list + p->slot * HEADER_BYTES, HEADER_BYTES);

	p->busy = false;
	p->tfd = status | error << 8;
	if (header != NULL)
		memcpy(header + 4, &p->moved, sizeof(p->moved));
	if ((status & ATA_ERR) != 0) {
		post(p, FIS_TO_HOST, D2H_AT);
		p->is |= IS_TFES;
		p->halted = true;
		return;
	}
	if (p->pio_in)
		post(p, FIS_PIO_SETUP, PIO_AT);
	else
		post(p, FIS_TO_HOST, D2H_AT);
	p->ci &= ~(1U << p->slot);
}

void ahci_sign(struct ahci_port *p)
{
	memset(p->fis, 0, sizeof(p->fis));
	p->fis[FIS_LBA] = 1;
	p->fis[FIS_COUNT] = 1;
	if (p->atapi) {
		p->fis[FIS_LBA + 1] = 0x14;
		p->fis[FIS_LBA + 2] = 0xeb;
	}
	p->sig = p->atapi ? 0xeb140101 : 0x101;
	p->tfd = 0x100 | (p->atapi ? 0 : ATA_READY);
	post(p, FIS_TO_HOST, D2H_AT);
}

/* Memory that is none: nothing can be said in it either. */
static void bus_error(struct ahci_port *p, const char *what, uint64_t gpa)
{
	log_guest("%s: %s at 0x%llx is not in memory", p->hba->dev->name, what,
		  (unsigned long long)gpa);
	p->busy = false;
	p->tfd = ATA_READY | ATA_ERR | ERROR_ABRT << 8;
	p->is |= IS_HBFS;
	p->halted = true;
}

/* --- data --- */

/* Pieces of guest memory for up to @want bytes; how many bytes. False: the command was ended. */
static bool gather(struct ahci_port *p, uint64_t want, unsigned int *count, uint64_t *bytes)
{
	*count = 0;
	*bytes = 0;
	while (*bytes < want && *count < AHCI_IOVS && p->prd < p->prds) {
		uint64_t at = p->table + PRDT_AT + (uint64_t)p->prd * PRD_BYTES, len, addr;
		const void *from = ram(p, at, PRD_BYTES);
		uint32_t prd[4];

		if (from == NULL) {
			bus_error(p, "an entry of the PRD table", at);
			return false;
		}
		memcpy(prd, from, sizeof(prd));
		len = (prd[3] & PRD_LEN_MASK) + 1ULL;
		/* It may have shrunk since its first part was used. */
		len -= p->prd_used < len ? p->prd_used : len;
		addr = (prd[0] | (uint64_t)prd[1] << 32) + p->prd_used;
		if (len > want - *bytes) {
			len = want - *bytes;
			p->prd_used += (uint32_t)len;
		} else {
			p->prd++;
			p->prd_used = 0;
		}
		p->iov[*count].iov_base = ram(p, addr, len);
		p->iov[*count].iov_len = (size_t)len;
		if (p->iov[*count].iov_base == NULL) {
			bus_error(p, "data", addr);
			return false;
		}
		(*count)++;
		*bytes += len;
	}
	return true;
}

bool ahci_answer(struct ahci_port *p, const void *data, uint32_t len)
{
	const uint8_t *from = data;

	while (len != 0) {
		unsigned int count;
		uint64_t bytes;

		if (!gather(p, len, &count, &bytes))
			return false;
		if (count == 0)
			break;
		for (unsigned int i = 0; i < count; i++) {
			memcpy(p->iov[i].iov_base, from, p->iov[i].iov_len);
			from += p->iov[i].iov_len;
		}
		len -= (uint32_t)bytes;
		p->moved += (uint32_t)bytes;
	}
	return true;
}

static void fail(struct ahci_port *p)
{
	if (p->atapi)
		ahci_atapi_fail(p);
	else
		ahci_finish(p, ATA_READY | ATA_ERR,
			    p->io.op == BLOCK_READ ? ERROR_UNC : ERROR_ABRT);
}

static void moved(struct ahci_port *p)
{
	p->offset += p->in_step;
	p->left -= p->in_step;
	p->moved += (uint32_t)p->in_step;
}

static void go_on(struct ahci_port *p)
{
	int err = 0;

	while (p->left != 0 && err == 0) {
		if (!gather(p, p->left, &p->io.iovcnt, &p->in_step))
			return;
		if (p->in_step == 0) {
			log_guest("%s: less memory than data", p->hba->dev->name);
			ahci_finish(p, ATA_READY | ATA_ERR, ERROR_ABRT);
			return;
		}
		p->io.iov = p->iov;
		p->io.offset = p->offset;
		p->io.len = p->in_step;
		err = block_submit(p->block, &p->io);
		if (err == 0)
			moved(p);
	}
	if (err == 0)
		ahci_finish(p, ATA_READY, 0);
	else if (err != -EINPROGRESS)
		fail(p);
}

static void on_done(struct block_req *io, int err)
{
	struct ahci_port *p = (struct ahci_port *)io;
	struct ahci *h = p->hba;

	pthread_mutex_lock(&h->lock);
	if (!p->stopping) {
		if (err == 0) {
			moved(p);
			go_on(p);
		} else {
			fail(p);
		}
		ahci_run(p);
		ahci_update_irq(h);
	}
	pthread_mutex_unlock(&h->lock);
}

void ahci_transfer(struct ahci_port *p, enum block_op op, uint64_t offset, uint64_t len)
{
	int err;

	p->io.op = op;
	p->io.durable = op == BLOCK_WRITE && !p->write_cache;
	p->io.done = on_done;
	p->offset = offset;
	p->left = len;
	p->in_step = 0;
	if (op != BLOCK_FLUSH) {
		go_on(p);
		return;
	}
	p->io.offset = 0;
	p->io.len = 0;
	err = block_submit(p->block, &p->io);
	if (err == 0)
		ahci_finish(p, ATA_READY, 0);
	else if (err != -EINPROGRESS)
		fail(p);
}

/* --- the command list --- */

/* A FIS that is no command changes the control register: SRST set, then clear, is a reset. */
static void control(struct ahci_port *p)
{
	bool set = (p->fis[FIS_CONTROL] & CONTROL_SRST) != 0;

	p->busy = false;
	p->ci &= ~(1U << p->slot);
	if (p->in_reset && !set)
		ahci_sign(p);
	p->in_reset = set;
}

static void start(struct ahci_port *p)
{
	uint64_t at = p->list + p->slot * HEADER_BYTES;
	const uint8_t *from = ram(p, at, HEADER_BYTES);
	uint32_t header[4];

	p->busy = true;
	p->prd = 0;
	p->prd_used = 0;
	p->moved = 0;
	p->pio_in = false;
	if (from == NULL) {
		bus_error(p, "the command list", at);
		return;
	}
	memcpy(header, from, sizeof(header));
	p->prds = header[0] >> 16;
	p->table = (header[2] & ~0x7fU) | (uint64_t)header[3] << 32;
	from = ram(p, p->table, PRDT_AT);
	if (from == NULL) {
		bus_error(p, "a command table", p->table);
		return;
	}
	memcpy(p->fis, from, sizeof(p->fis));
	memcpy(p->packet, from + PACKET_AT, sizeof(p->packet));
	if (p->fis[0] != FIS_FROM_HOST)
		ahci_finish(p, ATA_READY | ATA_ERR, ERROR_ABRT);
	else if ((p->fis[1] & FIS_IS_COMMAND) == 0)
		control(p);
	else if (p->atapi)
		ahci_atapi(p);
	else
		ahci_ata(p);
}

void ahci_run(struct ahci_port *p)
{
	while ((p->cmd & CMD_ST) != 0 && p->ci != 0 && !p->busy && !p->halted) {
		p->slot = (unsigned int)__builtin_ctz(p->ci);
		start(p);
	}
}
