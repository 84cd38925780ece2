// SPDX-License-Identifier: GPL-2.0
/*
 * Destinations, rings and vips, written through mapped memory while packets
 * flow. The rules that make this safe are in waymark/abi.h.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <waymark/hash.h>

#include "dp.h"

static struct wm_dest *dest_of(struct wm_dp *dp, uint16_t id)
{
	return (struct wm_dest *)dp->map[DP_DESTS].memory + id;
}

const struct wm_dest *wm_dp__dest(struct wm_dp *dp, uint16_t id)
{
	return dest_of(dp, id);
}

static void set_mark(struct wm_dest *dest, uint32_t mark)
{
	__atomic_store_n(&dest->mark, mark, __ATOMIC_RELEASE);
	atomic_thread_fence(memory_order_seq_cst);
}

void wm_dp__dest_set(struct wm_dp *dp, uint16_t id, const struct wm_dest *dest)
{
	struct wm_dest *live = dest_of(dp, id);
	const size_t body = sizeof(live->mark);

	/* Only the next hop may change under packets: not taken away for that. */
	if (live->mark != dest->mark)
		set_mark(live, 0);
	memcpy((char *)live + body, (const char *)dest + body, sizeof(*live) - body);
	set_mark(live, dest->mark);
}

void wm_dp__dest_clear(struct wm_dp *dp, uint16_t id)
{
	set_mark(dest_of(dp, id), 0);
}

struct wm_location *wm_dp__locations(struct wm_dp *dp)
{
	return dp->params.locations ? dp->map[DP_LOCATIONS].memory : NULL;
}

struct wm_ring *wm_dp__ring(struct wm_dp *dp, uint32_t index)
{
	return (struct wm_ring *)dp->map[DP_RINGS].memory + index;
}

/* --- vips --- */

static struct wm_vip_bucket *half_of(struct wm_dp *dp, uint32_t half)
{
	return (struct wm_vip_bucket *)dp->map[DP_VIPS].memory + (half << dp->params.vip_bits);
}

size_t wm_dp__vips(struct wm_dp *dp, struct wm_vip *out, size_t max)
{
	const struct wm_vip_bucket *bucket = half_of(dp, wm_dp__ctl(dp)->half & 1);
	size_t n = 0;

	for (uint32_t i = 0; i < 1u << dp->params.vip_bits; i++) {
		for (int way = 0; way < WM_VIP_WAYS; way++) {
			if (!bucket[i].way[way].family)
				continue;
			if (n < max)
				out[n] = bucket[i].way[way];
			n++;
		}
	}
	return n;
}

static uint32_t bucket_of(const struct wm_vip *vip, uint64_t seed, uint32_t bits)
{
	if (vip->family == WM_IPV4)
		return wm_vip_bucket_v4(vip->addr[0], vip->port, vip->proto, seed, bits);
	return wm_vip_bucket_v6(vip->addr, vip->port, vip->proto, seed, bits);
}

static bool fits(const struct wm_vip *vips, size_t n, uint64_t seed, uint32_t bits, uint8_t *used)
{
	memset(used, 0, 1u << bits);
	for (size_t i = 0; i < n; i++)
		if (used[bucket_of(&vips[i], seed, bits)]++ == WM_VIP_WAYS)
			return false;
	return true;
}

/*
 * With n vips in b buckets at random, about n^3 / 6b^2 buckets hold three or
 * more: with two such expected every seventh seed has none.
 */
uint32_t wm_dp__vip_bits(size_t n)
{
	uint32_t bits = WM_VIP_BITS_DEFAULT;
	double cubed = (double)n * n * n;

	while (bits < WM_VIP_BITS_MAX && cubed / 6 > 2 * (double)(1ull << 2 * bits))
		bits++;
	return bits;
}

/* The first seed with no bucket overfull. From a fixed start: a table depends
 * on its vips alone. */
static int find_seed(const struct wm_vip *vips, size_t n, uint32_t bits, uint64_t *seed)
{
	uint8_t *used = malloc(1u << bits);
	int rc = -ENOSPC;

	if (!used)
		return -ENOMEM;
	*seed = 0;
	for (int attempt = 0; attempt < 1000; attempt++) {
		*seed += 0x9e3779b97f4a7c15ull;
		if (fits(vips, n, *seed, bits, used)) {
			rc = 0;
			break;
		}
	}
	free(used);
	return rc;
}

static void fill_half(struct wm_dp *dp, uint32_t half, const struct wm_vip *vips, size_t n,
		      uint64_t seed)
{
	struct wm_vip_bucket *bucket = half_of(dp, half);

	memset(bucket, 0, sizeof(*bucket) << dp->params.vip_bits);
	for (size_t i = 0; i < n; i++) {
		struct wm_vip *way = bucket[bucket_of(&vips[i], seed, dp->params.vip_bits)].way;

		way[way[0].family ? 1 : 0] = vips[i];
	}
}

static bool any_port(const struct wm_vip *vips, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!vips[i].port)
			return true;
	return false;
}

int wm_dp__vips_publish(struct wm_dp *dp, const struct wm_vip *vips, size_t n, struct wm_err *err)
{
	volatile struct wm_ctl *ctl = wm_dp__ctl(dp);
	uint32_t half = !(ctl->half & 1);
	uint32_t flag = WM_CTL_ANY_PORT_0 << half;
	uint64_t seed;
	int rc;

	rc = find_seed(vips, n, dp->params.vip_bits, &seed);
	if (rc)
		return wm_err__set(err, rc, "%zu vips do not fit the table of %u buckets: raise "
				   "limits.vips and load the program anew", n,
				   1u << dp->params.vip_bits);
	if (dp->flip_open)
		wm_dp__grace(dp); /* a packet may still be in the half we are to fill */
	fill_half(dp, half, vips, n, seed);
	ctl->vip_seed[half] = seed;
	ctl->flags = any_port(vips, n) ? ctl->flags | flag : ctl->flags & ~flag;
	atomic_thread_fence(memory_order_seq_cst);
	ctl->half = half;
	atomic_thread_fence(memory_order_seq_cst);
	dp->flip_open = true;
	return 0;
}
