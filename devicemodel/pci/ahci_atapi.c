// SPDX-License-Identifier: BSD-3-Clause
/*
 * The CD drive on a port of the AHCI controller (ATAPI; MMC-5, SPC-3): one track of data, in
 * sectors of 2048 bytes, that can only be read. Called by ahci_cmd.c with the controller's lock
 * held; ends each command by ahci_finish() or ahci_transfer().
 */
#include <string.h>

#include "ahci.h"

#define CD_SECTOR 2048U
#define LEAD_OUT  0xaaU

#define DEVICE_RESET	0x08U
#define PACKET		0xa0U
#define IDENTIFY_PACKET 0xa1U

#define TEST_UNIT_READY 0x00U
#define REQUEST_SENSE	0x03U
#define INQUIRY		0x12U
#define START_STOP	0x1bU
#define PREVENT_REMOVAL 0x1eU
#define READ_CAPACITY	0x25U
#define READ_10		0x28U
#define READ_TOC	0x43U
#define GET_EVENT	0x4aU
#define MODE_SENSE_10	0x5aU
#define READ_12		0xa8U

#define NOT_READY	0x02U
#define MEDIUM_ERROR	0x03U
#define ILLEGAL_REQUEST 0x05U
#define NO_MEDIUM	0x3aU
#define UNREADABLE	0x11U
#define BAD_COMMAND	0x20U
#define BAD_LBA		0x21U
#define BAD_FIELD	0x24U

static uint32_t be16(const uint8_t *b)
{
	return (uint32_t)b[0] << 8 | b[1];
}

static uint32_t be32(const uint8_t *b)
{
	return be16(b) << 16 | be16(b + 2);
}

static void put32(uint8_t *b, uint32_t value)
{
	for (unsigned int i = 0; i < 4; i++)
		b[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* --- the end of a packet --- */

static void done(struct ahci_port *p)
{
	p->fis[FIS_COUNT] = 3; /* a status, to the host */
	ahci_finish(p, ATA_READY, 0);
}

static void refuse(struct ahci_port *p, uint8_t key, uint8_t code)
{
	p->sense_key = key;
	p->sense_code = code;
	p->fis[FIS_COUNT] = 3;
	ahci_finish(p, ATA_READY | ATA_ERR, (uint32_t)key << 4 | ERROR_ABRT);
}

void ahci_atapi_fail(struct ahci_port *p)
{
	refuse(p, MEDIUM_ERROR, UNREADABLE);
}

static void answer(struct ahci_port *p, const uint8_t *data, uint32_t len, uint32_t wanted)
{
	if (ahci_answer(p, data, len < wanted ? len : wanted))
		done(p);
}

/* --- packets --- */

static void request_sense(struct ahci_port *p)
{
	uint8_t out[18] = {0x70};

	out[2] = p->sense_key;
	out[7] = 10;
	out[12] = p->sense_code;
	p->sense_key = 0;
	p->sense_code = 0;
	answer(p, out, sizeof(out), p->packet[4]);
}

static void inquiry(struct ahci_port *p)
{
	/* A CD drive, removable, SPC-3, ATAPI's format; names are padded by blanks. */
	uint8_t out[36] = {0x05, 0x80, 0x05, 0x02, 31};

	memcpy(&out[8], "ACRN    CD-ROM          1.0 ", 28);
	if ((p->packet[1] & 1) != 0 || p->packet[2] != 0)
		refuse(p, ILLEGAL_REQUEST, BAD_FIELD);
	else
		answer(p, out, sizeof(out), be16(&p->packet[3]));
}

static void read_sectors(struct ahci_port *p, uint32_t count)
{
	uint64_t lba = be32(&p->packet[2]), sectors = p->info->size / CD_SECTOR;

	if (lba > sectors || count > sectors - lba)
		refuse(p, ILLEGAL_REQUEST, BAD_LBA);
	else if (count == 0)
		done(p);
	else
		ahci_transfer(p, BLOCK_READ, lba * CD_SECTOR, (uint64_t)count * CD_SECTOR);
}

static void read_capacity(struct ahci_port *p)
{
	uint8_t out[8];

	put32(out, (uint32_t)(p->info->size / CD_SECTOR - 1));
	put32(&out[4], CD_SECTOR);
	answer(p, out, sizeof(out), sizeof(out));
}

/* An address as minute, second and frame, which begin two seconds before the first sector. */
static void put_address(uint8_t *to, uint32_t lba, bool msf)
{
	uint32_t frames = lba + 150;

	if (msf)
		put32(to, (frames / 4500 & 0xff) << 16 | frames / 75 % 60 << 8 | frames % 75);
	else
		put32(to, lba);
}

static void read_toc(struct ahci_port *p)
{
	uint8_t out[20] = {0, 0, 1, 1}, *entry = &out[4];
	bool msf = (p->packet[1] & 2) != 0;
	unsigned int first = p->packet[6], format = p->packet[2] & 0x0f;

	if (format > 1 || (format == 0 && first > 1 && first != LEAD_OUT)) {
		refuse(p, ILLEGAL_REQUEST, BAD_FIELD);
		return;
	}
	if (format == 1 || first <= 1) {
		entry[1] = 0x14; /* data */
		entry[2] = 1;
		put_address(&entry[4], 0, msf);
		entry += 8;
	}
	if (format == 0) {
		entry[1] = 0x14;
		entry[2] = LEAD_OUT;
		put_address(&entry[4], (uint32_t)(p->info->size / CD_SECTOR), msf);
		entry += 8;
	}
	out[1] = (uint8_t)(entry - out - 2);
	answer(p, out, (uint32_t)(entry - out), be16(&p->packet[7]));
}

/* Nothing ever happens: the medium stays. Asked by polling only. */
static void get_event(struct ahci_port *p)
{
	uint8_t out[8] = {0, 6, 4, 0x10, 0, p->info->size != 0 ? 2 : 0};

	if ((p->packet[1] & 1) == 0) {
		refuse(p, ILLEGAL_REQUEST, BAD_FIELD);
		return;
	}
	if ((p->packet[4] & 0x10) == 0) {
		out[1] = 2;
		out[2] = 0x80; /* no such class */
	}
	answer(p, out, out[1] + 2U, be16(&p->packet[7]));
}

static void mode_sense(struct ahci_port *p)
{
	/* Page 2A, what the drive can do: mode 2 sectors, several sessions; loaded by a tray. */
	uint8_t out[28] = {0, sizeof(out) - 2, 0, 0, 0, 0, 0, 0, 0x2a, 18};

	out[12] = 0x70;
	out[14] = 0x20;
	if ((p->packet[2] & 0x3f) != 0x2a && (p->packet[2] & 0x3f) != 0x3f)
		refuse(p, ILLEGAL_REQUEST, BAD_FIELD);
	else
		answer(p, out, sizeof(out), be16(&p->packet[7]));
}

static bool needs_medium(uint8_t command)
{
	return command == TEST_UNIT_READY || command == READ_CAPACITY || command == READ_10 ||
	       command == READ_12 || command == READ_TOC;
}

static void packet(struct ahci_port *p)
{
	uint8_t command = p->packet[0];

	if (needs_medium(command) && p->info->size < CD_SECTOR) {
		refuse(p, NOT_READY, NO_MEDIUM);
		return;
	}
	switch (command) {
	case TEST_UNIT_READY:
	case START_STOP: /* the tray stays closed */
	case PREVENT_REMOVAL:
		done(p);
		break;
	case REQUEST_SENSE:
		request_sense(p);
		break;
	case INQUIRY:
		inquiry(p);
		break;
	case READ_CAPACITY:
		read_capacity(p);
		break;
	case READ_10:
		read_sectors(p, be16(&p->packet[7]));
		break;
	case READ_12:
		read_sectors(p, be32(&p->packet[6]));
		break;
	case READ_TOC:
		read_toc(p);
		break;
	case GET_EVENT:
		get_event(p);
		break;
	case MODE_SENSE_10:
		mode_sense(p);
		break;
	default:
		refuse(p, ILLEGAL_REQUEST, BAD_COMMAND);
	}
}

static void identify(struct ahci_port *p)
{
	uint16_t w[256] = {0};

	ahci_identity(p, w);
	w[0] = 0x85c0;		/* ATAPI, a CD drive, removable, packets of 12 bytes */
	w[82] = w[85] = 0x0210; /* PACKET, DEVICE RESET */
	p->pio_in = true;
	if (ahci_answer(p, w, sizeof(w)))
		ahci_finish(p, ATA_READY, 0);
}

void ahci_atapi(struct ahci_port *p)
{
	switch (p->fis[FIS_COMMAND]) {
	case PACKET:
		packet(p);
		break;
	case IDENTIFY_PACKET:
		identify(p);
		break;
	case DEVICE_RESET:
		p->sense_key = 0;
		p->sense_code = 0;
		ahci_finish(p, 0, 1);
		break;
	default:
		if (!ahci_common(p))
			ahci_finish(p, ATA_READY | ATA_ERR, ERROR_ABRT);
	}
}
