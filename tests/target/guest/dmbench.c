// SPDX-License-Identifier: BSD-3-Clause
/*
 * What do the operations that the device model serves cost a User VM? Needs a virtio-rnd device.
 * With "idle" on the command line it only halts: a VM that is there while another one measures.
 */
#include <stddef.h>

#include "guest.h"
#include "measure.h"

#define ROUNDS	     2000U
#define POST_CODE    0x80U
#define PIC_MASK     0x21U
#define CONFIG_ADDR  0xcf8U
#define CONFIG_DATA  0xcfcU
#define CONFIG_ON    0x80000000U
#define CMD_LINE_PTR 0x228U /* in Linux's zero page */

#define IRQ_VECTOR   0x40U
#define VIRTIO_RND   0x10051af4U
#define CAP_VENDOR   0x09U
#define CAP_MSIX     0x11U
#define CAP_COMMON   1U
#define CAP_NOTIFY   2U
#define MSIX_ENABLE  (1U << 31)
#define MEM_AND_MASTER 6U

/* Common configuration, virtio 1.2, 4.1.4.3. */
#define DEVICE_FEATURE_SELECT 0U
#define DRIVER_FEATURE_SELECT 8U
#define DRIVER_FEATURE	      12U
#define DEVICE_STATUS	      20U
#define QUEUE_SELECT	      22U
#define QUEUE_SIZE	      24U
#define QUEUE_MSIX_VECTOR     26U
#define QUEUE_ENABLE	      28U
#define QUEUE_DESC	      32U
#define QUEUE_DRIVER	      40U
#define QUEUE_DEVICE	      48U
#define READY		      0xfU /* acknowledge, driver, driver ok, features ok */

#define RING 8U
#define DESC_WRITE 2U

static struct {
	struct {
		uint64_t addr;
		uint32_t len;
		uint16_t flags, next;
	} desc[RING];
	struct {
		uint16_t flags;
		volatile uint16_t idx;
		uint16_t ring[RING];
	} avail;
	struct {
		uint16_t flags;
		volatile uint16_t idx;
		uint32_t ring[RING][2];
	} used __attribute__((aligned(4)));
} queue __attribute__((aligned(4096)));

static uint8_t buffer[8];
static uint32_t function; /* of the device, as CONFIG_ADDR has it */
static uint64_t common, doorbell;

static uint32_t config_read(uint32_t reg)
{
	out32(CONFIG_ADDR, function | reg);
	return in32(CONFIG_DATA);
}

static void config_write(uint32_t reg, uint32_t value)
{
	out32(CONFIG_ADDR, function | reg);
	out32(CONFIG_DATA, value);
}

static uint64_t bar(uint32_t index)
{
	uint32_t low = config_read(0x10U + index * 4U);
	uint64_t high = (low & 6U) == 4U ? config_read(0x14U + index * 4U) : 0U;

	return high << 32 | (low & ~0xfU);
}

static bool find_device(void)
{
	for (uint32_t slot = 0U; slot < 32U; slot++) {
		function = CONFIG_ON | slot << 11;
		if (config_read(0U) == VIRTIO_RND)
			return true;
	}
	return false;
}

/* Where the registers are, and one MSI-X entry. Of the doorbells the one in memory is taken. */
static void read_capabilities(void)
{
	uint32_t next = config_read(0x34U) & 0xffU;

	config_write(4U, MEM_AND_MASTER);
	while (next != 0U) {
		uint32_t head = config_read(next), where = config_read(next + 4U) & 0xffU;
		uint32_t type = head >> 24;

		if ((head & 0xffU) == CAP_VENDOR && type == CAP_COMMON) {
			common = bar(where) + config_read(next + 8U);
		} else if ((head & 0xffU) == CAP_VENDOR && type == CAP_NOTIFY &&
			   (config_read(0x10U + where * 4U) & 1U) == 0U) {
			doorbell = bar(where) + config_read(next + 8U);
		} else if ((head & 0xffU) == CAP_MSIX) {
			uint32_t table = config_read(next + 4U);
			uint64_t entry = bar(table & 7U) + (table & ~7U);

			mmio_write32(entry, 0xfee00000U);
			mmio_write32(entry + 4U, 0U);
			mmio_write32(entry + 8U, IRQ_VECTOR);
			mmio_write32(entry + 12U, 0U);
			config_write(next, head | MSIX_ENABLE);
		}
		next = head >> 8 & 0xffU;
	}
}

static void write16(uint32_t reg, uint16_t value)
{
	__asm__ volatile("movw %0, (%1)" : : "r"(value), "r"(common + reg) : "memory");
}

static void write_address(uint32_t reg, const volatile void *p)
{
	mmio_write32(common + reg, (uint32_t)(uint64_t)p);
	mmio_write32(common + reg + 4U, 0U);
}

static void set_status(uint8_t value)
{
	__asm__ volatile("movb %0, (%1)" : : "q"(value), "r"(common + DEVICE_STATUS) : "memory");
}

static bool start_device(void)
{
	if (!find_device())
		return false;
	read_capabilities();
	set_status(0U);
	set_status(3U);
	mmio_write32(common + DRIVER_FEATURE_SELECT, 1U);
	mmio_write32(common + DRIVER_FEATURE, 1U); /* VERSION_1 */
	set_status(0xbU);
	write16(QUEUE_SELECT, 0U);
	write16(QUEUE_SIZE, RING);
	write16(QUEUE_MSIX_VECTOR, 0U);
	write_address(QUEUE_DESC, queue.desc);
	write_address(QUEUE_DRIVER, &queue.avail);
	write_address(QUEUE_DEVICE, &queue.used);
	write16(QUEUE_ENABLE, 1U);
	set_status(READY);
	queue.desc[0].addr = (uint64_t)buffer;
	queue.desc[0].len = sizeof(buffer);
	queue.desc[0].flags = DESC_WRITE;
	return true;
}

static void op_pio_dm(void)
{
	(void)in8(POST_CODE);
}

static void op_pci_cfg_dm(void)
{
	out32(CONFIG_ADDR, CONFIG_ON);
	(void)in32(CONFIG_DATA);
}

static void op_mmio_dm(void)
{
	mmio_write32(common + DEVICE_FEATURE_SELECT, 0U);
}

/* From the descriptor to behind the handler's IRET. Descriptor 0 is what the ring always holds. */
static void op_doorbell(void)
{
	uint32_t before = interrupts;

	__asm__ volatile("" : : : "memory");
	queue.avail.idx++;
	__asm__ volatile("movw %w0, (%1)" : : "r"(0), "r"(doorbell) : "memory");
	while (interrupts == before)
		;
}

static void op_cpuid(void)
{
	uint32_t regs[4];

	cpuid(0x80000000U, 0U, regs);
}

static void op_pio_hv(void)
{
	(void)in8(PIC_MASK);
}

static const struct operation operations[] = {
	{"pio_dm", op_pio_dm, ROUNDS},
	{"pci_cfg_dm", op_pci_cfg_dm, ROUNDS},
	{"mmio_dm", op_mmio_dm, ROUNDS},
	{"doorbell", op_doorbell, ROUNDS},
	/* The same whatever else runs: measured with several numbers of VMs. */
	{"user_cpuid", op_cpuid, ROUNDS},
	{"user_pio_hv", op_pio_hv, ROUNDS},
};

static bool starts_with(const char *text, const char *word)
{
	while (*word != '\0' && *text == *word) {
		text++;
		word++;
	}
	return *word == '\0';
}

void guest_main(const void *boot_params)
{
	uint32_t line = *(const uint32_t *)((uint64_t)boot_params + CMD_LINE_PTR);

	if (line != 0U && starts_with((const char *)(uint64_t)line, "idle")) {
		print("bench idle\n");
		stop();
	}
	idt_init();
	if (!x2apic_init() || !start_device()) {
		print("bench needs an x2APIC and a virtio-rnd device\n");
		stop();
	}
	out8(PIC_MASK, 0xffU);
	out8(0xa1U, 0xffU);
	__asm__ volatile("sti");
	measure(operations, sizeof(operations) / sizeof(operations[0]));
	print("bench done\n");
	stop();
}
