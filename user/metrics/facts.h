/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What waymarkd tells of itself, a line of JSON each: facts, which change with the
 * configuration, and the state, which is another one each time. The numbers that packets
 * change are not among them: those are read from the data plane's memory (counters.h).
 *
 * A line of facts is an object "facts":
 *   abi: WM_ABI_VERSION
 *   counters: [name, help] of each, in their order
 *   numbers: by the names of metrics
 *   vips: [name, address, port, protocol, reals] of each
 *   dests: [index of the vip, id, real, weight, slots, reachable] of each
 * A line of state is an object "state":
 *   texts: version, program, mode, lane, backend
 *   numbers: by the names of metrics; ended: rules that ended, by reason
 *   interfaces: [name, served] of each
 *   dropped: of each vip; live: of each destination, or null: they are not known
 *   health: of each destination, 1 up, 2 down, 0 neither; by_hand: likewise, 1 drained, 2 disabled
 */
#ifndef WM_FACTS_H
#define WM_FACTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "page.h"

struct wm_facts_label {
	size_t start, len; /* in the text of labels */
};

struct wm_facts_vip {
	struct wm_facts_label name; /* {vip="web"} and a blank */
	struct wm_facts_label info; /* with address, port and protocol */
	uint32_t reals;
};

struct wm_facts_dest {
	uint16_t id;
	bool reachable;
	uint32_t weight, slots;
	struct wm_facts_label label; /* {vip="web",real="10.0.0.1"} and a blank */
};

struct wm_facts {
	json_t *root; /* for what is read once a page */
	struct wm_facts_vip *vips;
	size_t n_vips;
	struct wm_facts_dest *dests;
	size_t n_dests;
	struct wm_page labels; /* text that the labels are parts of */
};

/* Takes the object over. Ids are below 1 << dest_bits. -EINVAL: it is not what it should be;
 * -EPROTO: it is that of another version. */
int wm_facts__new(struct wm_facts **facts, json_t *root, uint32_t dest_bits, struct wm_err *err);
void wm_facts__free(struct wm_facts *facts);

#endif
