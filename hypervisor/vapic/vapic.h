/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VAPIC_VAPIC_H
#define VAPIC_VAPIC_H

/*
 * What the files of vapic/ share: the virtual local APIC and the virtual 8259 pair. Nobody outside
 * this folder sees these.
 *
 * Who writes what: the register page and all plain fields of a vLAPIC belong to the pCPU of its
 * vCPU, in root mode (and to the processor itself while the guest runs with APICv). Other CPUs post
 * vectors in `pi` and `level_req`, atomically, and read `mode`, `enabled`, `ldr`, `dfr`.
 */
#include "asm/apic.h"
#include "asm/vmx.h"
#include "hv/pcpu.h"
#include "hv/timer.h"
#include "hv/vcpu.h"
#include "hv/vintr.h"
#include "hv/vlapic.h"
#include "hv/vm.h"

/* Posted-interrupt descriptor, SDM 3C 30.6. */
struct pi_desc {
	volatile uint64_t pir[4]; /* a bit per vector */
	volatile uint64_t ctrl;	  /* PI_ON, notification vector, destination */
	uint64_t reserved[3];
};

#define PI_ON	      0U /* bit number in ctrl: something is posted and its notification is sent */
#define PI_NV_SHIFT   16U
#define PI_NDST_SHIFT 32U

enum vlapic_mode { VLAPIC_OFF, VLAPIC_XAPIC, VLAPIC_X2APIC };

struct vlapic {
	struct pi_desc pi; /* first, and so page-aligned: Bochs 3.0 refuses the CPUs' 64 bytes */
	volatile uint64_t level_req[4]; /* posted level-triggered vectors; any CPU */
	volatile uint64_t level_posted; /* not 0: level_req has some */
	volatile uint64_t errors;	/* ESR bits not yet latched; any CPU */
	volatile uint32_t extint_msg;	/* an ExtINT message came (vIOAPIC pin 0); any CPU */
	uint32_t *regs;			/* the virtual-APIC page */
	struct vcpu *vcpu;
	volatile enum vlapic_mode mode;
	volatile bool enabled; /* SVR bit 8 */
	bool power_on;	       /* the coming reset is a VM's, not an INIT */
	bool counted;	       /* in vapic_vm.others: has run in a mode other than x2APIC */
	bool eoi_dirty;	       /* eoi_map is newer than the VMCS */
	bool access_page;      /* accesses to the xAPIC page are virtual, not EPT violations */
	volatile uint32_t ldr, dfr;
	uint8_t irr_words; /* bit n: IRR register n is not 0. Not kept with interrupt delivery */
	uint8_t isr_words; /* of the CPU, which changes IRR and ISR by itself */
	uint8_t rvi;	   /* highest vector set in IRR since RVI was last written */
	uint8_t tpr_threshold; /* what the VMCS holds */
	uint64_t eoi_map[4];   /* vectors whose EOI must exit */
	struct {
		struct timer timer;
		uint32_t mode;	   /* APIC_TIMER_x */
		uint32_t shift;	   /* TSC ticks a count, as a power of two */
		uint64_t period;   /* TSC ticks; 0: stopped */
		uint64_t due;	   /* host TSC */
		uint64_t deadline; /* guest TSC; 0: disarmed */
	} timer;
};

/* One 8259. */
struct vpic_chip {
	uint8_t irr, isr, imr, lines; /* lines: input levels */
	uint8_t elcr;		      /* a set bit: level-triggered */
	uint8_t base;		      /* ICW2 */
	uint8_t lowest;		      /* pin of lowest priority */
	uint8_t icw_step;	      /* the ICW expected at the odd port; 0: none */
	bool icw4, single;
	bool auto_eoi, rotate_aeoi, special_mask, special_nested;
	bool poll, read_isr;
};

/* For the pass-through code, with no lock held; pins 0-15. */
struct vpic_hooks {
	void (*changed)(struct vm *vm, uint32_t pin); /* its mask or trigger mode */
	void (*eoi)(struct vm *vm, uint32_t pin);
};

struct vpic {
	spinlock_t lock;
	const struct vpic_hooks *hooks;
	struct vpic_chip chip[2];
	volatile bool output; /* INTR; any CPU reads */
};

/* What vapic/ keeps per VM besides the vPIC. */
struct vapic_vm {
	spinlock_t lock;
	uint32_t others;   /* vCPUs that have run in another mode than x2APIC */
	bool open;	   /* x2APIC MSRs do not exit */
};

/* Which parts of APICv this machine has and uses; constant after boot. */
struct apicv {
	bool tpr_shadow;
	bool apic_access;
	bool x2apic;
	bool regs;
	bool vid;
	bool posted;
};
extern struct apicv apicv;

static inline uint32_t vlapic_reg(const struct vlapic *v, uint32_t offset)
{
	return *(const volatile uint32_t *)&v->regs[offset / 4U];
}

static inline void vlapic_set_reg(struct vlapic *v, uint32_t offset, uint32_t val)
{
	*(volatile uint32_t *)&v->regs[offset / 4U] = val;
}

static inline uint32_t bit_scan_reverse(uint32_t v)
{
	return 31U - (uint32_t)__builtin_clz(v);
}

/* vlapic_irr.c: all on the pCPU of the vCPU, but vlapic_post(). -1: no vector. */
void vlapic_irr_take(struct vlapic *v);
void vlapic_post_self(struct vlapic *v, uint8_t vector); /* VMCS loaded */
void vlapic_irr_set(struct vlapic *v, uint8_t vector, bool level);
int vlapic_irr_top(const struct vlapic *v);
int vlapic_isr_top(const struct vlapic *v);
uint32_t vlapic_ppr(const struct vlapic *v);
int vlapic_deliverable(const struct vlapic *v, int irr);
void vlapic_irr_to_isr(struct vlapic *v, uint8_t vector);
void vlapic_eoi(struct vlapic *v);
void vlapic_irr_reset(struct vlapic *v);

/* Move what other CPUs posted into IRR. */
static inline void vlapic_irr_sync(struct vlapic *v)
{
	if (unlikely((atomic_read64(&v->pi.ctrl) & BIT(PI_ON)) != 0U ||
		     atomic_read64(&v->level_posted) != 0U)) {
		vlapic_irr_take(v);
	}
}

/* vlapic_timer.c: own CPU, but vlapic_timer_stop() may be called anywhere, with no lock held. */
void vlapic_timer_init(struct vlapic *v);
void vlapic_timer_stop(struct vlapic *v);
void vlapic_timer_set_lvt(struct vlapic *v, uint32_t lvt);
void vlapic_timer_set_count(struct vlapic *v, uint32_t count);
void vlapic_timer_set_divide(struct vlapic *v, uint32_t tdcr);
uint32_t vlapic_timer_count(struct vlapic *v);
void vlapic_timer_tsc_moved(struct vcpu *vcpu); /* guest TSC has jumped */

/* vapic.c */
struct vapic_vm *vapic_vm(const struct vm *vm);

/* vlapic.c */
void vlapic_reset(struct vlapic *v); /* timer stopped; power-on or INIT as v->power_on says */
void vlapic_error(struct vlapic *v, uint32_t esr_bits); /* any CPU */
void vlapic_lvt_fire(struct vlapic *v, uint32_t offset);
bool vlapic_is_bsp(const struct vlapic *v);
void vlapic_mode_set(struct vlapic *v, enum vlapic_mode mode);

/* vlapic_icr.c */
void vlapic_icr_send(struct vlapic *v, uint32_t lo, uint32_t dest);
bool vlapic_icr_logical(const struct vcpu *vcpu, uint32_t dest); /* it is one of `dest` */
void vlapic_icr_deliver(struct vm *vm, const struct vintr_msg *msg);

/* apicv.c */
void apicv_boot(void);
void apicv_vm_reset(struct vm *vm);
void apicv_setup(struct vlapic *v); /* VMCS loaded, before the first entry */
void apicv_mode_changed(struct vlapic *v);
void apicv_write_rvi(struct vlapic *v);
void apicv_write_vmcs(struct vlapic *v); /* RVI and EOI exit bitmap, where they changed */
void apicv_set_svi(int vector);		 /* VMCS loaded */
void apicv_switched_in(struct vcpu *vcpu);
void apicv_notify(struct vcpu *vcpu); /* any CPU */

/* inject.c */
void vapic_inject(struct vcpu *vcpu);
bool vapic_pending(struct vcpu *vcpu);

/* pt/ptirq_remap.c: one message of one device; vm is NULL in a free one. */
struct pt_msi {
	struct vm *vm;
	uint64_t addr; /* as the guest wrote it */
	uint32_t data;
	uint16_t bdf;
	uint16_t index;
	uint8_t vector;
};
bool ptirq_message(uint32_t i, struct pt_msi *copy); /* i below CONFIG_MAX_PT_IRQ_ENTRIES */

/* vpic.c */
int vpic_create(struct vm *vm);
void vpic_reset(struct vm *vm);
void vpic_line(struct vm *vm, uint32_t pin, bool high);
uint8_t vpic_ack(struct vm *vm); /* the vector the processor gets in answer to INTA */
uint16_t vpic_unmasked(const struct vm *vm);
bool vpic_is_level(const struct vm *vm, uint32_t pin);

#endif
