// SPDX-License-Identifier: BSD-3-Clause
/*
 * Measuring operations: see measure.h. Linked into every test guest, used by those that measure.
 * One CPU; the samples of one operation are kept and sorted in place.
 */
#include "measure.h"

#include "guest.h"

static uint32_t samples[ROUNDS_MAX];

static void op_empty(void)
{
}

static void sift(uint32_t start, uint32_t end)
{
	for (uint32_t child; (child = 2U * start + 1U) < end; start = child) {
		uint32_t saved = samples[start];

		if (child + 1U < end && samples[child + 1U] > samples[child])
			child++;
		if (saved >= samples[child])
			return;
		samples[start] = samples[child];
		samples[child] = saved;
	}
}

static void sort(uint32_t count)
{
	for (uint32_t i = count / 2U; i > 0U; i--)
		sift(i - 1U, count);
	for (uint32_t end = count - 1U; end > 0U; end--) {
		uint32_t largest = samples[0];

		samples[0] = samples[end];
		samples[end] = largest;
		sift(0U, end);
	}
}

static void measure_one(const struct operation *op)
{
	for (uint32_t i = 0U; i < op->rounds; i++) {
		uint64_t start = rdtsc();

		op->run();
		samples[i] = (uint32_t)(rdtsc() - start);
	}
	sort(op->rounds);
	print("bench %s %u %u\n", op->name, samples[0], samples[op->rounds / 2U]);
}

static void trace_one(const struct operation *op)
{
	trace_stop();
	for (uint32_t i = 0U; i < TRACED_ROUNDS; i++) {
		trace_mark();
		op->run();
	}
	trace_mark();
	trace_stop();
}

void measure(const struct operation *ops, size_t count)
{
	const struct operation empty = {"empty", op_empty, ROUNDS_MAX};

	measure_one(&empty);
	for (size_t i = 0U; i < count; i++)
		measure_one(&ops[i]);
	for (size_t i = 0U; i < count; i++)
		trace_one(&ops[i]);
}
