// SPDX-License-Identifier: BSD-3-Clause
/*
 * The disk on a port of the AHCI controller (ATA8-ACS): 48-bit addresses, sectors of 512 bytes, no
 * queueing, no SMART, no TRIM. Called by ahci_cmd.c with the controller's lock held; ends each
 * command by ahci_finish() or ahci_transfer().
 */
#include <string.h>

#include "ahci.h"
#include "log.h"

#define LBA28_MAX 0x0fffffffULL

#define READ_SECTORS	  0x20U
#define READ_SECTORS_EXT  0x24U
#define READ_DMA_EXT	  0x25U
#define WRITE_SECTORS	  0x30U
#define WRITE_SECTORS_EXT 0x34U
#define WRITE_DMA_EXT	  0x35U
#define VERIFY		  0x40U
#define VERIFY_EXT	  0x42U
#define READ_DMA	  0xc8U
#define WRITE_DMA	  0xcaU
#define STANDBY_NOW	  0xe0U
#define IDLE_NOW	  0xe1U
#define CHECK_POWER	  0xe5U
#define FLUSH		  0xe7U
#define FLUSH_EXT	  0xeaU
#define IDENTIFY	  0xecU
#define SET_FEATURES	  0xefU

#define FEATURE_CACHE_ON  0x02U
#define FEATURE_MODE	  0x03U
#define FEATURE_CACHE_OFF 0x82U

void ahci_string(uint16_t *words, unsigned int count, const char *text)
{
	for (unsigned int i = 0; i < 2 * count; i++) {
		unsigned int c = *text != '\0' ? (uint8_t)*text++ : ' ';

		words[i / 2] = (uint16_t)(words[i / 2] | c << (i % 2 == 0 ? 8 : 0));
	}
}

void ahci_identity(const struct ahci_port *p, uint16_t *w)
{
	ahci_string(&w[10], 10, p->info->serial);
	ahci_string(&w[23], 4, "1.0");
	ahci_string(&w[27], 20, p->atapi ? "ACRN CD-ROM" : "ACRN DISK");
	w[49] = 0x0b00; /* IORDY, LBA, DMA */
	w[53] = 0x0006; /* words 64 to 70 and 88 are valid */
	w[63] = 0x0007;
	w[64] = 0x0003;
	w[65] = w[66] = w[67] = w[68] = 120;
	w[76] = 0x0006; /* generations 1 and 2 */
	w[80] = 0x01f0; /* ATA/ATAPI-4 to ATA8-ACS */
	w[83] = w[84] = w[87] = 0x4000;
	w[88] = 0x407f; /* Ultra DMA up to 6, which is selected */
}

static void identify(struct ahci_port *p)
{
	uint64_t sectors = p->info->size / BLOCK_SECTOR;
	uint64_t small = sectors < LBA28_MAX ? sectors : LBA28_MAX;
	unsigned int exponent = (unsigned int)__builtin_ctz(p->info->physical / BLOCK_SECTOR);
	uint16_t w[256] = {0};

	ahci_identity(p, w);
	w[0] = 0x0040;
	w[1] = 16383;
	w[3] = 16;
	w[6] = 63;
	w[60] = (uint16_t)small;
	w[61] = (uint16_t)(small >> 16);
	w[82] = 0x0020;	 /* a write cache */
	w[83] |= 0x3400; /* FLUSH, FLUSH EXT, 48-bit addresses */
	w[85] = p->write_cache ? 0x0020 : 0;
	w[86] = 0x3400;
	for (unsigned int i = 0; i < 4; i++)
		w[100 + i] = (uint16_t)(sectors >> 16 * i);
	w[106] = (uint16_t)(0x4000 | (exponent != 0 ? 0x2000 | exponent : 0));
	w[217] = 1; /* does not rotate */
	p->pio_in = true;
	if (ahci_answer(p, w, sizeof(w)))
		ahci_finish(p, ATA_READY, 0);
}

bool ahci_common(struct ahci_port *p)
{
	uint32_t error = 0;

	switch (p->fis[FIS_COMMAND]) {
	case SET_FEATURES:
		if (p->fis[FIS_FEATURES] != FEATURE_MODE)
			error = ERROR_ABRT;
		break;
	case STANDBY_NOW:
	case IDLE_NOW:
		break;
	case CHECK_POWER:
		p->fis[FIS_COUNT] = 0xff; /* active */
		break;
	default:
		return false;
	}
	ahci_finish(p, ATA_READY | (error != 0 ? ATA_ERR : 0), error);
	return true;
}

static uint64_t lba_of(const struct ahci_port *p, bool ext)
{
	const uint8_t *low = &p->fis[FIS_LBA], *high = &p->fis[FIS_LBA_EXP];
	uint64_t lba = low[0] | (uint64_t)low[1] << 8 | (uint64_t)low[2] << 16;

	if (!ext)
		return lba | (uint64_t)(p->fis[FIS_DEVICE] & 0x0f) << 24;
	return lba | (uint64_t)high[0] << 24 | (uint64_t)high[1] << 32 | (uint64_t)high[2] << 40;
}

static void access_sectors(struct ahci_port *p, bool ext, enum block_op op)
{
	uint64_t sectors = p->info->size / BLOCK_SECTOR, lba = lba_of(p, ext);
	unsigned int count = p->fis[FIS_COUNT];

	if (ext)
		count |= (unsigned int)p->fis[FIS_COUNT + 1] << 8;
	if (count == 0)
		count = ext ? 65536 : 256;
	if ((op == BLOCK_WRITE && p->info->read_only) || lba > sectors || count > sectors - lba) {
		log_guest("%s: %u sectors at %llu refused", p->hba->dev->name, count,
			  (unsigned long long)lba);
		ahci_finish(p, ATA_READY | ATA_ERR,
			    ERROR_ABRT | (lba > sectors || count > sectors - lba ? ERROR_IDNF : 0));
		return;
	}
	/* A flush has no data: so it stands for what only looks at the address. */
	if (op == BLOCK_FLUSH)
		ahci_finish(p, ATA_READY, 0);
	else
		ahci_transfer(p, op, lba * BLOCK_SECTOR, (uint64_t)count * BLOCK_SECTOR);
}

/* What is in the cache when it is switched off goes to the disk first. */
static bool set_cache(struct ahci_port *p)
{
	uint8_t feature = p->fis[FIS_FEATURES];

	if (feature != FEATURE_CACHE_ON && feature != FEATURE_CACHE_OFF)
		return false;
	p->write_cache = feature == FEATURE_CACHE_ON;
	ahci_transfer(p, BLOCK_FLUSH, 0, 0);
	return true;
}

void ahci_ata(struct ahci_port *p)
{
	uint8_t command = p->fis[FIS_COMMAND];

	switch (command) {
	case READ_SECTORS:
	case READ_SECTORS_EXT:
		p->pio_in = true;
		access_sectors(p, command == READ_SECTORS_EXT, BLOCK_READ);
		break;
	case READ_DMA:
	case READ_DMA_EXT:
		access_sectors(p, command == READ_DMA_EXT, BLOCK_READ);
		break;
	case WRITE_SECTORS:
	case WRITE_DMA:
		access_sectors(p, false, BLOCK_WRITE);
		break;
	case WRITE_SECTORS_EXT:
	case WRITE_DMA_EXT:
		access_sectors(p, true, BLOCK_WRITE);
		break;
	case VERIFY:
	case VERIFY_EXT:
		access_sectors(p, command == VERIFY_EXT, BLOCK_FLUSH);
		break;
	case FLUSH:
	case FLUSH_EXT:
		ahci_transfer(p, BLOCK_FLUSH, 0, 0);
		break;
	case IDENTIFY:
		identify(p);
		break;
	default:
		if ((command != SET_FEATURES || !set_cache(p)) && !ahci_common(p))
			ahci_finish(p, ATA_READY | ATA_ERR, ERROR_ABRT);
	}
}
