/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the fuzz targets share. Each target is a program of its own with libFuzzer's
 * main(): build/fuzz/fuzz_X [-max_total_time=60] runs it for as long as wanted, and
 * build/fuzz/fuzz_X FILE runs one input again.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold, whatever the input. */
#define fuzz_require(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, \
				#condition); \
			abort(); \
		} \
	} while (0)

/* The input, taken from the front. At its end there are only zeros. */
struct fuzz {
	const uint8_t *data;
	size_t left;
};

static inline void fuzz_bytes(struct fuzz *f, void *to, size_t n)
{
	size_t have = n < f->left ? n : f->left;

	memset(to, 0, n);
	if (have)
		memcpy(to, f->data, have);
	f->data += have;
	f->left -= have;
}

static inline uint8_t fuzz_u8(struct fuzz *f)
{
	uint8_t value;

	fuzz_bytes(f, &value, sizeof(value));
	return value;
}

static inline uint16_t fuzz_u16(struct fuzz *f)
{
	uint16_t value;

	fuzz_bytes(f, &value, sizeof(value));
	return value;
}

static inline uint32_t fuzz_u32(struct fuzz *f)
{
	uint32_t value;

	fuzz_bytes(f, &value, sizeof(value));
	return value;
}

#endif
