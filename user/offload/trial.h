/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What does a NIC take? That is found out by rules of flows that nobody has (nobody.h). Each is
 * put in, looked at, and taken out again. Rules of others are never touched; those of a trial
 * are known by their cookie (n-tuple rules: by their flow), so that the next trial finds what
 * one left that was killed.
 */
#ifndef WM_TRIAL_H
#define WM_TRIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ethtool.h"
#include "flower_msg.h"
#include "netlink.h"
#include "offload.h"

enum { WM_TRIAL_FLOWS_MAX = 1000000, WM_TRIAL_VLAN = 4094 };

/* Number n of the flows that nobody has, below WM_TRIAL_FLOWS_MAX. */
void wm_trial__flow(struct wm_flow *flow, uint32_t n, uint8_t family, uint8_t proto);

/* Is it one of them? */
bool wm_trial__is_flow(const struct wm_flow *flow);

/* Does a backend that is open rewrite source addresses? 0 or -errno; nothing stays. */
int wm_trial__rewriting(const struct wm_offload_ops *ops, struct wm_offload *off);

/* What rules of a trial have in common: where one preference is refused, another may serve. */
enum wm_trial_kind { WM_TRIAL_MARK, WM_TRIAL_MAC, WM_TRIAL_NTUPLE, WM_TRIAL_KINDS };

struct wm_trial {
	const char *name; /* the same in all versions; NULL ends the table */
	const char *text;
	enum wm_trial_kind kind;
	uint8_t family, proto;
	uint32_t mark;
	bool beside; /* says nothing of its kind, as it marks nothing or need not be in the NIC */
	struct wm_flower_shape shape; /* pref 0: the first that its kind was taken with */
};

/* In this order: the preferences come first. */
extern const struct wm_trial wm_trial_table[];
/* How many rules of this kind fit is asked by this one. */
extern const struct wm_trial wm_trial_fits[WM_TRIAL_KINDS];

struct wm_trial_result {
	int result;              /* 0: taken, or -errno */
	char words[WM_NL_WORDS]; /* why not, as the kernel or the driver says it; or "" */
	uint64_t ns;             /* until the answer */
	uint16_t pref;
	bool in_nic;             /* it was taken, and the NIC has it */
	bool as_sent;            /* it reads like what was sent */
	uint8_t counted;         /* TCA_ACT_HW_STATS_...; 0: not told */
	int removed;             /* 0, or -errno: it may still be there */
};

struct wm_trial_fit {
	uint32_t asked, fit;
	int result; /* of the first that did not fit; 0: all did */
	char words[WM_NL_WORDS];
	uint64_t ns, removal_ns; /* of all */
};

struct wm_trials;

/* A socket of rtnetlink and a driver, both given away. What an earlier trial left is removed. */
int wm_trials__open(struct wm_trials **trials, struct wm_nl *nl, const struct wm_ethtool_io *io,
		    const char *interface, struct wm_err *err);
/* Rules that an earlier trial had left. */
size_t wm_trials__leftovers(const struct wm_trials *trials);
void wm_trials__run(struct wm_trials *trials, const struct wm_trial *trial,
		    struct wm_trial_result *result);
/* Has the NIC taken one of this kind? */
bool wm_trials__taken(const struct wm_trials *trials, enum wm_trial_kind kind);
/* Put in up to n rules, and take them out; stop() is asked now and then whether to end. */
void wm_trials__fit(struct wm_trials *trials, enum wm_trial_kind kind, uint32_t n,
		    bool (*stop)(void), struct wm_trial_fit *fit);
/* Take out all that is still there, and leave the interface as it was. 0, or -errno and what
 * remains. */
int wm_trials__close(struct wm_trials *trials, struct wm_err *err);

#endif
