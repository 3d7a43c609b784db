// SPDX-License-Identifier: BSD-3-Clause
// fuzzes: hypervisor/guest/inst_decode.c hypervisor/guest/inst_alu.c
/*
 * Any bytes as an instruction: does the decoder stay within them, say the same of the instruction
 * alone as of it among others, and give only operands that can be executed? Input: the mode, then
 * the bytes.
 */
#include <assert.h>
#include <stdlib.h>

#include "fuzz.h"
#include "hv/inst.h"
#include "hv/vcpu.h"
#include "lib/errno.h"

static int is_width(uint8_t w)
{
	return w == 1U || w == 2U || w == 4U || w == 8U;
}

/* A copy of just these bytes, so that the sanitizer sees the first one too many. */
static int decode(const uint8_t *bytes, size_t len, enum inst_mode mode, struct inst *inst)
{
	uint8_t *exact = malloc(len + 1U);
	int ret;

	memcpy(exact + 1, bytes, len);
	ret = inst_decode(exact + 1, len, mode, inst);
	free(exact);
	return ret;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum inst_mode modes[] = {INST_MODE_16, INST_MODE_32, INST_MODE_64};
	struct inst inst, alone;
	enum inst_mode mode;
	uint64_t rflags = 2;
	int ret;

	if (size == 0U)
		return 0;
	mode = modes[data[0] % 3U];
	ret = decode(data + 1, size - 1U, mode, &inst);
	if (ret != 0) {
		assert(ret == -EINVAL || (ret == -ENODATA && size - 1U < INST_MAX_LEN));
		return 0;
	}
	assert(inst.len >= 1U && inst.len <= INST_MAX_LEN && inst.len <= size - 1U);
	assert(inst.op < INST_OPS && (inst.dst == INST_MEM || inst.src == INST_MEM));
	assert(is_width(inst.width) && is_width(inst.reg_width) && inst.width <= inst.reg_width);
	assert(inst.reg < GPR_COUNT && inst.seg <= 5U && (!inst.high_byte || inst.reg < 4U));
	assert(mode == INST_MODE_64 || (inst.reg < 8U && inst.width <= 4U));
	assert(decode(data + 1, inst.len, mode, &alone) == 0);
	assert(memcmp(&inst, &alone, sizeof(inst)) == 0);
	assert(decode(data + 1, inst.len - 1U, mode, &alone) == -ENODATA);
	if (inst.op >= INST_ADD && inst.op <= INST_BTC)
		(void)inst_alu(inst.op, inst.width, inst.imm, ~inst.imm, &rflags);
	return 0;
}
