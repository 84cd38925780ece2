/* SPDX-License-Identifier: GPL-2.0 */
/* Our rules as messages of rtnetlink: TC filters of the kind `flower` with the action
 * skbedit mark, or pedit of the source address and gact pass, and a further one that names a
 * queue where that is wanted; steering rules have that one only. Nothing here talks to the
 * kernel. */
#ifndef WM_FLOWER_MSG_H
#define WM_FLOWER_MSG_H

#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stdint.h>

#include "offload.h"
#include "steer_ops.h"

/* All messages carry one protocol in one preference: that is how flower wants it. Few
 * drivers take preferences above 16; by hand people use 1 and tc counts down from 49152. */
enum {
	WM_FLOWER_PREF_IPV4 = 11,
	WM_FLOWER_PREF_IPV6 = 12,
	/* Steering rules: a flow's own rule comes before them. */
	WM_FLOWER_PREF_STEER_IPV4 = 13,
	WM_FLOWER_PREF_STEER_IPV6 = 14,
	/* For NICs that take one preference only (mlx5 without the capability
	 * ignore_flow_level): rules of both families, as filters of protocol `all`. */
	WM_FLOWER_PREF_ONLY = 1,
};

/* Put what identifies a rule into a message of type RTM_NEWTFILTER or RTM_DELTFILTER. */
void wm_flower__put_name(struct nlmsghdr *msg, int ifindex, uint8_t family, uint32_t handle);
/* The same for a rule in WM_FLOWER_PREF_ONLY. */
void wm_flower__put_only_name(struct nlmsghdr *msg, int ifindex, uint32_t handle);
/* Behind the name: what it matches and does. queue: the receive queue that its packets
 * go to, or -1. mac_prefix: not 0: the mark goes into the source address behind it. */
void wm_flower__put_rule(struct nlmsghdr *msg, const struct wm_rule *rule, int queue,
			 uint32_t mac_prefix);
/* What a rule is made of that is not as the daemon's are: those of a trial (trial.h). */
struct wm_flower_shape {
	uint16_t pref;
	uint16_t vlan;       /* the tag's number; 0: frames without a tag */
	uint32_t flags;      /* TCA_CLS_FLAGS_...; 0: in software, and in the NIC if it will */
	uint32_t mac_prefix; /* as below */
	int queue;
	bool mark;           /* it sets the mark, and not only where there is no prefix */
	bool all_tcp;        /* of a connection all packets: no TCP flags are matched */
	bool trial;          /* it has the cookie of a trial: no daemon takes it for its own */
};

void wm_flower__put_shaped_name(struct nlmsghdr *msg, int ifindex, uint8_t family,
				const struct wm_flower_shape *shape, uint32_t handle);
void wm_flower__put_shaped(struct nlmsghdr *msg, const struct wm_rule *rule,
			   const struct wm_flower_shape *shape);
/* A filter that was listed: for RTM_GETTFILTER or RTM_DELTFILTER. */
struct wm_flower_seen;
void wm_flower__put_seen(struct nlmsghdr *msg, int ifindex, const struct wm_flower_seen *seen);
/* The same for steering rules. */
void wm_flower__put_steer_name(struct nlmsghdr *msg, int ifindex, uint8_t family, uint32_t handle);
void wm_flower__put_steer(struct nlmsghdr *msg, const struct wm_steer *rule);
void wm_flower__put_steer_list(struct nlmsghdr *msg, int ifindex, uint8_t family);
/* RTM_GETTFILTER with NLM_F_DUMP: what is on the ingress of a device; family 0: all. */
void wm_flower__put_list(struct nlmsghdr *msg, int ifindex, uint8_t family);
/* What is in WM_FLOWER_PREF_ONLY. */
void wm_flower__put_only_list(struct nlmsghdr *msg, int ifindex);

/* A filter as the kernel lists it. */
struct wm_flower_seen {
	char kind[16];
	uint32_t handle, chain;
	uint16_t pref, protocol; /* protocol: ETH_P_... */
	uint32_t flags;          /* TCA_CLS_FLAGS_... */
	bool ours;               /* made by this program: rule and stats say what it is */
	bool only;               /* and is in WM_FLOWER_PREF_ONLY */
	bool trial;              /* so is this one, by a trial */
	bool has_mark;           /* its action sets a mark */
	uint32_t mark;
	bool rewrites;           /* an action of ours sets the source address */
	uint8_t smac[6];         /* to this */
	int queue;               /* that packets are led to; -1: none is named */
	bool our_queue;          /* the action that names it has our cookie */
	struct wm_rule rule;     /* its mark: as skbedit sets it, see wm_flower__mark() */
	struct wm_rule_stats stats;
	uint8_t counted;         /* how the NIC counts: TCA_ACT_HW_STATS_...; 0: not told */
	bool steers;             /* made by this program, too: a steering rule */
	struct wm_steer steer;
};

/* `now`: CLOCK_MONOTONIC, ns. False: this message is no filter with a handle. */
bool wm_flower__read(const struct nlmsghdr *msg, uint64_t now, struct wm_flower_seen *seen);

/* The mark that packets of a rule of ours arrive with, in the lane with this prefix (0: not in
 * source addresses); 0: none that the program would take. */
uint32_t wm_flower__mark(const struct wm_flower_seen *seen, uint32_t mac_prefix);

#endif
