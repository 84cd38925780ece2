// SPDX-License-Identifier: GPL-2.0
/*
 * waymark: a layer-4 load balancer in XDP.
 *
 * The path of a packet:
 *   mark     read the mark that the NIC handed up; a live one ends the path here
 *   own      is the frame for us at all? Else it goes to the stack
 *   parse    Ethernet, IP, TCP or UDP; what is not ours goes to the stack
 *   vip      whose packet is it?
 *   flow     SYN: ring. Else: flow table, on a miss ring, enter the flow
 *   header   wrap the packet for its destination, or hand it to a local consumer
 *   count    one exit, which counts the verdict and its reason
 *
 * What is not balanced goes through a function of its own (leave). An ICMP error takes the
 * same steps there, by the packet that it quotes. Of the rest the stack gets what is not
 * a vip's (stack.h).
 *
 * Every step returns a counter, the reason why the path ends there, or GO_ON. A
 * packet that goes to the stack leaves as it came.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "count.h"
#include "flow.h"
#include "header.h"
#include "icmp.h"
#include "maps.h"
#include "mark.h"
#include "own.h"
#include "packet.h"
#include "ring.h"
#include "stack.h"
#include "vip.h"

char _license[] SEC("license") = "GPL";

/* One packet under way. */
struct pkt_ctx {
	struct xdp_md *ctx;
	struct wm_cpu_stats *stats;
	__u32 cpu;
	__u32 dest;      /* id, once it is known */
	struct inner in;
};

/* What is balanced: a packet of a flow, or an ICMP error about one. A constant
 * wherever it is handed on, so that each case is compiled by itself. */
enum subject { PACKET, ERROR };

static __always_inline int parse(struct pkt_ctx *w, enum subject subject, struct packet *p)
{
	void *data = (void *)(long)w->ctx->data, *end = (void *)(long)w->ctx->data_end;

	if (data + ETH_HLEN > end)
		return WM_C_PASS_SHORT;
	if (ethernet_proto(data) == bpf_htons(ETH_P_IP))
		p->family = WM_IPV4;
	else if (ethernet_proto(data) == bpf_htons(ETH_P_IPV6))
		p->family = WM_IPV6;
	else
		return WM_C_PASS_NOT_IP;
	/* An ICMP error was a packet before. */
	if (subject == PACKET && !frame_is_ours(w->ctx, data))
		return WM_C_PASS_NOT_US;
	if (p->family == WM_IPV4)
		return subject == ERROR ? parse_error_v4(p, data, end) : parse_v4(p, data, end);
	return subject == ERROR ? parse_error_v6(p, data, end) : parse_v6(p, data, end);
}

/* The ring's choice. NULL: nobody serves this vip. */
static __always_inline struct wm_dest *pick(struct pkt_ctx *w, const struct packet *p,
					    const struct wm_vip *vip)
{
	struct wm_dest *dest;

	w->dest = ring_pick(vip, p);
	dest = bpf_map_lookup_elem(&wm_dests, &w->dest);
	if (!w->dest || !dest || !dest->mark)
		return NULL;
	return dest;
}

/* A connection begins: the ring decides, unless the SYN belongs where its flow is. */
static __always_inline int choose_syn(struct pkt_ctx *w, struct flow *f, const struct packet *p,
				      const struct wm_vip *vip, struct wm_dest **dest)
{
	*dest = flow_syn(&w->ctx, f, p, vip, w->stats);
	if (*dest) {
		w->dest = entry_dest(f->entry);
		return WM_C_TX_SYN;
	}
	*dest = pick(w, p, vip);
	if (!*dest)
		return WM_C_DROP_NO_REAL;
	flow_insert(f, w->dest, w->stats, dest_stats(w->cpu, w->dest));
	return WM_C_TX_SYN;
}

/* Is the entry of use? Counts why not. */
static __always_inline struct wm_dest *known(struct pkt_ctx *w, const struct flow *f,
					     const struct packet *p, const struct wm_vip *vip)
{
	struct wm_dest *dest;

	if (!f->entry)
		return NULL;
	dest = flow_dest(f->entry, p, vip);
	if (!dest) {
		count(w->stats, WM_C_FLOW_DEAD);
		return NULL;
	}
	/* While there is a rule its packets write no entry. */
	if (p->proto == IPPROTO_UDP && entry_age(f->entry, f->tick) > wm_ctl.udp_idle &&
	    !wm_flow_may_have_rule(wm_flow_state(f->entry))) {
		count(w->stats, WM_C_FLOW_EXPIRED);
		return NULL;
	}
	return dest;
}

/* Find the packet's destination: *dest and w->dest. Returns the verdict. */
static __always_inline int choose(struct pkt_ctx *w, struct flow *f, const struct packet *p,
				  const struct wm_vip *vip, struct wm_dest **dest)
{
	flow_find(f);
	if (p->tcp_flags & TCP_SYN)
		return choose_syn(w, f, p, vip, dest);
	*dest = known(w, f, p, vip);
	if (*dest) {
		w->dest = entry_dest(f->entry);
		flow_hit(&w->ctx, f, p, vip, (*dest)->mark, w->stats);
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
static __always_inline int choose_error(struct pkt_ctx *w, struct flow *f, const struct packet *p,
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
static __always_inline int balance(struct pkt_ctx *w, enum subject subject)
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
	if (p.frame_slack < 0 || p.ip_slack < 0)
		return WM_C_DROP_MALFORMED;
	if (subject == ERROR)
		verdict = verifier_forgets(choose_error(w, &f, &p, vip, &dest));
	else
		verdict = verifier_forgets(choose(w, &f, &p, vip, &dest));
	if (!dest) {
		ring_drop(vip);
		return verdict;
	}
	/* A local consumer takes packets of its flows only. */
	if (subject == ERROR && encap_local(dest->encap))
		return WM_C_PASS_PROTOCOL;
	w->in.client = p.family == WM_IPV4 ? p.src[0] : p.src[3];
	w->in.sport = packet_sport(&p);
	w->in.len = p.inner_len;
	w->in.tos = p.tos;
	reason = push_header(w->ctx, dest, &w->in,
			     frame_length((void *)(long)w->ctx->data,
					  (void *)(long)w->ctx->data_end));
	return reason == GO_ON ? verdict : reason;
}

/* Not balanced, and perhaps the stack's. */
static __always_inline bool is_stray(int reason)
{
	return reason >= WM_C_PASS_PROTOCOL && reason <= WM_C_PASS_NOT_VIP;
}

static __always_inline bool sent(int reason)
{
	return reason <= WM_C_TX_ICMP;
}

/* The one exit. */
static __always_inline int finish(struct pkt_ctx *w, int reason)
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
 * A packet that was not balanced: an ICMP error about one that was, or the stack's, or to be
 * dropped. Returns what becomes of it. Rare, so it is not inlined: the verifier looks at it
 * once, and the code of the packets that count stays together.
 */
__noinline int leave(struct xdp_md *ctx, __u32 reason)
{
	struct pkt_ctx w = { .ctx = ctx, .cpu = bpf_get_smp_processor_id() };

	w.stats = cpu_stats(w.cpu);
	if (reason == WM_C_PASS_PROTOCOL)
		reason = balance(&w, ERROR);
	if (is_stray(reason))
		reason = stack_verdict(ctx, reason);
	return finish(&w, reason);
}

static __always_inline int walk(struct xdp_md *ctx, __u32 mark)
{
	struct pkt_ctx w = { .ctx = ctx, .cpu = bpf_get_smp_processor_id() };
	int reason;

	w.stats = cpu_stats(w.cpu);
	if (mark) {
		reason = mark_send(ctx, mark, &w.dest, &w.in);
		if (reason < WM_C_MARK_UNKNOWN) /* a verdict */
			return finish(&w, reason);
		count(w.stats, reason);
	}
	reason = balance(&w, PACKET);
	return is_stray(reason) ? leave(ctx, reason) : finish(&w, reason);
}

SEC("xdp")
int waymark(struct xdp_md *ctx)
{
	return walk(ctx, mark_from_frame(ctx));
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
