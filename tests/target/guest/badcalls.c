// SPDX-License-Identifier: BSD-3-Clause
/*
 * A Service VM that means harm: thousands of hypercalls with made-up numbers, ids, addresses and
 * structures (always the same ones), on VMs that it creates, starts and destroys among them. Then
 * it makes proper VMs, which must run as if nothing had been; the second one rings doorbells and
 * dies of a triple fault. What the hypervisor might write to lies in `buffer`; interrupts stay off,
 * for any vector may come.
 */
#include <stddef.h>

#include "acrn/hypercall.h"
#include "acrn/ioreq.h"
#include "acrn/sbuf.h"
#include "guest.h"

#define CALLS	   30000U
#define PAGE	   4096U
#define MAX_VMS	   16U
#define E820_COUNT 0x1e8U /* offsets in the zero page */
#define E820_TABLE 0x2d0U
#define E820_RAM   1U

struct e820_entry {
	uint64_t base;
	uint64_t size;
	uint32_t type;
} __attribute__((packed));

static uint8_t buffer[64U * PAGE] __attribute__((aligned(4096)));
static uint8_t memory[16U * PAGE] __attribute__((aligned(4096))); /* the proper VM's */
static uint8_t requests[PAGE] __attribute__((aligned(4096)));
static uint64_t reserved_base, reserved_size; /* what is not this VM's, the hypervisor's with it */
static uint64_t seed = 88172645463325252UL;

static uint64_t random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static int64_t hypercall(uint64_t nr, uint64_t arg1, uint64_t arg2)
{
	register uint64_t r8 __asm__("r8") = nr;
	int64_t ret;

	__asm__ volatile("vmcall" : "=a"(ret) : "r"(r8), "D"(arg1), "S"(arg2) : "memory");
	return ret;
}

static int64_t call(uint32_t index, uint64_t arg1, uint64_t arg2)
{
	return hypercall(HC_CLASS | index, arg1, arg2);
}

/* Memory of its own that may be spoilt, or memory that is not its own, or none at all. */
static uint64_t random_address(void)
{
	uint64_t r = random();

	switch (r % 8U) {
	case 0:
		return reserved_base + (r >> 8) % reserved_size;
	case 1:
		return (random() & 1U) != 0U ? 0xfee00000U + (r >> 8) % 0x2000U
					     : 0xfec00000U + (r >> 8) % 0x2000U;
	case 2:
		return UINT64_MAX - (r >> 8) % 0x2000U;
	case 3:
		return (1UL << (32U + (r >> 8) % 32U)) + (r >> 16) % 0x2000U;
	default:
		r = (uintptr_t)buffer + (r >> 8) % (sizeof(buffer) - PAGE);
		return (random() & 1U) != 0U ? r & ~0xfffUL : r & ~7UL;
	}
}

/* A word of a structure: an address, a size, a small number or anything. */
static uint64_t random_word(void)
{
	switch (random() % 6U) {
	case 0:
		return random();
	case 1:
		return random_address();
	case 2:
		return random_address() & ~0xfffUL;
	case 3:
		return (random() % 17U) * PAGE;
	case 4:
		return (random() % 8U) | ((random() & 1U) != 0U ? 0x700000000U : 0U) | 0x40UL << 32;
	default:
		return random() % 20U;
	}
}

static void random_structure(uint64_t address)
{
	uint64_t *words = (uint64_t *)(uintptr_t)(address & ~7UL);

	if (address < (uintptr_t)buffer || address > (uintptr_t)buffer + sizeof(buffer) - 512U)
		return;
	for (uint32_t i = 0U; i < 40U; i++)
		words[i] = random_word();
}

/* A ring that can be, or nearly. */
static void random_ring(uint64_t address)
{
	struct acrn_sbuf_param *p = (void *)(uintptr_t)address;
	struct sbuf_header *h = (void *)(buffer + random() % 63U * PAGE);

	p->sbuf_id = (random() & 1U) != 0U ? ACRN_SBUF_ASYNCIO : ACRN_SBUF_VM_EVENT;
	if ((random() & 3U) != 0U)
		p->gpa = (uintptr_t)h;
	h->magic = SBUF_MAGIC;
	h->ele_num = (uint32_t)random() % 600U;
	h->ele_size = (random() & 1U) != 0U ? 8U : 32U;
	h->size = h->ele_num * h->ele_size;
}

static void random_call(void)
{
	static const uint8_t calls[] = {
		HC_GET_API_VERSION,
		HC_REMOVE_CPU,
		HC_SET_CALLBACK_VECTOR,
		HC_CREATE_VM,
		HC_CREATE_VM,
		HC_DESTROY_VM,
		HC_START_VM,
		HC_PAUSE_VM,
		HC_RESET_VM,
		HC_SET_VCPU_REGS,
		HC_INJECT_MSI,
		HC_VM_INTR_MONITOR,
		HC_SET_IRQLINE,
		HC_SET_IOREQ_BUFFER,
		HC_SET_IOREQ_BUFFER,
		HC_NOTIFY_REQUEST_FINISH,
		HC_ASYNCIO_ASSIGN,
		HC_ASYNCIO_DEASSIGN,
		HC_SET_MEMORY_REGIONS,
		HC_SET_MEMORY_REGIONS,
		HC_SETUP_SBUF,
		HC_SET_PTDEV_INTR,
		HC_RESET_PTDEV_INTR,
		HC_ASSIGN_PCIDEV,
		HC_DEASSIGN_PCIDEV,
		HC_DEASSIGN_MMIODEV,
		HC_CREATE_VDEV,
		HC_DESTROY_VDEV,
		HC_PM_GET_CPU_STATE,
	};
	uint32_t index = calls[random() % sizeof(calls)];
	uint64_t arg1 = random() % (MAX_VMS + 1U), arg2 = random_address();
	bool first = index == HC_CREATE_VM || index == HC_SET_MEMORY_REGIONS ||
		     index == HC_GET_API_VERSION;

	random_structure(arg2);
	if (index == HC_CREATE_VM && arg2 >= (uintptr_t)buffer &&
	    arg2 < (uintptr_t)buffer + sizeof(buffer)) {
		struct acrn_vm_creation *c = (void *)(uintptr_t)(arg2 & ~7UL);

		arg2 &= ~7UL;
		c->vm_flag &= 0xcU;
		c->cpu_affinity &= 3U;
	}
	if (index == HC_SET_MEMORY_REGIONS && arg2 >= (uintptr_t)buffer &&
	    arg2 < (uintptr_t)buffer + sizeof(buffer)) {
		struct acrn_memory_regions *r = (void *)(uintptr_t)(arg2 & ~7UL);

		arg2 &= ~7UL;
		r->vmid = (uint16_t)arg1;
		r->regions_num %= 64U;
	}
	if (index == HC_SETUP_SBUF && arg2 >= (uintptr_t)buffer &&
	    arg2 < (uintptr_t)buffer + sizeof(buffer) - 512U)
		random_ring(arg2 & ~7UL);
	if (random() % 16U == 0U)
		arg1 = random_word();
	if (random() % 64U == 0U) {
		(void)hypercall(random(), arg1, arg2);
		return;
	}
	if (index == HC_SET_IRQLINE)
		arg2 = random() & 0x70000003fUL;
	(void)call(index, first ? arg2 : arg1, arg2);
}

static void find_reserved(const uint8_t *boot_params)
{
	const struct e820_entry *e = (const void *)(boot_params + E820_TABLE);

	for (uint32_t i = 0U; i < boot_params[E820_COUNT]; i++) {
		if (e[i].type != E820_RAM && e[i].base >= 0x100000U && e[i].size > reserved_size &&
		    e[i].base < 0xe0000000U) {
			reserved_base = e[i].base;
			reserved_size = e[i].size;
		}
	}
}

/* VMCALL; then it tells by port 0x99 whether it was executed (1) or an invalid opcode (6). */
static const uint8_t program[] = {0x0f, 0x01, 0xc1, 0xb0, 0x01, 0xe6, 0x99, 0xf4, 0xeb, 0xfd};
static const uint8_t handler[] = {0xb0, 0x06, 0xe6, 0x99, 0xf4, 0xeb, 0xfd};

static void put(uint32_t at, const uint8_t *bytes, size_t count)
{
	for (size_t i = 0U; i < count; i++)
		memory[at + i] = bytes[i];
}

static uint16_t made; /* the VM that make_vm() made */

static volatile struct acrn_io_request *const slot = (void *)requests;

/* A VM of one page table's worth of real mode, with what `memory` holds; 0: it can be started. */
static int64_t make_vm(void)
{
	static struct acrn_vm_creation c;
	static struct acrn_memory_region r = {.attr = ACRN_MEM_ACCESS_RIGHT_MASK | ACRN_MEM_TYPE_WB,
					      .size = sizeof(memory)};
	static struct acrn_memory_regions rs = {.regions_num = 1};
	static struct acrn_vcpu_regs regs = {.vcpu_regs = {.cr0 = 0x30,
							   .cs_ar = 0x9f,
							   .rip = 0x1000,
							   .cs_limit = 0xffff,
							   .idt.limit = 0x3ff}};
	static uint64_t page;
	int64_t bad = 0;

	c = (struct acrn_vm_creation){.name = "proper", .cpu_affinity = 1};
	regs.vcpu_regs.gprs[4] = 0xf000;
	page = (uintptr_t)requests;
	r.service_vm_pa = (uintptr_t)memory;
	rs.regions_gpa = (uintptr_t)&r;
	bad |= call(HC_CREATE_VM, (uintptr_t)&c, 0);
	made = rs.vmid = c.vmid;
	bad |= call(HC_SET_IOREQ_BUFFER, made, (uintptr_t)&page);
	bad |= call(HC_SET_MEMORY_REGIONS, (uintptr_t)&rs, 0);
	bad |= call(HC_SET_VCPU_REGS, made, (uintptr_t)&regs);
	print("badcalls: proper VM %u with %u vCPU", made, c.vcpu_num);
	return bad;
}

static void wait_for(uint32_t state)
{
	while (slot->processed != state)
		__asm__ volatile("pause");
}

static int64_t answer(void)
{
	slot->processed = ACRN_IOREQ_COMPLETE;
	return call(HC_NOTIFY_REQUEST_FINISH, made, 0);
}

static void proper_vm(void)
{
	const uint8_t vector[] = {0x40, 0x10, 0, 0};
	int64_t bad;

	put(0x1000, program, sizeof(program));
	put(0x1040, handler, sizeof(handler));
	put(6U * 4U, vector, sizeof(vector));
	bad = make_vm();
	bad |= call(HC_START_VM, made, 0);
	print(", started: %s\n", bad == 0 ? "yes" : "no");
	wait_for(ACRN_IOREQ_PENDING);
	print("badcalls: its VMCALL gave %u at port %lx\n", slot->value, slot->address);
	bad = answer();
	wait_for(ACRN_IOREQ_FREE);
	bad |= call(HC_PAUSE_VM, made, 0);
	bad |= call(HC_DESTROY_VM, made, 0);
	print("badcalls: answered, paused, destroyed: %s\n", bad == 0 ? "yes" : "no");
	print("badcalls: and again: %u\n", (uint32_t)-call(HC_DESTROY_VM, made, 0));
}

/* MOV AL, 7; OUT 0x99, AL three times; an interrupt without an IDT. */
static const uint8_t bell[] = {0xb0, 0x07, 0xe6, 0x99, 0xe6, 0x99, 0xe6, 0x99,
			       0x0f, 0x01, 0x1e, 0x00, 0x20, 0xcc};

static int64_t make_ring(uint32_t id, uint8_t *at, uint32_t ele_num, uint32_t ele_size)
{
	static struct acrn_sbuf_param p;

	*(struct sbuf_header *)at = (struct sbuf_header){
		.magic = SBUF_MAGIC,
		.ele_num = ele_num,
		.ele_size = ele_size,
		.size = ele_num * ele_size,
	};
	p = (struct acrn_sbuf_param){.sbuf_id = id, .gpa = (uintptr_t)at};
	return call(HC_SETUP_SBUF, made, (uintptr_t)&p);
}

/* Two doorbells fit the ring, the third is a request; the event comes before the power-off. */
static void ringing_vm(void)
{
	static struct acrn_asyncio_info info = {.type = ACRN_ASYNCIO_PIO,
						.match_data = 1,
						.addr = 0x99,
						.fd = 0x123456789abc,
						.data = 7};
	const volatile struct sbuf_header *bells = (void *)buffer, *events = (void *)(buffer + PAGE);
	const volatile uint64_t *fds = (const volatile void *)(bells + 1);
	int64_t bad;

	put(0x1000, bell, sizeof(bell));
	bad = make_vm();
	bad |= make_ring(ACRN_SBUF_ASYNCIO, buffer, 3, sizeof(uint64_t));
	bad |= make_ring(ACRN_SBUF_VM_EVENT, buffer + PAGE, 8, sizeof(struct acrn_vm_event));
	bad |= call(HC_ASYNCIO_ASSIGN, made, (uintptr_t)&info);
	bad |= call(HC_START_VM, made, 0);
	print(" and rings, started: %s\n", bad == 0 ? "yes" : "no");
	wait_for(ACRN_IOREQ_PENDING);
	print("badcalls: %u bytes in the ring, %lx %lx, then port %lx\n", bells->tail, fds[0], fds[1],
	      slot->address);
	bad = answer();
	while (events->tail == 0U)
		__asm__ volatile("pause");
	wait_for(ACRN_IOREQ_PENDING);
	print("badcalls: event %u, then %x at port %lx\n",
	      ((const volatile struct acrn_vm_event *)(events + 1))->type, slot->value,
	      slot->address);
	bad |= call(HC_DESTROY_VM, made, 0);
	print("badcalls: destroyed: %s\n", bad == 0 ? "yes" : "no");
}

void guest_main(const void *boot_params)
{
	uint32_t left = 0U;

	find_reserved(boot_params);
	print("badcalls: reserved memory at %lx, %lx bytes\n", reserved_base, reserved_size);
	for (uint32_t i = 1U; i <= CALLS; i++) {
		random_call();
		if (i % 5000U == 0U)
			print("badcalls: %u calls\n", i);
	}
	for (uint64_t id = 1U; id < MAX_VMS; id++)
		left += call(HC_DESTROY_VM, id, 0) == 0 ? 1U : 0U;
	print("badcalls: %u VMs were left\n", left);
	proper_vm();
	ringing_vm();
	print("badcalls: done\n");
}
