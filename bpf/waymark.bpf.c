// SPDX-License-Identifier: GPL-2.0
/*
 * waymark: a layer-4 load balancer in XDP.
 *
 * The way of a packet:
 *   mark     read the mark that the NIC handed up; a live one ends the way here
 *   parse    Ethernet, IP, TCP or UDP; what is not ours goes to the stack
 *   vip      whose packet is it?
 *   flow     SYN: ring. Else: flow table, on a miss ring, enter the flow
 *   header   wrap the packet for its destination, or hand it to a local consumer
 *   count    one exit, which counts the verdict and its reason
 *
 * An ICMP error takes the same steps in a function of its own (balance_error), by the
 * packet that it quotes.
 *
 * Every step returns a counter, the reason why the way ends there, or GO_ON. A
 * packet that is for no vip leaves as it came.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "count.h"
#include "flow.h"
#include "header.h"
#include "icmp.h"
#include "maps.h"
#include "mark.h"
#include "packet.h"
#include "ring.h"
#include "vip.h"

char _license[] SEC("license") = "GPL";

/* One packet under way. */
struct way {
	struct xdp_md *ctx;
	struct wm_cpu_stats *stats;
	__u32 cpu;
	__u32 dest;      /* id, once it is known */
	struct inner in;
};

/* What a way is about: a packet of a flow, or an ICMP error about one. A constant
 * wherever it is handed on, so that each way is compiled by itself. */
enum subject { PACKET, ERROR };

static __always_inline int parse(struct way *w, enum subject subject, struct packet *p)
{
	void *data = (void *)(long)w->ctx->data, *end = (void *)(long)w->ctx->data_end;

	if (data + ETH_HLEN > end)
		return WM_C_PASS_SHORT;
	if (ethernet_proto(data) == bpf_htons(ETH_P_IP)) {
		p->family = WM_IPV4;
		return subject == ERROR ? parse_error_v4(p, data, end) : parse_v4(p, data, end);
	}
	if (ethernet_proto(data) == bpf_htons(ETH_P_IPV6)) {
		p->family = WM_IPV6;
		return subject == ERROR ? parse_error_v6(p, data, end) : parse_v6(p, data, end);
	}
	return WM_C_PASS_NOT_IP;
}

/* The ring's choice. NULL: nobody serves this vip. */
static __always_inline struct wm_dest *pick(struct way *w, const struct packet *p,
					    const struct wm_vip *vip)
{
	struct wm_dest *dest;

	w->dest = ring_pick(vip, p);
	dest = bpf_map_lookup_elem(&wm_dests, &w->dest);
	if (!w->dest || !dest || !dest->mark)
		return NULL;
	return dest;
}

/* A connection begins: the ring decides, unless a rule may still send this very
 * flow elsewhere. Then the flow stays there, and the rule is asked to go. */
static __always_inline int choose_syn(struct way *w, struct flow *f, const struct packet *p,
				      const struct wm_vip *vip, struct wm_dest **dest)
{
	*dest = pick(w, p, vip);
	if (f->entry && flow_proven(f->entry, promote_after(vip)) &&
	    entry_dest(f->entry) != w->dest) {
		struct wm_dest *old = flow_dest(f->entry, vip);

		if (old) {
			event_raise(w->stats, WM_EVENT_CLOSE, p, f->hash, old->mark, f->tick);
			w->dest = entry_dest(f->entry);
			*dest = old;
		}
	}
	if (!*dest)
		return WM_C_DROP_NO_REAL;
	flow_insert(f, w->dest, w->stats, dest_stats(w->cpu, w->dest));
	return WM_C_TX_SYN;
}

/* Is the entry of use? Counts why not. */
static __always_inline struct wm_dest *known(struct way *w, const struct flow *f,
					     const struct packet *p, const struct wm_vip *vip)
{
	struct wm_dest *dest;

	if (!f->entry)
		return NULL;
	dest = flow_dest(f->entry, vip);
	if (!dest) {
		count(w->stats, WM_C_FLOW_DEAD);
		return NULL;
	}
	if (p->proto == IPPROTO_UDP && entry_age(f->entry, f->tick) > wm_ctl.udp_idle) {
		count(w->stats, WM_C_FLOW_EXPIRED);
		return NULL;
	}
	return dest;
}

/* Find the packet's destination: *dest and w->dest. Returns the verdict. */
static __always_inline int choose(struct way *w, struct flow *f, const struct packet *p,
				  const struct wm_vip *vip, struct wm_dest **dest)
{
	flow_find(f);
	if (p->tcp_flags & TCP_SYN)
		return choose_syn(w, f, p, vip, dest);
	*dest = known(w, f, p, vip);
	if (*dest) {
		w->dest = entry_dest(f->entry);
		flow_hit(f, p, vip, (*dest)->mark, w->stats);
		return WM_C_TX_HIT;
	}
	*dest = pick(w, p, vip);
	if (!*dest)
		return WM_C_DROP_NO_REAL;
	/* The end of a connection that we never saw is not worth an entry. */
	if (!(p->tcp_flags & (TCP_FIN | TCP_RST)))
		flow_insert(f, w->dest, w->stats, dest_stats(w->cpu, w->dest));
	return WM_C_TX_MISS;
}

/* Where the flow goes that an error is about. It is no packet of that flow: nothing is
 * entered and nothing counted there. */
static __always_inline int choose_error(struct way *w, struct flow *f, const struct packet *p,
					const struct wm_vip *vip, struct wm_dest **dest)
{
	flow_find(f);
	*dest = known(w, f, p, vip);
	if (*dest)
		w->dest = entry_dest(f->entry);
	else
		*dest = pick(w, p, vip);
	return *dest ? WM_C_TX_ICMP : WM_C_DROP_NO_REAL;
}

/* The software path, from the first byte to the outer header. */
static __always_inline int balance(struct way *w, enum subject subject)
{
	struct packet p = {};
	const struct wm_vip *vip;
	struct wm_dest *dest = NULL;
	struct flow f;
	int reason, verdict;

	reason = parse(w, subject, &p);
	if (reason != GO_ON)
		return reason;
	flow_begin(&f, &p);
	vip = vip_find(&p);
	if (!vip)
		return WM_C_PASS_NOT_VIP;
	if (p.slack < 0 || p.room < 0)
		return WM_C_DROP_MALFORMED;
	if (subject == ERROR)
		verdict = hide(choose_error(w, &f, &p, vip, &dest));
	else
		verdict = hide(choose(w, &f, &p, vip, &dest));
	if (!dest)
		return verdict;
	/* A local consumer takes packets of its flows only. */
	if (subject == ERROR && encap_local(dest->encap))
		return WM_C_PASS_PROTOCOL;
	w->in.client = p.family == WM_IPV4 ? p.src[0] : p.src[3];
	w->in.sport = packet_sport(&p);
	w->in.len = p.inner_len;
	w->in.tos = p.tos;
	reason = push_header(w->ctx, dest, &w->in);
	return reason == GO_ON ? verdict : reason;
}

static __always_inline bool sent(int reason)
{
	return reason <= WM_C_TX_ICMP;
}

/* The one exit. */
static __always_inline int finish(struct way *w, int reason)
{
	struct wm_dest_stats *stats;

	count(w->stats, reason);
	if (!sent(reason))
		return reason >= WM_C_DROP_NO_REAL ? XDP_DROP : XDP_PASS;
	count_sent(w->stats, w->in.len);
	stats = dest_stats(w->cpu, w->dest);
	if (stats) {
		stats->packets++;
		stats->bytes += w->in.len;
		if (reason == WM_C_TX_MARKED)
			stats->marked++;
	}
	return w->in.local ? XDP_REDIRECT : XDP_TX;
}

/*
 * A packet that is neither TCP nor UDP: an ICMP error, or not ours. Returns what becomes
 * of it. Rare, so it is not inlined: the verifier looks at it once, and the code of the
 * packets that count stays together.
 */
__noinline int balance_error(struct xdp_md *ctx)
{
	struct way w = { .ctx = ctx, .cpu = bpf_get_smp_processor_id() };

	w.stats = cpu_stats(w.cpu);
	return finish(&w, balance(&w, ERROR));
}

static __always_inline int walk(struct xdp_md *ctx, __u32 mark)
{
	struct way w = { .ctx = ctx, .cpu = bpf_get_smp_processor_id() };
	int reason;

	w.stats = cpu_stats(w.cpu);
	if (mark) {
		reason = mark_send(ctx, mark, &w.dest, &w.in);
		if (reason < WM_C_MARK_UNKNOWN) /* a verdict */
			return finish(&w, reason);
		count(w.stats, reason);
	}
	reason = balance(&w, PACKET);
	return reason == WM_C_PASS_PROTOCOL ? balance_error(ctx) : finish(&w, reason);
}

SEC("xdp")
int waymark(struct xdp_md *ctx)
{
	return walk(ctx, mark_from_meta(ctx));
}

/*
 * Bound to a device: only so may a program call the metadata kfunc. A program
 * in which the kfunc was resolved cannot be loaded unbound, not even if it never
 * calls it, so this is one of its own and loaded only where it can be ("?").
 */
SEC("?xdp")
int waymark_hw(struct xdp_md *ctx)
{
	return walk(ctx, mark_from_nic(ctx));
}
