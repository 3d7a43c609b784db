/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IS_ENABLED(CONFIG_X) is 1 if the build switches X on, 0 if it does not, as a
 * constant for an ordinary if: both branches are compiled, one is dropped.
 * A switch that is on is defined as 1, one that is off is not defined, so the
 * name pasted onto KCONFIG_COMMA_ shifts a 1 into second place, or does not.
 */
#ifndef LIB_KCONFIG_H
#define LIB_KCONFIG_H

#include "config.h"

#define KCONFIG_COMMA_1			   ,
#define KCONFIG_SECOND(first, second, ...) second
#define KCONFIG_PICK(...)		   KCONFIG_SECOND(__VA_ARGS__)
#define KCONFIG_PASTE(value)		   KCONFIG_PICK(KCONFIG_COMMA_##value 1, 0, 0)
#define IS_ENABLED(option)		   KCONFIG_PASTE(option)

#endif
