// SPDX-License-Identifier: BSD-3-Clause
/*
 * Registration through linker sections. SECTION_ADD places a pointer to a
 * const struct into a section; SECTION_FOREACH walks it. Link order carries no
 * meaning: who needs an order sorts by an explicit level.
 */
#ifndef DM_SECTION_H
#define DM_SECTION_H

#define SECTION_ADD(section_name, type, object)                                                    \
	static const type *const section_name##_##object                                           \
		__attribute__((used, section(#section_name))) = &(object)

/* Sections are kept against --gc-sections by their __start_ reference (GNU ld rule). */
#define SECTION_DECLARE(section_name, type)                                                        \
	extern const type *const __start_##section_name[] __attribute__((weak));                   \
	extern const type *const __stop_##section_name[] __attribute__((weak))

#define SECTION_FOREACH(section_name, type, it)                                                    \
	for (const type *const *it = __start_##section_name; it < __stop_##section_name; it++)

#endif
