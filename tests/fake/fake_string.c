// SPDX-License-Identifier: BSD-3-Clause
/*
 * What lib/string.c has and the C library has not: string_copy() and string_to_u64(), the real
 * ones. Its other functions get names of their own here, or they would replace the C library's.
 */
#define memcpy	hv_memcpy
#define memmove hv_memmove
#define memset	hv_memset
#define memcmp	hv_memcmp
#define strlen	hv_strlen
#define strnlen hv_strnlen
#define strcmp	hv_strcmp
#define strncmp hv_strncmp
#define strchr	hv_strchr
#include "../../hypervisor/lib/string.c"
