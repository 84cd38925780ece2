// SPDX-License-Identifier: GPL-2.0
/*
 * Keys are stable: they are only added to. Addresses and endpoints are texts ("10.0.0.1",
 * "[fc00::1]:80", port "*" for every port); the keys of times end in _s.
 */
#include "protocol.h"

#include <string.h>
#include <waymark/abi.h>

#define KEY WM_FIELD
#define COLUMN WM_COLUMN
#define KEYS(...) ((const struct wm_field[]){ __VA_ARGS__, WM_FIELDS_END })

/* What all that count packets for a destination have in common. */
#define TRAFFIC \
	COLUMN("packets", "PACKETS", COUNT, "packets sent"), \
	COLUMN("marked", "MARKED", COUNT, "packets of these that went by their mark alone"), \
	COLUMN("bytes", "BYTES", BYTES, "bytes sent, before encapsulation"), \
	COLUMN("flows", "FLOWS", COUNT, "flows entered in the flow table so far")

#define NUMERAL_OF(number) #number
#define NUMERAL(number) NUMERAL_OF(number)

#define FLOW \
	COLUMN("protocol", "PROTO", TEXT, "tcp or udp"), \
	COLUMN("source", "SOURCE", TEXT, "the client's address and port"), \
	COLUMN("destination", "DESTINATION", TEXT, "the vip's address and port")

#define FLOW_ARGUMENTS \
	{ \
		{ "protocol", WM_VALUE_TEXT, true, "tcp or udp" }, \
		{ "source", WM_VALUE_TEXT, true, "the client's address and port" }, \
		{ "destination", WM_VALUE_TEXT, true, "the vip's address and port" }, \
	}

/* A change of what people say of a real. */
#define BY_HAND(name_, text_) \
	{ \
		.name = name_, \
		.text = text_, \
		.arguments = { \
			{ "real", WM_VALUE_TEXT, true, \
			  "its address, or the name of a local consumer" }, \
			{ "vip", WM_VALUE_TEXT, false, \
			  "name of a vip: only there (default: all vips that have it)" }, \
			{ "force", WM_VALUE_FLAG, false, \
			  "also where nobody is left who takes new flows" }, \
		}, \
		.keys = KEYS( \
			KEY("summary", TEXT, "what is so now"), \
			KEY("changes", LINES, "the same by vip, and what follows from it")), \
	}

#define COUNTER(NAME, name, text) KEY("counters." #name, COUNT, text),

const struct wm_request wm_requests[] = {
	{
		.name = "status",
		.text = "How the daemon is doing, asked of the kernel where it can have "
			"changed.",
		.keys = KEYS(
			KEY("version", TEXT, "version of the daemon"),
			KEY("pid", NUMBER, "process number of the daemon"),
			KEY("uptime_s", SECONDS, "seconds since the daemon started"),
			KEY("config", TEXT, "path of its configuration file"),
			KEY("interfaces", TEXTS,
			    "devices that are to be served, by the name that they have now"),
			KEY("queues", TEXTS,
			    "devices of which it has only some queues, and which: \"eth0 0-3\""),
			KEY("locals", TEXTS,
			    "who is which: \"dns: process 7\", \"nobody\", or \"expected\" from "
			    "the last daemon"),
			KEY("unserved", TEXTS,
			    "interfaces where nothing is balanced, and why: \"eth0: no XDP "
			    "program is attached\""),
			KEY("apart", TEXTS,
			    "interfaces where packets for some reals are dropped: these are on "
			    "another link"),
			KEY("mode", TEXT,
			    "how it is attached now: native, generic, mixed, or none: nowhere"),
			KEY("attach", TEXT,
			    "what becomes of a program that is taken off: keep, it is attached "
			    "again, or once"),
			KEY("attached_again", COUNT, "how often it was, since the start"),
			KEY("lane", TEXT,
			    "how marks reach the program: meta, kfunc, mixed, or mac"),
			KEY("prog_build", TEXT,
			    "version of the program that runs, and a number for what it was built "
			    "from"),
			KEY("build", TEXT, "the same of the program that the daemon has"),
			KEY("outdated", FLAG,
			    "they differ, and the one that runs could not be replaced"),
			KEY("adopted", FLAG, "the daemon found the program running at its start"),
			KEY("prog_id", NUMBER, "number of the BPF program"),
			KEY("abi", NUMBER, "version of the layout of its maps"),
			KEY("vips", COUNT, "vips"),
			KEY("reals", COUNT, "different addresses of reals"),
			KEY("by_hand", COUNT,
			    "reals of a vip that are drained or disabled by hand"),
			KEY("dests", COUNT, "live destinations"),
			KEY("dests_max", COUNT, "destinations that the maps hold"),
			KEY("retiring", COUNT,
			    "destinations that are out of the configuration and not yet free"),
			KEY("mtu", COUNT, "the smallest MTU of these devices"),
			KEY("fits4", COUNT,
			    "bytes of the longest packet that fits there with an outer IPv4 "
			    "header"),
			KEY("fits6", COUNT, "the same with an outer IPv6 header"),
			KEY("flows_max", COUNT, "flows that the flow table holds"),
			KEY("packets", COUNT, "packets sent to reals"),
			KEY("bytes", BYTES, "their bytes, before encapsulation"),
			KEY("marked", COUNT, "packets of these that went by their mark alone"),
			KEY("offload.backend", TEXT, "what installs rules"),
			KEY("offload.rules", COUNT, "rules in the NIC"),
			KEY("offload.rules_max", COUNT, "rules allowed there"),
			KEY("offload.table", COUNT,
			    "rules that the NIC has room for; null where its driver does not say",
			    .null = true),
			KEY("offload.table_used", COUNT,
			    "rules that it holds, whoever installed them; null likewise",
			    .null = true),
			KEY("offload.mark_bits", NUMBER, "width of a mark"),
			KEY("offload.marks", TEXT,
			    "whether marks have arrived: awaited, seen, or missing: rules are used "
			    "and bring none; null without rules", .null = true),
			KEY("offload.lane_why", TEXT,
			    "why marks come in source addresses and not by a lane of the driver, "
			    "if that was found out; else null", .null = true),
			KEY("offload.backing_off", FLAG,
			    "the NIC refused rules; the next attempt waits"),
			KEY("offload.rate", COUNT,
			    "rules per second that the NIC manages, as learned from how long it "
			    "takes; null before the first", .null = true),
			KEY("offload.room", COUNT,
			    "rules that there was space for when the NIC last refused one for lack "
			    "of it, and what was tried since; null if it never did", .null = true),
			KEY("offload.pace", COUNT,
			    "rules that are installed per second now, at most"),
			KEY("offload.promote_after", COUNT,
			    "packets after which a flow is offered now; more than configured while "
			    "more are offered than can get a rule"),
			KEY("offload.flood", FLAG,
			    "so many new flows come that only those that come again get a rule"),
			KEY("offload.steering_rules", COUNT,
			    "rules that lead a vip's packets to the balancer's queues, in the NIC"),
			KEY("offload.steered", COUNT, "vips that have theirs"),
			KEY("offload.to_steer", COUNT,
			    "vips that are to have them: all, where not every queue is the "
			    "balancer's"),
			KEY("offload.steering_why", TEXT,
			    "why not all of them have, as the NIC says; null if they have",
			    .null = true),
			KEY("reloads", COUNT, "configurations read since the start"),
			KEY("reload_state", TEXT, "idle, reading, finding or changing"),
			KEY("last_reload.ok", FLAG,
			    "the last one succeeded; absent before the first reload, as the next "
			    "two", .object_absent = true),
			KEY("last_reload.text", TEXT,
			    "what it changed, or why it failed", .object_absent = true),
			KEY("last_reload.age_s", SECONDS,
			    "seconds since then", .object_absent = true)),
	},
	{
		.name = "vip",
		.text = "All vips with their traffic.",
		.list = "",
		.rows = KEYS(
			COLUMN("name", "NAME", TEXT, "name of the vip"),
			COLUMN("address", "ADDRESS", TEXT, "its address"),
			COLUMN("port", "PORT", PORT, "its port, 0 for every port"),
			COLUMN("protocol", "PROTO", TEXT, "tcp or udp"),
			KEY("number", NUMBER, "its number in the data plane"),
			COLUMN("hash", "HASH", TEXT, "how its ring is filled"),
			COLUMN("offload", "OFFLOAD", FLAG, "its flows may get rules in the NIC"),
			KEY("ring", NUMBER, "index of its ring in the data plane"),
			COLUMN("reals", "REALS", COUNT, "number of its reals"),
			TRAFFIC,
			COLUMN("dropped", "DROPPED", COUNT,
			       "packets dropped because it had no real to give")),
	},
	{
		.name = "real",
		.text = "The reals of one vip or of all. Flows are counted for this request; "
			"others are served meanwhile.",
		.arguments = { { "vip", WM_VALUE_TEXT, false, "name of a vip" } },
		.list = "",
		.rows = KEYS(
			COLUMN("vip", "VIP", TEXT, "name of the vip"),
			COLUMN("address", "REAL", TEXT, "address of the real"),
			COLUMN("weight", "WEIGHT", COUNT,
			       "its weight; 0 keeps flows and takes no new ones"),
			COLUMN("dest", "DEST", NUMBER, "id of the destination"),
			COLUMN("slots", "SLOTS", COUNT, "slots of the vip's ring that name it"),
			COLUMN("share", "SHARE", SHARE, "the same as a part of the ring, 0 to 1"),
			COLUMN("fits", "FITS", NUMBER,
			       "bytes of the longest packet that fits on its way, by the MTU of "
			       "devices and route; null: no limit, or no way is known",
			       .null = true),
			TRAFFIC,
			COLUMN("live", "LIVE", COUNT,
			       "flows that it has now: not closed, and with a packet in the last "
			       "15 minutes (TCP) or in flow-table.udp-idle (UDP), or with a rule "
			       "in the NIC; null: could not be counted", .null = true),
			COLUMN("health", "HEALTH", TEXT,
			       "up, down or unchecked, by its health check; null: it has none",
			       .null = true),
			COLUMN("health_s", "SINCE", SECONDS,
			       "seconds since that began; null: it has no check, or it was so "
			       "when the daemon started", .null = true),
			COLUMN("check", "CHECK", TEXT, "the last result of its check in words",
			       .null = true),
			KEY("checked_s", SECONDS, "seconds since that result came", .null = true),
			COLUMN("admin", "ADMIN", TEXT,
			       "enabled, drained (keeps its flows, gets no new ones) or disabled, "
			       "as people said"),
			KEY("admin_s", SECONDS, "seconds since then; null: it is enabled",
			    .null = true),
			COLUMN("why", "WHY", TEXT,
			       "why it has no slots; null if it has", .null = true)),
	},
	{
		.name = "dest",
		.text = "All destinations.",
		.list = "",
		.rows = KEYS(
			COLUMN("dest", "DEST", NUMBER, "id of the destination"),
			COLUMN("mark", "MARK", MARK, "the mark that names it"),
			COLUMN("generation", "GENERATION", NUMBER,
			       "how often the id was given before"),
			COLUMN("vip", "VIP", TEXT, "name of its vip"),
			COLUMN("real", "REAL", TEXT, "address of its real"),
			COLUMN("state", "STATE", TEXT,
			       "live, or retiring: gone, but rules or flows may still name it"),
			TRAFFIC),
	},
	{
		.name = "flow",
		.text = "All that is known of one flow.",
		.arguments = FLOW_ARGUMENTS,
		.keys = KEYS(
			FLOW,
			KEY("in_table", FLAG, "the flow table has an entry for the flow"),
			KEY("dest", NUMBER, "destination that the entry names", .null = true),
			KEY("real", TEXT, "its real", .null = true),
			KEY("idle_s", SECONDS,
			    "seconds since a packet last wrote the entry; coarse", .null = true),
			KEY("state", TEXT,
			    "counting, proven (offered to the NIC), closing (FIN or RST seen, "
			    "there may be a rule) or closed", .null = true),
			KEY("counted", COUNT,
			    "packets counted for a rule; null once offered", .null = true),
			KEY("rule.state", TEXT,
			    "state of its rule; rule is null if there is none",
			    .object_null = true),
			KEY("rule.mark", MARK, "mark that the rule sets", .object_null = true),
			KEY("rule.dest", NUMBER,
			    "destination that the mark names", .null = true, .object_null = true),
			KEY("rule.real", TEXT, "its real", .null = true, .object_null = true),
			KEY("rule.packets", COUNT,
			    "packets that the NIC counted", .object_null = true),
			KEY("rule.bytes", BYTES, "their bytes", .object_null = true),
			KEY("rule.age_s", SECONDS, "seconds in this state", .object_null = true)),
	},
	{
		.name = "flows",
		.text = "The rules that the daemon has. A flow may have one in each NIC.",
		.arguments = { { "max", WM_VALUE_COUNT, false,
				 "list at most so many flows (default "
				 NUMERAL(WM_FLOWS_DEFAULT) ")" } },
		.keys = KEYS(
			KEY("total", COUNT,
			    "rules, shown or not; a flow may have one in each NIC")),
		.list = "rules",
		.rows = KEYS(
			FLOW,
			COLUMN("vip", "VIP", TEXT, "name of the vip", .null = true),
			COLUMN("real", "REAL", TEXT, "address of the real", .null = true),
			KEY("dest", NUMBER, "id of the destination", .null = true),
			KEY("interface", TEXT,
			    "whose NIC has the rule; null for a softnic, which is every "
			    "interface's", .null = true),
			COLUMN("mark", "MARK", MARK, "mark that the rule sets"),
			COLUMN("state", "STATE", TEXT,
			       "candidate, installing, active or deleting"),
			COLUMN("packets", "PACKETS", COUNT, "packets that the NIC counted"),
			COLUMN("bytes", "BYTES", BYTES, "their bytes"),
			COLUMN("age_s", "AGE", SECONDS, "seconds in this state")),
	},
	{
		.name = "mark",
		.text = "What a mark means.",
		.arguments = { { "mark", WM_VALUE_MARK, true, "the mark, 32 bits" } },
		.keys = KEYS(
			KEY("mark", MARK, "the mark"),
			KEY("dest", NUMBER, "id of the destination in it"),
			KEY("generation", NUMBER, "generation in it"),
			KEY("meaning", TEXT,
			    "live; stale (an older generation); gone (no such destination any "
			    "more); unknown"),
			KEY("vip", TEXT, "name of the vip, null unless live", .null = true),
			KEY("real", TEXT, "address of the real, null unless live", .null = true)),
	},
	{
		.name = "stats",
		.text = "The counters of data plane and offload.",
		.keys = KEYS(
			WM_COUNTERS(COUNTER)
			KEY("bytes", COUNT, "bytes sent, before encapsulation"),
			KEY("offload.candidates", COUNT, "flows that proved themselves"),
			KEY("offload.installed", COUNT, "rules that the NIC took"),
			KEY("offload.refused", COUNT, "rules that it refused"),
			KEY("offload.full", COUNT, "rules for which it had no room"),
			KEY("offload.held", COUNT,
			    "candidates not taken: budget, full, backing off"),
			KEY("offload.failed_removals", COUNT,
			    "rules that it did not give up at once"),
			KEY("offload.active", COUNT, "rules in the NIC now"),
			KEY("offload.installing", COUNT, "rules asked for now"),
			KEY("offload.deleting", COUNT, "rules being deleted now"),
			KEY("offload.ended.idle", COUNT, "rules that ended: no packets"),
			KEY("offload.ended.closed", COUNT, "rules that ended: connection closed"),
			KEY("offload.ended.dest-gone", COUNT,
			    "rules that ended: destination gone"),
			KEY("offload.ended.evicted", COUNT,
			    "rules that ended: made room for others"),
			KEY("offload.ended.stale", COUNT,
			    "rules that ended: found with no use at start"),
			KEY("offload.packets", COUNT, "packets that the NIC marked"),
			KEY("offload.bytes", COUNT, "bytes that the NIC marked"),
			KEY("events.read", COUNT, "events that the daemon read"),
			KEY("events.lost", COUNT, "events that were lost on the way to it")),
	},
	{
		.name = "reload",
		.text = "Reads the configuration again. The reply comes when the change is "
			"made, or an error, which changes nothing; others are served meanwhile. "
			"One that is asked for while another runs begins after it, and one "
			"serves all who asked by then.",
		.arguments = { { "force", WM_VALUE_FLAG, false,
				 "also if it is dangerous: the file removes more vips or reals "
				 "than max-removal allows, or a vip takes every port of an "
				 "address of the machine itself" } },
		.keys = KEYS(
			KEY("summary", TEXT, "what changed"),
			KEY("changes", LINES, "the same by name, as far as it is not too much")),
	},
	BY_HAND("real_enable", "Takes back that a real was drained or disabled. The reply comes "
		"when the change is made, or an error, which changes nothing; others are served "
		"meanwhile."),
	BY_HAND("real_drain", "Gives a real no new flows; those that it has stay with it. This "
		"holds until it is enabled, also across restarts of the daemon and of the machine, "
		"and is forgotten when the configuration does not have the real any more. Refused "
		"without force where nobody else takes new flows. The reply comes as that to "
		"real_enable."),
	BY_HAND("real_disable", "As real_drain, and what a client asks anew goes elsewhere also "
		"where it belongs to a flow that the real has: as for one that is down by its "
		"check."),
	{
		.name = "ring",
		.text = "The ring of a vip as the data plane has it.",
		.arguments = { { "vip", WM_VALUE_TEXT, true, "name of a vip" } },
		.keys = KEYS(
			KEY("vip", TEXT, "name of the vip"),
			KEY("reals", TEXTS, "addresses of its reals"),
			KEY("slot", NUMBERS,
			    "for each slot of the ring the real's index in reals, -1 for nobody")),
	},
	{
		.name = "where",
		.text = "Where a packet of a flow goes.",
		.arguments = FLOW_ARGUMENTS,
		.keys = KEYS(
			FLOW,
			KEY("vip", TEXT, "name of the vip; null: no vip of ours", .null = true),
			KEY("slot", NUMBER, "slot of its ring", .null = true),
			KEY("dest", NUMBER,
			    "id of the destination; null with --config: the daemon gives the "
			    "numbers", .null = true),
			KEY("real", TEXT, "address of the real; null: nobody", .null = true),
			KEY("outer_source", TEXT, "source of the outer header", .null = true),
			KEY("flow.dest", NUMBER,
			    "destination that the flow table says instead; flow is null if it has "
			    "no entry", .object_null = true),
			KEY("flow.real", TEXT, "its real", .object_null = true)),
	},
	{
		.name = "xsk",
		.text = "A local consumer and its sockets. An error where there is none.",
		.arguments = { { "name", WM_VALUE_TEXT, false,
				 "name of the consumer; may be left out if there is only one" } },
		.keys = KEYS(
			KEY("name", TEXT, "what reals call the local consumer"),
			KEY("path", TEXT, "where it gets its sockets"),
			KEY("device", TEXT, "the devices that they are for"),
			KEY("connected", FLAG, "whether there is a consumer"),
			KEY("pid", NUMBER, "its process number, 0 without one"),
			KEY("uid", NUMBER, "its user number"),
			KEY("one_socket", FLAG,
			    "one socket serves all queues of a device (XDP_ANY_QUEUE)")),
		.list = "sockets",
		.rows = KEYS(
			COLUMN("socket", "SOCKET", NUMBER,
			       "number of the socket, by device and receive queue, or by device "
			       "alone"),
			COLUMN("device", "DEVICE", TEXT, "whose packets it gets"),
			KEY("zero_copy", FLAG, "whether they come without a copy"),
			COLUMN("rx_dropped", "DROPPED", COUNT,
			       "packets dropped by the kernel: too long, say"),
			COLUMN("rx_ring_full", "FULL", COUNT,
			       "packets dropped: the consumer was too slow"),
			COLUMN("rx_fill_empty", "UNFILLED", COUNT,
			       "times that the fill ring was empty"),
			KEY("rx_invalid", COUNT, "fill ring entries that were out of the memory"),
			KEY("tx_invalid", COUNT, "TX ring entries that were out of the memory"),
			KEY("tx_ring_empty", COUNT, "times that the TX ring was empty")),
	},
	{ .name = NULL },
};

const char *wm_value__json(enum wm_value type)
{
	switch (type) {
	case WM_VALUE_TEXT:
		return "string";
	case WM_VALUE_TEXTS:
	case WM_VALUE_LINES:
		return "array of strings";
	case WM_VALUE_FLAG:
		return "boolean";
	case WM_VALUE_NUMBERS:
		return "array of integers";
	case WM_VALUE_SHARE:
	case WM_VALUE_SECONDS:
	case WM_VALUE_RATE:
	case WM_VALUE_DECIMAL:
		return "number";
	case WM_VALUE_NUMBER:
	case WM_VALUE_COUNT:
	case WM_VALUE_BYTES:
	case WM_VALUE_MARK:
	case WM_VALUE_PORT:
		break;
	}
	return "integer";
}

const struct wm_request *wm_protocol__find(const char *name)
{
	for (const struct wm_request *r = wm_requests; r->name; r++)
		if (!strcmp(r->name, name))
			return r;
	return NULL;
}

const struct wm_argument *wm_protocol__argument(const struct wm_request *request,
						const char *name)
{
	for (const struct wm_argument *a = request->arguments; a->name; a++)
		if (!strcmp(a->name, name))
			return a;
	return NULL;
}
