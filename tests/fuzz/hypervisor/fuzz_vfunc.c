// SPDX-License-Identifier: BSD-3-Clause
// fuzzes: hypervisor/vpci/func/vfunc.c hypervisor/vpci/func/vfunc_bar.c
// fuzzes: hypervisor/vpci/func/vfunc_msix.c
// links: @vfunc @machine hypervisor/arch/x86/mm/pgtable_debug.c
/*
 * Two emulated functions in a Service VM and two in a User VM, and whatever their guests write to
 * registers, BARs and tables: does an EPT ever show memory that is not the VM's, or lose what is,
 * and is everything as it was once the functions are off? Input: accesses.
 */
#include "vfunc_machine.h"
#include "hv/gmem.h"
#include "hv/inst.h"
#include "hv/pgtable.h"

#include "fuzz.h"

#define BDF 0x28U
#define HV  MB(16) /* behind the Service VM's RAM */

/* Exits, and linear addresses: nothing here has them. */
int gmem_translate(struct vcpu *vcpu, gva_t gva, uint32_t access, gpa_t *gpa,
		   struct gmem_fault *fault)
{
	(void)vcpu, (void)gva, (void)access, (void)gpa, (void)fault;
	fail();
	return -EFAULT;
}

void inst_emulate(struct vcpu *vcpu, gpa_t gpa, bool write)
{
	(void)vcpu, (void)gpa, (void)write;
	fail();
}

void vcpu_inject(struct vcpu *vcpu, uint8_t vector, uint32_t error)
{
	(void)vcpu, (void)vector, (void)error;
	fail();
}

void vcpu_inject_gp(struct vcpu *vcpu)
{
	(void)vcpu;
	fail();
}

void vcpu_inject_pf(struct vcpu *vcpu, gva_t addr, uint32_t error)
{
	(void)vcpu, (void)addr, (void)error;
	fail();
}

void vcpu_skip(struct vcpu *vcpu)
{
	(void)vcpu;
	fail();
}

void vio_string(struct vcpu *vcpu, struct io_access *io, uint64_t qual)
{
	(void)vcpu, (void)io, (void)qual;
	fail();
}

static uint64_t user_ram;

/* A share where the function says so; RAM where it was; else 1:1 registers of the Service VM. */
static void check_leaf(uint64_t gpa, uint64_t entry, uint64_t size, void *arg)
{
	const struct vm *vm = arg;
	uint64_t hpa = entry & PGTABLE_ADDR & ~(size - 1U), own = (uintptr_t)share;

	if (hpa < own + SHARE && own < hpa + size) {
		assert_true(vm_shows(vm, GPA(gpa), HPA(hpa), size));
	} else if (vm == &user) {
		assert_true(gpa + size <= USER_RAM && hpa == gpa + MB(64));
		user_ram += size;
	} else {
		assert_true(hpa == gpa && (gpa + size <= RAM || gpa >= RAM + HV));
		assert_int_equal((entry & EPT_MT_MASK) == EPT_MT_WB, gpa < RAM);
	}
}

static void check(void)
{
	user_ram = 0;
	pgtable_walk(&service.ept.pt, check_leaf, &service);
	pgtable_walk(&user.ept.pt, check_leaf, &user);
	assert_int_equal(user_ram, USER_RAM);
}

/* Addresses of interest, by their upper bits; the rest comes from the input. */
static uint64_t place(uint8_t n)
{
	static const uint64_t at[] = {0,	      MB(4),	    USER_RAM - MB(4), USER_RAM,
				      RAM - MB(4),    RAM,	    RAM + HV,	      0xC0000000,
				      0xC0001000,     0xC0400000,   0xE0000000,	      0xFEE00000,
				      0xFFC00000,     GB(4),	    GB(512) - MB(4),  GB(512),
				      1UL << 47,      UINT64_MAX,   GB(64),	      0xFFFFF000};

	return at[n % ARRAY_SIZE(at)];
}

static void step(struct fuzz *in)
{
	uint8_t what = (uint8_t)fuzz_take(in, 1), width = (uint8_t)(1U << (what >> 4 & 3));
	struct vm *vm = (what & 0x80) != 0 ? &user : &service;
	uint32_t bdf = BDF + ((what & 0x40) != 0 ? 8U : 0U), reg;
	uint64_t value;

	switch (what & 7) {
	case 0: /* a register */
		reg = (uint32_t)fuzz_take(in, 1) & ~(MIN(width, 4U) - 1U);
		cfg_write(vm, bdf, reg, MIN(width, 4U), (uint32_t)fuzz_take(in, 4));
		(void)cfg_read(vm, bdf, reg, MIN(width, 4U));
		break;
	case 1: /* a BAR, somewhere interesting */
		reg = 0x10U + 4U * ((uint32_t)fuzz_take(in, 1) % 3U);
		value = place((uint8_t)fuzz_take(in, 1));
		cfg_write(vm, bdf, reg, 4, (uint32_t)value);
		if (reg == 0x18U)
			cfg_write(vm, bdf, 0x1C, 4, (uint32_t)(value >> 32));
		break;
	case 2:
		cfg_write(vm, bdf, 4, 2, (uint32_t)fuzz_take(in, 1));
		break;
	case 3:
		vfunc_raise(seen.f, (uint32_t)fuzz_take(in, 1));
		break;
	case 4:
		unit_vm_reset(vm);
		break;
	default: /* an access near a BAR; nothing else emulated is there */
		value = place((uint8_t)fuzz_take(in, 1)) + fuzz_take(in, 2) % 0x2000U;
		(void)go(vm, (struct io_access){IO_MMIO, (what & 1) != 0, width, value,
						fuzz_take(in, width)});
		break;
	}
}

static void start(void)
{
	const struct vfunc_type *type;

	(void)vfunc_setup(NULL);
	type = vfunc_type_find(0x1AF4, 0x10F0);
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(vfunc_create(&service, type, (bdf_t)(BDF + 8U * i), NULL), 0);
		assert_int_equal(vfunc_create(&user, type, (bdf_t)(BDF + 8U * i), NULL), 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = {data, size};

	if (share == NULL)
		start();
	for (uint32_t n = 0; in.left != 0 && n < 100; n++) {
		step(&in);
		if (n % 8U == 7U) /* it costs more than the steps */
			check();
	}
	check();
	unit_vm_reset(&service);
	unit_vm_reset(&user);
	for (uint64_t at = RAM + HV; at < GB(512); at += GB(1))
		assert_int_equal(mapped(&service, at, NULL), EPT_RWX | EPT_MT_UC);
	for (uint64_t at = 0xC0000000; at < GB(4); at += MB(2))
		assert_int_equal(mapped(&service, at, NULL), EPT_RWX | EPT_MT_UC);
	check();
	return 0;
}
