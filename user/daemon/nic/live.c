// SPDX-License-Identifier: GPL-2.0
/*
 * First the flow table, then the rules. A flow that has a rule counts as long as the rule
 * is there: its packets go by their mark, and what the NIC says of them brings its entry
 * up to date now and then, or never if the NIC does not count.
 *
 * A table of 10 million flows is 100 MB. It is read in slices of half a millisecond with
 * pauses between them. If nobody asks it is read all the same, seldom: entries must not
 * grow too old (wm_dp__flow_census()).
 */
#include "live.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "monotonic.h"
#include "nic.h"
#include "running.h"

enum {
	PLACES = 4096,   /* of the table, between two looks at the clock */
	RULES = 256,
	SLICE_NS = 500000,
	PAUSE_US = 1 * WM_TIMER_MS,
	FRESH_NS = 100000000, /* so long at least an answer serves those who ask again */
	FRESH_COSTS = 20,     /* and so many times what it cost: 5 % of one CPU at most */
};

#define SELDOM_US (WM_CENSUS_EVERY_S / 2 * 1000ull * WM_TIMER_MS)

/* --- rules --- */

/* Its flow has a rule in a card that was counted before. */
static bool seen_before(const struct wm_live *live, const struct wm_flow *flow)
{
	struct wm_rule_view view;

	for (size_t i = 0; i < live->card && i < live->nic->n; i++)
		if (wm_rules__find(live->nic->card[i].rules, flow, &view) &&
		    view.state == WM_RULE_ACTIVE)
			return true;
	return false;
}

static bool count_rule(void *arg, const struct wm_rule_view *view)
{
	struct wm_live *live = arg;
	struct wm_census *census = live->census;
	const struct wm_model_dest *dest = wm_nic__dest_of(live->nic, view->rule.mark);
	struct wm_flow_slot slot;

	if (view->state != WM_RULE_ACTIVE || !dest)
		return true;
	/* Counted by its entry, or over: then the rule goes soon. */
	if (wm_dp__flow_find(live->running->dp, &view->rule.flow, &slot) &&
	    (slot.dest != dest->id || slot.state >= WM_FLOW_CLOSING ||
	     wm_census__counts(census, &slot)))
		return true;
	if (!seen_before(live, &view->rule.flow))
		census->live[dest->id]++;
	return true;
}

static int count_rules(struct wm_live *live)
{
	const struct wm_nic *nic = live->nic;

	if (live->card >= nic->n)
		return 0;
	if (!wm_rules__some(nic->card[live->card].rules, &live->rule, RULES, count_rule, live)) {
		live->card++;
		live->rule = 0;
	}
	return 1;
}

/* --- a count --- */

static uint16_t limit_of(struct wm_dp *dp, const struct wm_dest *dest)
{
	uint64_t tick_ns;

	if (!dest->mark)
		return 0;
	if (dest->proto == IPPROTO_UDP) /* older ones the data plane does not know any more */
		return wm_dp__ctl(dp)->udp_idle + 1;
	wm_dp__tick_ns(dp, &tick_ns);
	return WM_LIVE_TCP_IDLE_S * 1000000000ull / tick_ns + 1;
}

static void begin(struct wm_live *live)
{
	struct wm_dp *dp = live->running->dp;
	uint32_t ids = 1u << wm_dp__params(dp)->dest_bits;

	for (uint32_t id = 0; id < ids; id++)
		live->census->limit[id] = limit_of(dp, wm_dp__dest(dp, id));
	memset(live->census->live, 0, ids * sizeof(*live->census->live));
	live->at = live->card = live->rule = 0;
	live->rules = false;
	live->cost_ns = 0;
	live->busy = true;
}

static void end(struct wm_live *live, bool known)
{
	uint32_t ids = 1u << wm_dp__params(live->running->dp)->dest_bits;

	memcpy(live->found, live->census->live, ids * sizeof(*live->found));
	live->known = known;
	live->busy = false;
	live->ended_ns = wm_now_ns();
	live->number++;
	wm_timer__arm(&live->timer, SELDOM_US);
	live->counted(live->arg);
}

/* 1: there is more; 0: that was the end; -errno. */
static int count_some(struct wm_live *live)
{
	int ret;

	if (live->rules)
		return count_rules(live);
	ret = wm_dp__flow_census(live->running->dp, live->census, &live->at, PLACES);
	live->rules = !ret;
	return ret ? ret : 1;
}

static void go_on(void *arg)
{
	struct wm_live *live = arg;
	uint64_t began = wm_now_ns(), now;
	int more;

	if (!live->busy)
		begin(live);
	do {
		more = count_some(live);
		now = wm_now_ns();
	} while (more > 0 && now - began < SLICE_NS);
	live->cost_ns += now - began;
	if (more > 0)
		wm_timer__arm(&live->timer, PAUSE_US);
	else
		end(live, !more);
}

uint64_t wm_live__want(struct wm_live *live)
{
	uint64_t fresh = FRESH_COSTS * live->cost_ns;

	if (fresh < FRESH_NS)
		fresh = FRESH_NS;
	if (!live->busy && live->number && wm_now_ns() - live->ended_ns < fresh)
		return 0;
	if (!live->busy) {
		begin(live);
		wm_timer__arm(&live->timer, 0);
	}
	return live->number + 1;
}

bool wm_live__of(const struct wm_live *live, uint16_t dest, uint32_t *flows)
{
	*flows = live->found[dest];
	return live->known;
}

int wm_live__init(struct wm_live *live, sd_event *event, const struct wm_running *running,
		  const struct wm_nic *nic, void (*counted)(void *arg), void *arg)
{
	int ret;

	live->running = running;
	live->nic = nic;
	live->counted = counted;
	live->arg = arg;
	live->census = calloc(1, sizeof(*live->census));
	live->found = calloc(1 << WM_DEST_BITS_MAX, sizeof(*live->found));
	if (!live->census || !live->found)
		return -ENOMEM;
	ret = wm_timer__init(&live->timer, event, go_on, live);
	if (ret >= 0)
		wm_timer__arm(&live->timer, SELDOM_US);
	return ret;
}

void wm_live__free(struct wm_live *live)
{
	wm_timer__free(&live->timer);
	free(live->census);
	free(live->found);
	*live = (struct wm_live){};
}
