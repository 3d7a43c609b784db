// SPDX-License-Identifier: BSD-3-Clause
/*
 * Physical interrupt lines of the VM that owns the machine's devices (vm->config says which pins
 * its virtual UARTs use instead), and of the pre-launched VMs that the scenario gives lines to.  A
 * physical pin is open while its guest has the virtual pin, or the vPIC's, unmasked.  The host's
 * LAPIC is told EOI at once, so a level pin is masked when it fires and opened again when the guest
 * ends the interrupt; an edge is passed on as a pulse.  Hooks of the vIOAPIC and vPIC call here on
 * any CPU; fires come on the pCPU the pin is aimed at.
 * One lock, inside of which only the physical IOAPIC's is taken.
 */
#include "config.h"
#include "hv/boot.h"
#include "hv/irq.h"
#include "hv/log.h"
#include "hv/mm.h"
#include "hv/unit.h"
#include "hv/vioapic.h"
#include "../vapic.h"

#define MAX_GSIS (CONFIG_MAX_IOAPIC_NUM * CONFIG_MAX_IOAPIC_LINES)

/* One physical pin. */
struct pt_pin {
	struct vm *vm;
	uint32_t gsi;
	uint32_t vm_gsi; /* the pin of the VM's IOAPIC */
	int16_t vector;	 /* host vector, 0: none yet */
	bool level;	 /* how the pin is programmed */
	bool in_service; /* level: fired, masked, and the guest has not ended it */
	bool wanted;	 /* the guest has it unmasked somewhere */
	bool latches;	 /* edge: masked at the vPIC, which would keep the next one */
	uint64_t rte;	 /* what the pin holds */
	bool kept;	 /* the hypervisor's own, or emulated for the VM: never passed */
};

struct vm_ptirq {
	spinlock_t lock;
	uint32_t count;
	struct pt_pin pin[MAX_GSIS];
};

static struct vm_ptirq ptirq;

static uint32_t gsi_of_pic_pin(uint32_t pin)
{
	return pin == 0U ? 2U : pin; /* as vintr_set_gsi() has it */
}

/* The vPIC pin this GSI drives is unmasked. */
static bool pic_wants(const struct vm *vm, uint32_t gsi, bool *level)
{
	uint32_t pin = gsi == 2U ? 0U : gsi;

	if (gsi >= 16U || gsi == 0U || !vm->vpic || (vpic_unmasked(vm) & BIT32(pin)) == 0U) {
		return false;
	}
	*level = vpic_is_level(vm, pin);
	return true;
}

/* Where to aim: the pCPU of the vCPU the guest means; the boot CPU when that is not one vCPU. */
static uint32_t target_of(struct vm *vm, uint64_t rte)
{
	uint32_t dest = (uint32_t)(rte >> IOAPIC_RTE_DEST_SHIFT);
	bool logical = (rte & IOAPIC_RTE_LOGICAL) != 0U;

	for (uint16_t i = 0; i < vm->vcpu_count; i++) {
		const struct vcpu *vcpu = vm->vcpus[i];

		if (logical ? vlapic_icr_logical(vcpu, dest) : vcpu->apic_id == dest) {
			return vcpu->pcpu->apic_id;
		}
	}
	return vm->vcpus[0]->pcpu->apic_id;
}

static void fired(uint8_t vector, void *arg)
{
	struct pt_pin *p = arg;
	struct vm *vm = p->vm;
	bool level;

	(void)vector;
	spin_lock(&ptirq.lock);
	level = p->level;
	if (level || !p->wanted) {
		ioapic_mask(p->gsi);
		p->rte |= IOAPIC_RTE_MASKED;
		p->in_service = level;
		p->latches = false;
	}
	spin_unlock(&ptirq.lock);
	(void)vintr_set_gsi(vm, p->vm_gsi, level ? GSI_SET_HIGH : GSI_RISING_PULSE);
}

/*
 * Make the physical pin what the virtual ones ask for; called with the lock held.  Where an IOAPIC
 * loses edges of a masked pin, an 8259 keeps one, and kernels rely on that while they mask a line
 * in its handler: such a pin stays open until it has fired once.
 */
static void program(struct pt_pin *p)
{
	uint64_t guest = vioapic_rte(p->vm, p->vm_gsi), rte;
	bool by_ioapic = (guest & IOAPIC_RTE_MASKED) == 0U, level = false;
	bool by_pic = !by_ioapic && pic_wants(p->vm, p->vm_gsi, &level);

	if (p->vector == 0) {
		int v;

		if (!by_ioapic && !by_pic) {
			return;
		}
		v = irq_alloc_vector();
		if (v < 0) {
			pr_err("no host vector left for interrupt line %u", p->gsi);
			return;
		}
		p->vector = (int16_t)v;
		irq_register((uint8_t)v, fired, p);
	}
	if (by_pic) {
		rte = level ? IOAPIC_RTE_LEVEL | IOAPIC_RTE_LOW_ACTIVE : 0U;
	} else {
		rte = guest & (IOAPIC_RTE_LEVEL | IOAPIC_RTE_LOW_ACTIVE);
	}
	p->level = (rte & IOAPIC_RTE_LEVEL) != 0U;
	p->wanted = by_ioapic || by_pic;
	if (p->wanted) {
		p->latches = by_pic && !p->level;
	}
	rte |= (uint64_t)(uint16_t)p->vector |
	       ((uint64_t)target_of(p->vm, guest) << IOAPIC_RTE_DEST_SHIFT);
	if ((!p->wanted && !p->latches) || (p->level && p->in_service)) {
		rte |= IOAPIC_RTE_MASKED;
	}
	if (rte != p->rte) {
		p->rte = rte;
		(void)ioapic_write_rte(p->gsi, rte);
	}
}

/* The physical pin behind this one of the VM's. */
static uint32_t phys_gsi(const struct vm *vm, uint32_t gsi)
{
	if (vm->load_order == SERVICE_VM) {
		return gsi;
	}
	for (uint32_t i = 0; i < vm->config->intx_count; i++) {
		if (vm->config->intx[i].vm_gsi == gsi) {
			return vm->config->intx[i].gsi;
		}
	}
	return MAX_GSIS;
}

static struct pt_pin *pin_of(struct vm *vm, uint32_t vm_gsi)
{
	uint32_t gsi = phys_gsi(vm, vm_gsi);

	if (gsi >= ptirq.count || ptirq.pin[gsi].kept || ptirq.pin[gsi].vm != vm) {
		return NULL;
	}
	return &ptirq.pin[gsi];
}

static void changed(struct vm *vm, uint32_t gsi)
{
	struct pt_pin *p = pin_of(vm, gsi);
	bool left;

	if (!p) {
		return;
	}
	spin_lock(&ptirq.lock);
	program(p);
	left = p->in_service && !p->level; /* the guest will never end it as a level interrupt */
	p->in_service = p->in_service && p->level;
	spin_unlock(&ptirq.lock);
	if (left) {
		(void)vintr_set_gsi(vm, gsi, GSI_SET_LOW);
	}
}

static void rte_changed(struct vm *vm, uint32_t gsi, uint64_t old_rte, uint64_t new_rte)
{
	(void)old_rte;
	(void)new_rte; /* may be older than what another vCPU wrote meanwhile */
	changed(vm, gsi);
}

static void pic_changed(struct vm *vm, uint32_t pin)
{
	changed(vm, gsi_of_pic_pin(pin));
}

/* The guest has ended the interrupt: a line that is still asserted fires at once. */
static void ended(struct vm *vm, uint32_t gsi)
{
	struct pt_pin *p = pin_of(vm, gsi);

	if (!p || !p->in_service) {
		return;
	}
	(void)vintr_set_gsi(vm, gsi, GSI_SET_LOW);
	spin_lock(&ptirq.lock);
	p->in_service = false;
	program(p);
	spin_unlock(&ptirq.lock);
}

static void pic_ended(struct vm *vm, uint32_t pin)
{
	ended(vm, gsi_of_pic_pin(pin));
}

static const struct vioapic_hooks ioapic_hooks = {.rte_changed = rte_changed, .eoi = ended};
static const struct vpic_hooks pic_hooks = {.changed = pic_changed, .eoi = pic_ended};

/*
 * Pins that stay away from the VM: the hypervisor's console, and what its virtual UARTs drive. One
 * that would have the console at its other end is not there without it: the port is the machine's.
 */
static bool is_kept(const struct vm *vm, uint32_t gsi, uint32_t vm_gsi)
{
	if (report_before != NULL && gsi != 0U && report_serial()->irq == gsi) {
		return true;
	}
	for (uint32_t i = 0; vm->config && i < VM_VUART_NUM; i++) {
		const struct vm_vuart_config *u = &vm->config->vuart[i];

		if (u->type == VUART_LEGACY && u->irq == vm_gsi &&
		    (u->peer != VUART_PEER_CONSOLE || report_before != NULL)) {
			return true;
		}
	}
	return false;
}

static void ptirq_vm_reset(struct vm *vm)
{
	if (vm->ptirq != &ptirq) {
		return;
	}
	spin_lock(&ptirq.lock);
	for (uint32_t gsi = 0; gsi < ptirq.count; gsi++) {
		struct pt_pin *p = &ptirq.pin[gsi];

		if (p->vm != vm) {
			continue;
		}
		p->in_service = false;
		p->latches = false;
		if ((p->rte & IOAPIC_RTE_MASKED) == 0U) {
			ioapic_mask(gsi);
		}
		p->rte |= IOAPIC_RTE_MASKED;
	}
	spin_unlock(&ptirq.lock);
}

static void ptirq_vm_deinit(struct vm *vm)
{
	if (vm->ptirq != &ptirq) {
		return;
	}
	ptirq_vm_reset(vm);
	for (uint32_t gsi = 0; gsi < ptirq.count; gsi++) {
		struct pt_pin *p = &ptirq.pin[gsi];

		if (p->vm != vm) {
			continue;
		}
		if (p->vector != 0) {
			irq_free_vector((uint8_t)p->vector);
		}
		p->vector = 0;
		p->vm = NULL;
	}
	vm->ptirq = NULL;
}

/* The first to ask for a pin has it: pre-launched VMs are made before the Service VM. */
static void take(struct vm *vm, uint32_t gsi, uint32_t vm_gsi)
{
	if (gsi < ptirq.count && vm_gsi < vioapic_gsi_count(vm) && !ptirq.pin[gsi].vm) {
		ptirq.pin[gsi] = (struct pt_pin){
			.vm = vm,
			.gsi = gsi,
			.vm_gsi = vm_gsi,
			.rte = IOAPIC_RTE_MASKED,
			.kept = is_kept(vm, gsi, vm_gsi),
		};
	}
}

static int ptirq_vm_init(struct vm *vm)
{
	bool all = vm->load_order == SERVICE_VM;

	if (vm->vintr != &vlapic_vintr_ops ||
	    !(all || (vm->config && vm->config->intx_count != 0U))) {
		return 0;
	}
	ptirq.count = MIN(ioapic_gsi_count(), (uint32_t)MAX_GSIS);
	for (uint32_t gsi = 0; all && gsi < ptirq.count; gsi++) {
		take(vm, gsi, gsi);
	}
	for (uint32_t i = 0; !all && i < vm->config->intx_count; i++) {
		take(vm, vm->config->intx[i].gsi, vm->config->intx[i].vm_gsi);
	}
	vm->ptirq = &ptirq;
	vioapic_set_hooks(vm, &ioapic_hooks);
	vm->vpic->hooks = &pic_hooks;
	return 0;
}

UNIT(ptirq) = {
	.name = "ptirq",
	.level = UNIT_INTR + 1U,
	.vm_init = ptirq_vm_init,
	.vm_reset = ptirq_vm_reset,
	.vm_deinit = ptirq_vm_deinit,
};
