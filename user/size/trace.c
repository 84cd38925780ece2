// SPDX-License-Identifier: GPL-2.0
/*
 * A capture is read once: 16 bytes per packet, and flows get numbers in the order
 * of their first packets. Which packets count is what the program in
 * bpf/packet.h makes of them: plain Ethernet, IPv4 or IPv6 without extension
 * headers, no fragments, TCP or UDP. The rest would go to the stack.
 */
#include "trace.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>
#include <waymark/hash.h>

enum {
	PACKETS_MAX = 1 << 27, /* 2 GiB */
	FLOW_NONE = UINT32_MAX,
	PORTS_LENGTH = 4,
	TCP_LENGTH = 20,
	TCP_FLAGS = 13,
	UDP_LENGTH = 8,
	V4_PLAIN = 5, /* words of header */
	V4_FRAGMENT = 0x3fff,
};

struct wm_trace_packet {
	uint64_t at; /* since the first */
	uint32_t flow;
	uint8_t flags;
};

/* --- numbers of flows --- */

struct names {
	struct wm_flow *flow;
	uint32_t *slot; /* number of a flow, by hash; open addressing */
	uint32_t n, max, slots;
};

static const __u64 hash_seed[4] = { 1, 0x9e3779b97f4a7c15, 2, 0xd6e8feb86659fd93 };

static uint32_t *slot_of(const struct names *names, const struct wm_flow *flow)
{
	uint64_t i = wm_flow_hash(flow, hash_seed) >> 32;

	for (;; i++) {
		uint32_t *slot = &names->slot[i & (names->slots - 1)];

		if (*slot == FLOW_NONE || !memcmp(&names->flow[*slot], flow, sizeof(*flow)))
			return slot;
	}
}

static int grow(struct names *names)
{
	uint32_t max = names->max ? 2 * names->max : 1024;
	struct wm_flow *flow = realloc(names->flow, max * sizeof(*flow));
	uint32_t *slot;

	if (!flow)
		return -ENOMEM;
	names->flow = flow;
	slot = malloc(2ul * max * sizeof(*slot));
	if (!slot)
		return -ENOMEM;
	memset(slot, 0xff, 2ul * max * sizeof(*slot)); /* FLOW_NONE */
	free(names->slot);
	names->slot = slot;
	names->slots = 2 * max;
	names->max = max;
	for (uint32_t i = 0; i < names->n; i++)
		*slot_of(names, &names->flow[i]) = i;
	return 0;
}

static int number_of(struct names *names, const struct wm_flow *flow, uint32_t *number)
{
	uint32_t *slot;

	if (names->n == names->max && grow(names))
		return -ENOMEM;
	slot = slot_of(names, flow);
	if (*slot == FLOW_NONE) {
		*slot = names->n;
		names->flow[names->n++] = *flow;
	}
	*number = *slot;
	return 0;
}

/* --- frames --- */

/* A frame as far as it was captured. */
struct frame {
	const uint8_t *at;
	size_t left;
};

static const void *take(struct frame *f, size_t length)
{
	const uint8_t *from = f->at;

	if (f->left < length)
		return NULL;
	f->at += length;
	f->left -= length;
	return from;
}

/* Headers lie at any address: behind Ethernet's, IP's are not aligned. */
static bool copy(struct frame *f, void *to, size_t length)
{
	const void *from = take(f, length);

	if (from)
		memcpy(to, from, length);
	return from;
}

static bool read_transport(struct frame *f, struct wm_flow *flow, uint8_t *flags)
{
	size_t length = flow->proto == IPPROTO_TCP ? TCP_LENGTH : UDP_LENGTH;
	const uint8_t *header;

	if (flow->proto != IPPROTO_TCP && flow->proto != IPPROTO_UDP)
		return false;
	header = take(f, length);
	if (!header)
		return false;
	memcpy(&flow->sport, header, PORTS_LENGTH); /* and dport */
	*flags = flow->proto == IPPROTO_TCP ? header[TCP_FLAGS] : 0;
	return true;
}

static bool read_v4(struct frame *f, struct wm_flow *flow, uint8_t *flags)
{
	struct iphdr ip;

	if (!copy(f, &ip, sizeof(ip)) || ip.version != 4 || ip.ihl < V4_PLAIN ||
	    ntohs(ip.frag_off) & V4_FRAGMENT || !take(f, 4 * (ip.ihl - V4_PLAIN)))
		return false;
	flow->family = WM_IPV4;
	flow->proto = ip.protocol;
	flow->src[0] = ip.saddr;
	flow->dst[0] = ip.daddr;
	return read_transport(f, flow, flags);
}

static bool read_v6(struct frame *f, struct wm_flow *flow, uint8_t *flags)
{
	struct ip6_hdr ip;

	if (!copy(f, &ip, sizeof(ip)) || ip.ip6_vfc >> 4 != 6)
		return false;
	flow->family = WM_IPV6;
	flow->proto = ip.ip6_nxt;
	memcpy(flow->src, &ip.ip6_src, sizeof(flow->src));
	memcpy(flow->dst, &ip.ip6_dst, sizeof(flow->dst));
	return read_transport(f, flow, flags);
}

/* False: nothing for the balancer. */
static bool read_frame(struct frame *f, struct wm_flow *flow, uint8_t *flags)
{
	const uint8_t *eth = take(f, ETH_HLEN);
	uint16_t type = eth ? eth[12] << 8 | eth[13] : 0;

	*flow = (struct wm_flow){};
	if (type == ETH_P_IP)
		return read_v4(f, flow, flags);
	return type == ETH_P_IPV6 && read_v6(f, flow, flags);
}

/* --- reading --- */

int wm_trace__add(struct wm_trace *t, uint64_t at, uint32_t flow, uint8_t proto, uint8_t flags)
{
	/* Room doubles where a number is a power of two. */
	if (!(t->n & (t->n - 1))) {
		void *packet = realloc(t->packet, (t->n ? 2 * t->n : 1) * sizeof(*t->packet));

		if (!packet)
			return -ENOMEM;
		t->packet = packet;
	}
	while (t->n_flows <= flow) {
		if (!(t->n_flows & (t->n_flows - 1))) {
			void *more = realloc(t->proto, t->n_flows ? 2ul * t->n_flows : 1);

			if (!more)
				return -ENOMEM;
			t->proto = more;
		}
		t->proto[t->n_flows++] = proto;
	}
	if (at > t->duration_ns)
		t->duration_ns = at;
	t->packet[t->n++] = (struct wm_trace_packet){ t->duration_ns, flow, flags };
	return 0;
}

static int set_filter(pcap_t *pcap, const char *path, const char *filter, struct wm_err *err)
{
	struct bpf_program program;
	int ret = 0;

	if (!filter)
		return 0;
	if (pcap_compile(pcap, &program, filter, 1, PCAP_NETMASK_UNKNOWN))
		return wm_err__set(err, -EINVAL, "filter '%s': %s", filter, pcap_geterr(pcap));
	if (pcap_setfilter(pcap, &program))
		ret = wm_err__set(err, -EINVAL, "%s: filter: %s", path, pcap_geterr(pcap));
	pcap_freecode(&program);
	return ret;
}

static int open_file(pcap_t **out, const char *path, const char *filter, struct wm_err *err)
{
	char text[PCAP_ERRBUF_SIZE] = "";
	pcap_t *pcap = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO,
							       text);
	const char *type;
	int ret;

	if (!pcap)
		/* for some errors the text names the file */
		return wm_err__set(err, -EINVAL, "cannot read the capture %s%s%s",
				   strstr(text, path) ? "" : path, strstr(text, path) ? "" : ": ",
				   text);
	type = pcap_datalink_val_to_name(pcap_datalink(pcap));
	if (pcap_datalink(pcap) != DLT_EN10MB)
		ret = wm_err__set(err, -EINVAL, "%s: link type %s, not Ethernet: capture on the "
				  "device, not on 'any'", path, type ? type : "unknown");
	else
		ret = set_filter(pcap, path, filter, err);
	if (ret)
		pcap_close(pcap);
	else
		*out = pcap;
	return ret;
}

/* Time since the first packet; not before the epoch of that. */
static uint64_t time_of(const struct pcap_pkthdr *header, uint64_t *first)
{
	uint64_t at = header->ts.tv_sec * 1000000000ull + header->ts.tv_usec; /* ns, as asked for */

	if (!*first)
		*first = at ? at : 1;
	return at > *first ? at - *first : 0;
}

/* Why there is nothing to play. */
static int nothing(const struct wm_trace *t, const char *path, const char *filter,
		   struct wm_err *err)
{
	return wm_err__set(err, -EINVAL, "%s: no TCP or UDP packet in it%s%s%s%s", path,
			   t->passed ? ", only others" : "", filter ? " that passes '" : "",
			   filter ? filter : "", filter ? "'" : "");
}

static int read_packets(struct wm_trace *t, pcap_t *pcap, struct names *names, const char *path,
			struct wm_err *err)
{
	struct pcap_pkthdr *header;
	uint64_t first = 0;
	const uint8_t *data;
	int ret;

	while ((ret = pcap_next_ex(pcap, &header, &data)) == 1) {
		struct frame frame = { data, header->caplen };
		struct wm_flow flow;
		uint32_t number;
		uint8_t flags;

		if (!read_frame(&frame, &flow, &flags)) {
			t->passed++;
			continue;
		}
		if (t->n == PACKETS_MAX)
			return wm_err__set(err, -E2BIG, "%s: more than %d packets: cut it, or use "
					   "a filter", path, PACKETS_MAX);
		if (number_of(names, &flow, &number) ||
		    wm_trace__add(t, time_of(header, &first), number, flow.proto, flags))
			return wm_err__sys(err, -ENOMEM, "%s", path);
	}
	if (ret == PCAP_ERROR)
		return wm_err__set(err, -EINVAL, "cannot read the capture %s: %s", path,
				   pcap_geterr(pcap));
	return 0;
}

int wm_trace__open(struct wm_trace *trace, const char *path, const char *filter,
		   struct wm_err *err)
{
	struct names names = {};
	pcap_t *pcap = NULL;
	int ret;

	*trace = (struct wm_trace){};
	ret = open_file(&pcap, path, filter, err);
	if (ret)
		return ret;
	ret = read_packets(trace, pcap, &names, path, err);
	if (!ret && !trace->n)
		ret = nothing(trace, path, filter, err);
	pcap_close(pcap);
	free(names.flow);
	free(names.slot);
	if (ret)
		wm_trace__close(trace);
	return ret;
}

void wm_trace__close(struct wm_trace *trace)
{
	free(trace->packet);
	free(trace->proto);
	*trace = (struct wm_trace){};
}

/* --- playing --- */

struct player {
	struct wm_source source;
	const struct wm_trace *trace;
	uint64_t start;
	size_t i;
};

static bool next(struct wm_source *s, uint64_t until, struct wm_packet *p)
{
	struct player *player = (struct player *)s;
	const struct wm_trace_packet *packet = &player->trace->packet[player->i];

	if (player->i == player->trace->n || player->start + packet->at >= until)
		return false;
	*p = (struct wm_packet){ player->start + packet->at, packet->flow, packet->flags, false };
	player->i++;
	return true;
}

static void name(const struct wm_source *s, uint32_t flow, struct wm_flow *out)
{
	const struct player *player = (const struct player *)s;

	*out = (struct wm_flow){
		.src = { flow },
		.proto = player->trace->proto[flow],
		.family = WM_IPV4,
	};
}

struct wm_source *wm_trace__play(const struct wm_trace *trace, uint64_t start)
{
	struct player *player = calloc(1, sizeof(*player));

	if (!player)
		return NULL;
	player->source = (struct wm_source){ .next = next, .name = name };
	player->trace = trace;
	player->start = start;
	return &player->source;
}

void wm_trace__stop(struct wm_source *s)
{
	free(s);
}
