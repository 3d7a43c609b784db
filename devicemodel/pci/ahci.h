/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of the AHCI controller share: the state of a port, and how a command ends.
 * ahci.c has the registers, ahci_cmd.c the command list and the transfers, ahci_ata.c and
 * ahci_atapi.c the two kinds of drives. All of it is under struct ahci's lock.
 */
#ifndef DM_AHCI_H
#define DM_AHCI_H

#include <pthread.h>

#include "block.h"
#include "pci.h"

#define AHCI_PORTS 6U
#define AHCI_IOVS  128U

/* Bits of PxCMD, PxIS, PxSERR and of the status and error in PxTFD. */
#define CMD_ST	   (1U << 0)
#define CMD_FRE	   (1U << 4)
#define IS_DHRS	   (1U << 0)
#define IS_PSS	   (1U << 1)
#define IS_PCS	   (1U << 6)
#define IS_HBFS	   (1U << 29)
#define IS_TFES	   (1U << 30)
#define SERR_X	   (1U << 26)
#define ATA_ERR	   0x01U
#define ATA_DRQ	   0x08U
#define ATA_READY  0x50U
#define ATA_BUSY   0x80U
#define ERROR_ABRT 0x04U
#define ERROR_IDNF 0x10U
#define ERROR_UNC  0x40U

/* Bytes of a register FIS from the host (SATA 3.0, 10.3.4). */
#define FIS_COMMAND  2U
#define FIS_FEATURES 3U
#define FIS_LBA	     4U
#define FIS_DEVICE   7U
#define FIS_LBA_EXP  8U
#define FIS_COUNT    12U
#define FIS_CONTROL  15U
#define FIS_BYTES    20U

struct ahci;

struct ahci_port {
	struct block_req io; /* first: the backend hands it back */
	struct ahci *hba;
	struct block *block;
	const struct block_info *info;
	bool atapi;
	bool write_cache;

	uint64_t list, received; /* PxCLB, PxFB: GPAs */
	uint32_t is, ie, cmd, tfd, sig, ssts, sctl, serr, ci;

	bool busy;   /* a command is under way */
	bool halted; /* one has failed: the next is taken when the driver has restarted the list */
	bool stopping; /* what ends now is reported to nobody */
	bool in_reset; /* a control FIS has set SRST */

	/* The command under way. */
	unsigned int slot;
	uint8_t fis[FIS_BYTES], packet[16];
	uint64_t table;			/* GPA */
	uint32_t prds, prd, prd_used;	/* entries, the next one, the bytes of it that are used */
	uint32_t moved;			/* bytes */
	uint64_t offset, left, in_step; /* of a transfer from or to the disk, bytes */
	bool pio_in;
	struct iovec iov[AHCI_IOVS];

	uint8_t sense_key, sense_code;
};

struct ahci {
	struct pci_device *dev;
	pthread_mutex_t lock;
	uint32_t is;
	bool irq_enable, level;
	unsigned int ports;
	struct ahci_port port[AHCI_PORTS];
};

/* ahci.c: tell the guest what is pending. */
void ahci_update_irq(struct ahci *h);

/* ahci_cmd.c. Take commands as long as they end at once. */
void ahci_run(struct ahci_port *p);
/* The first FIS after a reset, which says what the drive is. */
void ahci_sign(struct ahci_port *p);
/* The command has ended, with what goes to PxTFD. */
void ahci_finish(struct ahci_port *p, uint32_t status, uint32_t error);
/* Give the guest up to @len bytes of an answer, as many as it has room for; false: it was ended. */
bool ahci_answer(struct ahci_port *p, const void *data, uint32_t len);
/* Move [offset, offset + len) of the disk, then end the command. */
void ahci_transfer(struct ahci_port *p, enum block_op op, uint64_t offset, uint64_t len);

/* What a drive does with the command in p->fis and p->packet. */
void ahci_ata(struct ahci_port *p);
void ahci_atapi(struct ahci_port *p);
/* The storage failed: end the command. */
void ahci_atapi_fail(struct ahci_port *p);
/* A common half of both drives: SET FEATURES and power. False: it is none of these. */
bool ahci_common(struct ahci_port *p);
/* A string of IDENTIFY: two characters a word, the first in the high byte; padded by blanks. */
void ahci_string(uint16_t *words, unsigned int count, const char *text);
/* The words of IDENTIFY that are alike in both drives. */
void ahci_identity(const struct ahci_port *p, uint16_t *w);

#endif
