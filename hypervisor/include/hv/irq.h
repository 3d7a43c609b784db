/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_IRQ_H
#define HV_IRQ_H

#include "lib/types.h"

/* Host vectors: 0x20-0xDF devices, then the fixed ones (ACRN's map). */
#define VECTOR_DYN_FIRST 0x20U
#define VECTOR_DYN_LAST	 0xDFU
#define VECTOR_TIMER	 0xE0U
#define VECTOR_KICK	 0xE1U
#define VECTOR_POSTED	 0xE4U
#define VECTOR_SPURIOUS	 0xFFU

/*
 * Called in root mode with interrupts off, after the LAPIC's EOI, on the CPU that took the
 * interrupt. Register before it can fire; `arg` is passed back.
 */
typedef void (*irq_handler_t)(uint8_t vector, void *arg);
void irq_register(uint8_t vector, irq_handler_t fn, void *arg);

/* A free device vector, or -ENOSPC. */
int irq_alloc_vector(void);
void irq_free_vector(uint8_t vector);

/* Debug builds: how often `vector` was taken on CPU `cpu`, at VM exits and in the idle loop. */
uint32_t irq_count(uint16_t cpu, uint8_t vector);

/* Once at boot: the kick vector and the spurious one. */
void irq_init(void);

/* From the external-interrupt exit and the idle loop's IDT entry. */
void irq_dispatch(uint8_t vector);

/* The physical LAPIC of this CPU (x2APIC when the CPU has it). */
void lapic_init_pcpu(void);
void lapic_eoi(void);
void lapic_send_ipi(uint32_t apic_id, uint8_t vector);
void lapic_send_nmi(uint32_t apic_id);
void lapic_send_init(uint32_t apic_id);
void lapic_send_sipi(uint32_t apic_id, uint8_t page);
void lapic_timer_set(uint64_t deadline); /* host TSC; 0 disarms */
void lapic_timer_calibrate(void);	 /* once, after tsc_calibrate() */
bool lapic_is_x2apic(void);

/*
 * This CPU's APIC for a guest, as an INIT leaves it; again for its next INIT. And back to the
 * hypervisor: the caller runs the timers anew. Nothing the guest left pending reaches anybody.
 */
void lapic_give(void);
void lapic_take_back(void);

/* The physical IOAPICs. A GSI is a pin counted through all of them. */
struct ioapic_info {
	uint32_t id;
	hpa_t base;
	uint32_t gsi_base;
	uint32_t pins;
};
extern struct ioapic_info ioapics[];
extern uint16_t ioapic_count;
void ioapic_init(void); /* finds pin counts, masks every pin, masks the 8259s */
int ioapic_write_rte(uint32_t gsi, uint64_t rte); /* -EINVAL: no such GSI */
uint64_t ioapic_read_rte(uint32_t gsi);
void ioapic_mask(uint32_t gsi);
uint32_t ioapic_gsi_count(void);

#endif
