// SPDX-License-Identifier: BSD-3-Clause
/*
 * A writer of ACPI Machine Language (ACPI 6.4, chapter 20) into a buffer that
 * grows. Objects that enclose others are begun and ended; names are four
 * characters, or "\\_XX" style paths of one segment. An error (no memory, ends
 * that do not match) sticks and comes out of aml_finish().
 */
#ifndef DM_AML_H
#define DM_AML_H

#include <stddef.h>
#include <stdint.h>

struct aml;

struct aml *aml_create(void);
void aml_free(struct aml *aml);
/* The bytes written; NULL after an error or with an object still open. */
const uint8_t *aml_finish(const struct aml *aml, size_t *len);

void aml_scope_begin(struct aml *aml, const char *name);
void aml_device_begin(struct aml *aml, const char *name);
void aml_package_begin(struct aml *aml, uint8_t elements);
void aml_end(struct aml *aml);

/* Name (name, ...): the value is what is written next. */
void aml_name(struct aml *aml, const char *name);
void aml_integer(struct aml *aml, uint64_t value);
void aml_name_integer(struct aml *aml, const char *name, uint64_t value);
void aml_name_string(struct aml *aml, const char *name, const char *value);
/* id like "PNP0A08" */
void aml_name_eisaid(struct aml *aml, const char *name, const char *id);

/* Name (name, ResourceTemplate { ... }) */
void aml_resources_begin(struct aml *aml, const char *name);
void aml_resources_end(struct aml *aml);
void aml_res_io(struct aml *aml, uint16_t port, uint8_t len);
void aml_res_irq(struct aml *aml, unsigned int irq); /* 0..15, edge, active high, exclusive */
void aml_res_mem32_fixed(struct aml *aml, uint32_t base, uint32_t len);
/* Windows a bridge passes on; first and last are inclusive. */
void aml_res_bus(struct aml *aml, uint16_t first, uint16_t last);
void aml_res_io_window(struct aml *aml, uint16_t first, uint16_t last);
void aml_res_mem32_window(struct aml *aml, uint64_t first, uint64_t last);
void aml_res_mem64_window(struct aml *aml, uint64_t first, uint64_t last);

#endif
