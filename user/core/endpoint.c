// SPDX-License-Identifier: GPL-2.0
/*
 * What a real is in the ring's eyes: one 64-bit number made from its address
 * alone. Weight, port and vip do not count, so a real keeps its permutation
 * wherever it is used.
 *
 * Katran takes this number from folly::IPAddress::hash(), so folly's steps are
 * done here, odd corners included:
 *  - IPv4: 32-bit FNV-1 whose bytes are widened as *signed* chars, joined with
 *    the address family by folly's 128-to-64-bit mix;
 *  - IPv6: SpookyHash V2 (Bob Jenkins, public domain), 16 bytes, seeds 0; both
 *    halves of its result are mixed, then joined with the address family;
 *  - a v4-mapped IPv6 address is the IPv4 address that it carries.
 */
#include <string.h>
#include <sys/socket.h>

#include "maglev.h"

static uint64_t rol64(uint64_t x, unsigned int by)
{
	return x << by | x >> (64 - by);
}

static uint64_t mix128(uint64_t upper, uint64_t lower)
{
	const uint64_t k = 0x9ddfea08eb382d69;
	uint64_t a, b;

	a = (lower ^ upper) * k;
	a ^= a >> 47;
	b = (upper ^ a) * k;
	b ^= b >> 47;
	return b * k;
}

static uint32_t fnv_signed(const void *bytes, size_t n)
{
	const signed char *p = bytes;
	uint32_t h = 2166136261u;

	while (n--)
		h = h * 16777619u ^ (uint32_t)*p++;
	return h;
}

/*
 * SpookyHash's form for short input, for exactly 16 bytes. Four words take
 * turns: step i works on word i, i+1, i+2, i+3 (mod 4) and rotates by its own
 * amount.
 */
static void spooky16(const void *bytes, uint64_t *first, uint64_t *second)
{
	static const uint8_t mix[12] = { 50, 52, 30, 41, 54, 48, 38, 37, 62, 34, 5, 36 };
	static const uint8_t end[11] = { 15, 52, 26, 51, 28, 9, 47, 54, 32, 25, 63 };
	const uint64_t filler = 0xdeadbeefdeadbeef;
	uint64_t h[4] = { 0, 0, filler, filler };
	uint64_t in[2];

	memcpy(in, bytes, sizeof(in));
	h[2] += in[0];
	h[3] += in[1];
	for (unsigned int i = 0; i < 12; i++) {
		uint64_t *turned = &h[(i + 2) % 4];

		*turned = rol64(*turned, mix[i]) + h[(i + 3) % 4];
		h[i % 4] ^= *turned;
	}

	/* Nothing is left over of the input; its length counts too. */
	h[2] += filler;
	h[3] += filler + ((uint64_t)sizeof(in) << 56);
	for (unsigned int i = 0; i < 11; i++) {
		uint64_t *turned = &h[(i + 2) % 4], *sum = &h[(i + 3) % 4];

		*sum ^= *turned;
		*turned = rol64(*turned, end[i]);
		*sum += *turned;
	}
	*first = h[0];
	*second = h[1];
}

static bool is_mapped(const struct wm_addr *addr)
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

	return addr->family == WM_IPV6 && !memcmp(addr->word, prefix, sizeof(prefix));
}

/* Katran has none, so any number will do: that of the name, whichever consumer it is. */
static uint64_t hash_local(const struct wm_addr *real)
{
	uint64_t first, second;
	uint8_t name[16];

	memcpy(name, real->word, sizeof(name));
	name[WM_LOCAL_NUMBER] = 0;
	spooky16(name, &first, &second);
	return mix128(AF_LOCAL, mix128(first, second));
}

uint64_t wm_endpoint__hash(const struct wm_addr *real)
{
	uint64_t first, second;

	if (real->family == WM_IPV4)
		return mix128(AF_INET, fnv_signed(&real->word[0], 4));
	if (is_mapped(real))
		return mix128(AF_INET, fnv_signed(&real->word[3], 4));
	if (real->family == WM_LOCAL)
		return hash_local(real);
	spooky16(real->word, &first, &second);
	return mix128(AF_INET6, mix128(first, second));
}
