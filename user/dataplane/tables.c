// SPDX-License-Identifier: GPL-2.0
/*
 * Destinations, rings and vips, written through mapped memory while packets
 * flow. The rules that make this safe are in waymark/abi.h.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <waymark/hash.h>

#include "dp.h"

/* An address may change its interface only while it is none: packets are under way. */
static void set_own(volatile struct wm_own_mac *own, uint64_t mac, uint32_t ifindex)
{
	if (own->ifindex != ifindex) {
		own->mac = 0;
		atomic_thread_fence(memory_order_seq_cst);
		own->ifindex = ifindex;
		atomic_thread_fence(memory_order_seq_cst);
	}
	own->mac = mac;
}

void wm_dp__own_macs(struct wm_dp *dp, const struct wm_dp_own *own, size_t n)
{
	volatile struct wm_ctl *ctl = wm_dp__ctl(dp);

	for (size_t i = 0; i < n; i++)
		set_own(&ctl->own[i], wm_own_mac(own[i].mac), own[i].ifindex);
	atomic_thread_fence(memory_order_seq_cst);
	ctl->own_count = n;
	for (size_t i = n; i < WM_OWN_MACS_MAX; i++)
		set_own(&ctl->own[i], 0, 0);
}

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

uint64_t wm_dp__ring_dropped(struct wm_dp *dp, uint32_t index)
{
	return __atomic_load_n(&wm_dp__ring(dp, index)->dropped, __ATOMIC_RELAXED);
}

void wm_dp__ring_take_dropped(struct wm_dp *dp, uint32_t index, uint32_t from)
{
	uint64_t n = __atomic_exchange_n(&wm_dp__ring(dp, from)->dropped, 0, __ATOMIC_RELAXED);

	__atomic_add_fetch(&wm_dp__ring(dp, index)->dropped, n, __ATOMIC_RELAXED);
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
			if (!bucket[i].way[way].family || !bucket[i].way[way].proto)
				continue; /* free, or an address */
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
 * With n entries in b buckets at random, about n^3 / 6b^2 buckets hold three or
 * more: with two such expected every seventh seed has none. Each vip may have an address
 * of its own, which has an entry too.
 */
uint32_t wm_dp__vip_bits(size_t n)
{
	uint32_t bits = WM_VIP_BITS_DEFAULT;
	double entries = 2.0 * n, cubed = entries * entries * entries;

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
		if (vips[i].proto && !vips[i].port)
			return true;
	return false;
}

static int by_address(const void *a, const void *b)
{
	const struct wm_vip *x = a, *y = b;
	int order = x->family - y->family;

	return order ? order : memcmp(x->addr, y->addr, sizeof(x->addr));
}

/* An entry for each address behind those of the vips; returns how many there are in all. */
static size_t add_addresses(struct wm_vip *entry, size_t n)
{
	struct wm_vip *address = entry + n;
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		address[i] = (struct wm_vip){ .family = entry[i].family };
		memcpy(address[i].addr, entry[i].addr, sizeof(address[i].addr));
		address[i].flags = (entry[i].flags & WM_VIP_OWN) |
				   (entry[i].proto == IPPROTO_TCP ? WM_VIP_TCP : WM_VIP_UDP);
		entry[i].flags &= ~WM_VIP_OWN;
	}
	qsort(address, n, sizeof(*address), by_address);
	for (size_t i = 1; i < n; i++) {
		if (by_address(&address[kept], &address[i]))
			address[++kept] = address[i];
		else
			address[kept].flags |= address[i].flags;
	}
	return n ? n + kept + 1 : 0;
}

static struct wm_vip *find_address(struct wm_dp *dp, uint32_t half, const __be32 addr[4],
				   uint8_t family)
{
	struct wm_vip key = { .family = family };
	struct wm_vip *way;

	memcpy(key.addr, addr, sizeof(key.addr));
	way = half_of(dp, half)[bucket_of(&key, wm_dp__ctl(dp)->vip_seed[half],
					  dp->params.vip_bits)].way;
	for (int i = 0; i < WM_VIP_WAYS; i++)
		if (!way[i].proto && !by_address(&way[i], &key))
			return &way[i];
	return NULL;
}

bool wm_dp__address_is_own(struct wm_dp *dp, const __be32 addr[4], uint8_t family)
{
	const struct wm_vip *entry = find_address(dp, wm_dp__ctl(dp)->half & 1, addr, family);

	return entry && entry->flags & WM_VIP_OWN;
}

void wm_dp__address_own(struct wm_dp *dp, const __be32 addr[4], uint8_t family, bool own)
{
	struct wm_vip *entry = find_address(dp, wm_dp__ctl(dp)->half & 1, addr, family);

	if (entry)
		*(volatile __u16 *)&entry->flags = own ? entry->flags | WM_VIP_OWN
						       : entry->flags & ~WM_VIP_OWN;
}

static int publish(struct wm_dp *dp, const struct wm_vip *vips, size_t n, struct wm_err *err)
{
	volatile struct wm_ctl *ctl = wm_dp__ctl(dp);
	uint32_t half = !(ctl->half & 1);
	uint32_t flag = WM_CTL_ANY_PORT_0 << half;
	uint64_t seed;
	int rc;

	rc = find_seed(vips, n, dp->params.vip_bits, &seed);
	if (rc)
		return wm_err__set(err, rc, "the vips and their addresses, %zu entries, do not "
				   "fit the table of %u buckets: raise limits.vips and load the "
				   "program anew", n, 1u << dp->params.vip_bits);
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

int wm_dp__vips_publish(struct wm_dp *dp, const struct wm_vip *vips, size_t n, struct wm_err *err)
{
	struct wm_vip *entry = calloc(2 * n + 1, sizeof(*entry));
	int rc;

	if (!entry)
		return wm_err__sys(err, -ENOMEM, "cannot write %zu vips", n);
	memcpy(entry, vips, n * sizeof(*entry));
	rc = publish(dp, entry, add_addresses(entry, n), err);
	free(entry);
	return rc;
}
