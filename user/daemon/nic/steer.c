// SPDX-License-Identifier: GPL-2.0
/*
 * The rules of a vip lead to queues that have the program, at every moment: it is attached
 * first and taken off last. At an orderly end they stay, as the program does, and the next
 * daemon finds them.
 *
 * Where all receive queues that the device has are ours there is nothing to steer: RSS
 * spreads better than rules do.
 */
#include "steer.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "monotonic.h"
#include "nic.h"
#include "queue.h"
#include "steering.h"

enum { WAY_WAIT_MS = 500 }; /* for a full table to give up some rules */

struct looking {
	const struct wm_queueset *ours;
	bool other; /* there is one that is not */
	bool any;
};

static void see(void *arg, const struct wm_queue *queue)
{
	struct looking *looking = arg;

	if (queue->type != WM_QUEUE_RX)
		return;
	looking->any = true;
	looking->other |= !wm_queueset__has(looking->ours, queue->id);
}

/* Of a device that is down the kernel lists nothing: then it is no. */
static bool has_all_queues(const char *interface, const struct wm_queueset *ours)
{
	struct looking looking = { .ours = ours };
	struct wm_queues *queues;
	int ret = wm_queues__open(&queues, NULL);

	if (ret)
		return false;
	ret = wm_queues__list(queues, if_nametoindex(interface), see, &looking, NULL);
	wm_queues__close(queues);
	return !ret && looking.any && !looking.other;
}

static struct wm_steer_vip *vips_of(const struct wm_config *config)
{
	struct wm_steer_vip *vips = calloc(config->n_vips + 1, sizeof(*vips));

	for (size_t i = 0; vips && i < config->n_vips; i++) {
		const struct wm_config_vip *vip = &config->vips[i];

		vips[i] = (struct wm_steer_vip){
			.port = vip->port, .family = vip->address.family, .proto = vip->proto,
		};
		memcpy(vips[i].address, vip->address.word, sizeof(vips[i].address));
	}
	return vips;
}

static void take_way(void *arg)
{
	struct wm_nic_card *card = arg;

	wm_steering__again(card->steering);
	wm_steering__tick(card->steering, wm_now_ns());
	card->way_in_vain = wm_steering__missing(card->steering) >= card->way;
	wm_rules__way_taken(card->rules);
}

/* Rules of flows give their places to these: a flow can do without. In some NICs the two
 * have tables of their own; that is found out once. */
static void make_way(struct wm_nic *nic, struct wm_nic_card *card)
{
	uint32_t missing = wm_steering__missing(card->steering);

	if (!missing || card->way_in_vain)
		return;
	if (!wm_rules__give_way(card->rules, missing, wm_now_ns())) {
		wm_rules__way_taken(card->rules);
		return;
	}
	card->way = missing;
	wm_nic__when_settled(nic, card, WAY_WAIT_MS, take_way, card);
}

static void configure_card(struct wm_nic_card *card, const struct wm_config *config,
			   const struct wm_steer_vip *vips)
{
	const struct wm_queueset *queues = &config->queues[card->position];
	bool some = wm_queueset__count(queues) && !has_all_queues(card->interface, queues);

	if (!vips || wm_steering__want(card->steering, vips, some ? config->n_vips : 0, queues))
		wm_error("offload: no memory for steering rules: those of %s stay as they are",
			 card->interface);
	wm_steering__tick(card->steering, wm_now_ns());
}

void wm_steer__configure(struct wm_nic *nic, const struct wm_config *config)
{
	struct wm_steer_vip *vips = vips_of(config);

	for (size_t i = 0; i < nic->n; i++)
		configure_card(&nic->card[i], config, vips);
	for (size_t i = 0; i < nic->n; i++)
		make_way(nic, &nic->card[i]);
	free(vips);
}

void wm_steer__off(struct wm_nic *nic)
{
	const struct wm_queueset none = {};

	for (size_t i = 0; i < nic->n; i++) {
		struct wm_steering *steering = nic->card[i].steering;

		if (steering && !wm_steering__want(steering, NULL, 0, &none))
			wm_steering__tick(steering, wm_now_ns());
	}
}

void wm_steer__hold(struct wm_nic *nic, size_t position, bool hold)
{
	for (size_t i = 0; i < nic->n; i++)
		if (nic->card[i].position == position)
			wm_steering__hold(nic->card[i].steering, hold);
	wm_nic__hurry(nic);
}

void wm_steer__stats(const struct wm_nic *nic, struct wm_steering_stats *sum)
{
	struct wm_steering_stats one;

	*sum = (struct wm_steering_stats){};
	for (size_t i = 0; i < nic->n; i++) {
		wm_steering__stats(nic->card[i].steering, &one);
		sum->vips += one.vips;
		sum->steered += one.steered;
		sum->rules += one.rules;
		if (!*sum->why)
			memcpy(sum->why, one.why, sizeof(sum->why));
	}
}
