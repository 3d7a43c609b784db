// SPDX-License-Identifier: BSD-3-Clause
// fuzzes: hypervisor/service_vm/hc_dev.c hypervisor/service_vm/hc_mem.c
// fuzzes: hypervisor/service_vm/hc_misc.c hypervisor/service_vm/hc_vm.c
// fuzzes: hypervisor/service_vm/hypercall.c hypervisor/service_vm/ioreq.c
// fuzzes: hypervisor/service_vm/asyncio.c hypervisor/service_vm/sbuf.c
// fuzzes: hypervisor/lib/sbuf.c
// links: @service
// options: -max_len=1024
/*
 * Any sequence of hypercalls, and of I/O requests of the VMs they made: does a User VM ever get
 * memory that is not the Service VM's, does a lock stay taken, is anything left when the VMs are
 * gone? The fake EPT checks what it is asked to map. Input: steps of a byte, what they need behind.
 */
#include <string.h>

#include "acrn/sbuf.h"
#include "config.h"
#include "hv/rings.h"
#include "service_machine.h"

#include "fuzz.h"

#define STRUCT 0x1000U
#define OTHER  0x3000U
#define PAGES  0x6000U /* of I/O requests, if the input does not say otherwise */
#define RING   (TEST_RAM - PAGE_SIZE) /* where an overrun shows */

static const uint8_t calls[] = {
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
	HC_NOTIFY_REQUEST_FINISH,
	HC_REMOVE_CPU,
	HC_SET_PTDEV_INTR,
	HC_RESET_PTDEV_INTR,
	HC_ASSIGN_PCIDEV,
	HC_DEASSIGN_PCIDEV,
	HC_ASSIGN_MMIODEV,
	HC_DEASSIGN_MMIODEV,
	HC_CREATE_VDEV,
	HC_DESTROY_VDEV,
	HC_GET_API_VERSION,
	HC_SET_CALLBACK_VECTOR,
	HC_SET_MEMORY_REGIONS,
	HC_PM_GET_CPU_STATE,
	HC_ASYNCIO_ASSIGN,
	HC_ASYNCIO_DEASSIGN,
	HC_SETUP_SBUF,
};

static struct fuzz in;

static void complete(uint64_t from, uint64_t to)
{
	for (uint64_t at = from; at < to; at += PAGE_SIZE) {
		for (uint32_t i = 0; i < ACRN_IOREQ_SLOTS; i++)
			((struct acrn_io_request *)service_ram(at))[i].processed =
				ACRN_IOREQ_COMPLETE;
	}
}

/* The device model writes to the page as it likes, and in the end the request is complete. */
static void answer(void)
{
	uint8_t *byte = service_ram(PAGES + fuzz_take(&in, 2) % (2U * PAGE_SIZE));

	*byte = (uint8_t)fuzz_take(&in, 1);
	if ((fuzz_take(&in, 1) & 1) != 0)
		complete(PAGES, PAGES + 2U * PAGE_SIZE);
	if (in.left == 0)
		complete(0, TEST_RAM);
}

/* A vCPU of a running VM reaches for a device. */
static void access_device(void)
{
	struct io_access io = {.kind = (enum io_kind)(fuzz_take(&in, 1) % 3), .width = 4};
	struct vm *vm = vm_by_id((uint16_t)(1U + fuzz_take(&in, 1) % 5U));

	io.write = (fuzz_take(&in, 1) & 1) != 0;
	io.addr = fuzz_take(&in, 4);
	io.value = fuzz_take(&in, 1);
	if (vm->state != VM_RUNNING)
		return;
	/* one that polls gives its processor away, and does not wait for this thread */
	vm->vcpus[0]->pcpu->rq.need_resched = true;
	vm->io_fallback(vm->vcpus[0], &io);
}

/* Entries of a region's array: near to what is right. */
static void regions(void)
{
	struct acrn_memory_regions *rs = service_ram(STRUCT);
	uint32_t n = (uint32_t)fuzz_take(&in, 1) % 40U;

	rs->vmid = (uint16_t)(fuzz_take(&in, 1) % 6);
	rs->regions_num = n;
	rs->regions_gpa = OTHER + fuzz_take(&in, 1);
	for (uint32_t i = 0; i < n; i++) {
		struct acrn_memory_region r = {.type = (uint32_t)fuzz_take(&in, 1) & 2U,
					       .attr = ACRN_MEM_TYPE_WB};
		uint8_t odd = (uint8_t)fuzz_take(&in, 1);

		r.attr = odd & 1 ? (uint32_t)fuzz_take(&in, 2) : r.attr | 7U;
		/* below 256 MB: what the fake EPT tells apart */
		r.user_vm_pa = (fuzz_take(&in, 2) << 12) + (odd & 2 ? fuzz_take(&in, 1) : 0);
		r.service_vm_pa = odd & 4 ? fuzz_take(&in, 8)
					  : fuzz_take(&in, 2) % (TEST_RAM / PAGE_SIZE) << 12;
		r.size = (odd & 8 ? fuzz_take(&in, 8) : (fuzz_take(&in, 1) % 16) << 12);
		if (r.size > PAGE_SIZE * 16U && r.size < BIT(47))
			r.size = BIT(47);
		memcpy(service_ram(rs->regions_gpa + i * sizeof(r)), &r, sizeof(r));
	}
}

static void device(void)
{
	struct acrn_mmiodev *d = service_ram(STRUCT);

	for (uint32_t i = 0; i < 3; i++) {
		d->res[i].user_vm_pa = fuzz_take(&in, 2) << 12;
		d->res[i].service_vm_pa = TEST_DEVICE + (fuzz_take(&in, 1) % 6 << 12);
		d->res[i].size = fuzz_take(&in, 1) % 5 << 12;
	}
}

static void structure(void)
{
	uint8_t bytes[304];
	size_t n = (size_t)fuzz_take(&in, 2) % sizeof(bytes);

	n = n < in.left ? n : in.left;
	memset(service_ram(STRUCT), 0, sizeof(bytes));
	memcpy(service_ram(STRUCT), in.data, n);
	in.data += n;
	in.left -= n;
}

static void doorbell(void)
{
	struct acrn_asyncio_info info = {.type = (uint32_t)fuzz_take(&in, 1) % 4,
					 .match_data = (uint32_t)fuzz_take(&in, 1) & 1,
					 .addr = fuzz_take(&in, 4),
					 .fd = UINT64_MAX,
					 .data = fuzz_take(&in, 1)};

	memcpy(service_ram(STRUCT), &info, sizeof(info));
}

static void ring(void)
{
	static const uint32_t sizes[] = {32, 8, HVLOG_ENTRY, 1};
	uint32_t which = (uint32_t)fuzz_take(&in, 1);
	struct acrn_sbuf_param p = {.sbuf_id = (which & 2U) != 0 ? which & 1U : 64U + (which & 1U),
				    .cpu_id = (uint16_t)(which >> 2) % (FAKE_PCPUS + 1U),
				    .gpa = RING};
	struct sbuf_header h = {.magic = SBUF_MAGIC};

	h.ele_num = (uint32_t)fuzz_take(&in, 2);
	h.flags = h.ele_num >> 14;
	h.ele_size = sizes[fuzz_take(&in, 1) % 4];
	h.size = h.ele_num * h.ele_size;
	memcpy(service_ram(STRUCT), &p, sizeof(p));
	memcpy(service_ram(RING), &h, sizeof(h));
}

static void call(void)
{
	static const uint64_t addresses[] = {STRUCT,	   STRUCT,	OTHER,
					     TEST_RAM - 8, TEST_DEVICE, UINT64_MAX - 3};
	uint32_t nr = calls[fuzz_take(&in, 1) % sizeof(calls)];
	uint8_t how = (uint8_t)fuzz_take(&in, 1);
	uint64_t arg1 = fuzz_take(&in, 1), arg2 = addresses[how % 6];

	if (nr == HC_CREATE_VM || nr == HC_SET_MEMORY_REGIONS || nr == HC_GET_API_VERSION)
		arg1 = addresses[how % 6];
	else if (nr == HC_PM_GET_CPU_STATE)
		arg1 = (arg1 % 6 << 24) | (arg1 >> 4);
	else if (nr == HC_SET_IRQLINE || nr == HC_NOTIFY_REQUEST_FINISH)
		arg2 = how;
	if (nr == HC_SET_IOREQ_BUFFER && (how & 0x40) == 0) {
		uint64_t page = PAGES + (how & 8 ? PAGE_SIZE : 0);

		memcpy(service_ram(STRUCT), &page, sizeof(page));
	}
	if ((nr == HC_ASYNCIO_ASSIGN || nr == HC_ASYNCIO_DEASSIGN) && (how & 0x40) == 0)
		doorbell();
	if (nr == HC_SETUP_SBUF && (how & 0x40) == 0)
		ring();
	(void)hypercall(service(), how & 0x80 ? (uint32_t)fuzz_take(&in, 4) : nr, arg1, arg2);
}

static void step(void)
{
	static const uint8_t entry[200] = "a line of the log, or an entry of the trace";

	switch (fuzz_take(&in, 1) % 8) {
	case 0:
		structure();
		break;
	case 1:
		regions();
		break;
	case 2:
		device();
		break;
	case 3:
		access_device();
		break;
	case 4: /* the Service VM writes where the hypervisor does, and that goes on */
		rings_put(ACRN_SBUF_TRACE, entry);
		test_log_sink->write(LOG_INFO, (const char *)entry, sizeof(entry) - 1);
		*((uint8_t *)service_ram(RING) + fuzz_take(&in, 1) % 72) =
			(uint8_t)fuzz_take(&in, 1);
		break;
	default:
		call();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int started;

	if (started++ == 0)
		(void)service_setup(NULL);
	memset(service_ram(0), 0, 0x8000);
	in = (struct fuzz) {data, size};
	test_on_block = answer;
	while (in.left != 0)
		step();
	for (uint16_t i = 1; i < CONFIG_MAX_VM_NUM; i++) {
		if (vm_is_live(vm_by_id(i)))
			vm_destroy(vm_by_id(i));
	}
	for (uint64_t i = 0; i < 4; i++)
		assert_true(mapped(service(), TEST_DEVICE + i * PAGE_SIZE, NULL, NULL));
	service()->vcpus[1]->thread.frozen = false;
	rings_redirect_none();
	return 0;
}
