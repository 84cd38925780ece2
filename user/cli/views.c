// SPDX-License-Identifier: GPL-2.0
/*
 * What is said of the daemon's replies beyond the tables that their rows in protocol.c make:
 * lines of text. And the answers of commands that ask no daemon, with their keys.
 */
#include "views.h"

#include <waymark/decap_abi.h>

#define KEY WM_FIELD
#define COLUMN WM_COLUMN
#define LINES_END { .text = NULL }

static const struct view_line status_lines[] = {
	{ NULL, "waymarkd", "{version}, pid {pid}, up {uptime_s}" },
	{ NULL, "configuration", "{config}" },
	{ "!adopted", "interfaces", "{interfaces} ({mode}, program {prog_id}, abi {abi})" },
	{ "adopted", "interfaces", "{interfaces} ({mode}, program {prog_id}, adopted, abi {abi})" },
	{ "!outdated", "program", "{prog_build}; the daemon's: {build}" },
	{ "outdated", "program", "{prog_build}, OUTDATED; the daemon's: {build}" },
	{ "unserved", "NOT SERVED", "{unserved}" },
	{ "apart", "OTHER LINKS", "{apart}" },
	{ "attached_again", "attached again",
	  "{attached_again} times: somebody took the program off" },
	{ "queues", "queues", "{queues}; the others are the host's" },
	{ "locals", "local consumers", "{locals}" },
	{ "offload.to_steer !offload.steering_why", "steering",
	  "{offload.steering_rules} rules lead {offload.steered} of {offload.to_steer} vips to "
	  "these queues" },
	{ "offload.to_steer offload.steering_why", "steering",
	  "{offload.steering_rules} rules lead {offload.steered} of {offload.to_steer} vips to "
	  "these queues: {offload.steering_why}" },
	{ NULL, "longest packet", "{fits4} bytes to an IPv4 real, {fits6} to an IPv6 one "
	  "(MTU {mtu})" },
	{ NULL, "vips", "{vips} with {reals} reals" },
	{ "by_hand", "BY HAND", "{by_hand} reals are drained or disabled: see waymark real" },
	{ "!retiring", "destinations", "{dests} of {dests_max}" },
	{ "retiring", "destinations", "{dests} of {dests_max}, {retiring} retiring" },
	{ NULL, "flow table", "room for {flows_max} flows" },
	{ NULL, "packets", "{packets} ({bytes})" },
	{ NULL, "marked", "{marked} ({marked/packets})" },
	{ "!offload.backing_off", "offload",
	  "{offload.backend}, {offload.rules} of {offload.rules_max} rules, "
	  "{offload.mark_bits}-bit marks by lane {lane}" },
	{ "offload.backing_off", "offload",
	  "{offload.backend}, {offload.rules} of {offload.rules_max} rules, "
	  "{offload.mark_bits}-bit marks by lane {lane}; the NIC refuses rules, backing off" },
	{ "offload.lane_why", "lane", "mac: {offload.lane_why}" },
	{ "offload.marks", "marks", "{offload.marks}" },
	{ "offload.rate", "NIC's rate",
	  "{offload.rate} rules per second learned; now {offload.pace} at most, for flows of "
	  "{offload.promote_after} packets" },
	{ "offload.room", "NIC's room", "{offload.room} rules learned" },
	{ "offload.flood", "flood", "of new flows: those that come again get a rule" },
	{ "offload.table", "NIC's table",
	  "{offload.table_used} of {offload.table} entries in use" },
	{ NULL, "reloads", "{reloads}" },
	{ "last_reload.ok", "last reload", "{last_reload.age_s} ago: {last_reload.text}" },
	{ "last_reload !last_reload.ok", "last reload",
	  "{last_reload.age_s} ago, FAILED: {last_reload.text}" },
	LINES_END
};

const struct view view_status = { .request = "status", .lines = status_lines };

static const struct view_line flow_lines[] = {
	{ NULL, "flow", "{protocol} {source} to {destination}" },
	{ "in_table counted", "flow table",
	  "destination {dest} ({real}), {state}, {counted} packets counted, idle {idle_s}" },
	{ "in_table !counted", "flow table",
	  "destination {dest} ({real}), {state}, idle {idle_s}" },
	{ "!in_table", "flow table", "not in it" },
	{ "rule", "rule", "{rule.state} for {rule.age_s}, mark {rule.mark}: "
			  "destination {rule.dest} ({rule.real})" },
	{ "rule", "by the NIC", "{rule.packets} packets, {rule.bytes}" },
	{ "!rule", "rule", "none" },
	LINES_END
};

const struct view view_flow = { .request = "flow", .lines = flow_lines };

static const struct view_line mark_lines[] = {
	{ NULL, "mark", "{mark}: destination {dest}, generation {generation}" },
	{ NULL, "meaning", "{meaning}" },
	{ "vip", "vip", "{vip}" },
	{ "real", "real", "{real}" },
	LINES_END
};

const struct view view_mark = { .request = "mark", .lines = mark_lines };

static const struct wm_field stats_columns[] = {
	COLUMN("counter", "COUNTER", TEXT, "name of the counter"),
	COLUMN("value", "VALUE", COUNT, "its value"),
	COLUMN("rate", "PER SECOND", RATE, "its change a second (with --watch)"),
	COLUMN("text", "MEANING", TEXT, "what it counts"),
	WM_FIELDS_END
};

const struct view view_stats = {
	.request = "stats", .columns = stats_columns, .made = true, .empty = "all counters are 0",
};

static const struct view_line reload_lines[] = {
	{ NULL, NULL, "{summary}" },
	{ "changes", NULL, "{changes}" },
	LINES_END
};

const struct view view_reload = { .request = "reload", .lines = reload_lines };
const struct view view_enable = { .request = "real_enable", .lines = reload_lines };
const struct view view_drain = { .request = "real_drain", .lines = reload_lines };
const struct view view_disable = { .request = "real_disable", .lines = reload_lines };

static const struct wm_field ring_columns[] = {
	COLUMN("slot", "SLOT", NUMBER, "number of the slot"),
	COLUMN("real", "REAL", TEXT, "address of the real"),
	WM_FIELDS_END
};

const struct view view_ring = {
	.request = "ring", .columns = ring_columns, .made = true, .empty = "no slots",
};

static const struct view_line where_lines[] = {
	{ NULL, "flow", "{protocol} {source} to {destination}" },
	{ "!vip", "vip", "none: it is not balanced" },
	{ "vip", "vip", "{vip}" },
	{ "vip", "slot", "{slot}" },
	{ "real", "real", "{real}" },
	{ "outer_source", "outer source", "{outer_source}" },
	{ "flow", "flow table",
	  "{flow.real} (destination {flow.dest}): this counts for a flow under way" },
	LINES_END
};

const struct view view_where = { .request = "where", .lines = where_lines };

static const struct wm_field version_keys[] = {
	KEY("version", TEXT, "version of this command"),
	WM_FIELDS_END
};

static const struct view_line version_lines[] = { { NULL, NULL, "waymark {version}" }, LINES_END };

const struct view view_version = { .keys = version_keys, .lines = version_lines };

static const struct wm_field decap_keys[] = {
	KEY("device", TEXT, "the device"),
	KEY("mode", TEXT, "where the program is: xdp or tc; null after detach"),
	WM_FIELDS_END
};

static const struct view_line decap_lines[] = {
	{ "mode", NULL, "{device}: decapsulating in {mode}" },
	{ "!mode", NULL, "{device}: not decapsulating any more" },
	LINES_END
};

const struct view view_decap = { .keys = decap_keys, .lines = decap_lines };

#define COUNTER_KEY(NAME, name, text) KEY("counters." #name, COUNT, text),

static const struct wm_field decap_stats_keys[] = {
	KEY("device", TEXT, "the device"),
	KEY("mode", TEXT, "where the program is: xdp or tc"),
	WM_DECAP_COUNTERS(COUNTER_KEY)
	WM_FIELDS_END
};

static const struct wm_field decap_stats_columns[] = {
	COLUMN("counter", "COUNTER", TEXT, "name of the counter"),
	COLUMN("value", "VALUE", COUNT, "its value"),
	COLUMN("text", "MEANING", TEXT, "what it counts"),
	WM_FIELDS_END
};

const struct view view_decap_stats = {
	.keys = decap_stats_keys, .columns = decap_stats_columns, .made = true,
	.empty = "all counters are 0",
};

static const struct wm_field softnic_keys[] = {
	KEY("device", TEXT, "the device"),
	KEY("role", TEXT, "port, wire, or null after detach"),
	WM_FIELDS_END
};

static const struct view_line softnic_lines[] = {
	{ "role", NULL, "{device}: {role} of the softnic" },
	{ "!role", NULL, "{device}: no port of the softnic any more" },
	LINES_END
};

const struct view view_softnic = { .keys = softnic_keys, .lines = softnic_lines };

static const struct wm_field queue_columns[] = {
	COLUMN("device", "DEVICE", TEXT, "the device"),
	COLUMN("type", "TYPE", TEXT, "rx or tx"),
	COLUMN("queue", "QUEUE", NUMBER, "number of the queue"),
	COLUMN("state", "STATE", TEXT, "running or stopped; null: this kernel does not tell"),
	COLUMN("xdp_prog_id", "PROGRAM", NUMBER,
	       "number of the queue's own XDP program; null: the device's, if it has one"),
	COLUMN("memory", "MEMORY", TEXT,
	       "whose memory its packets go to: af_xdp, dmabuf or io_uring; null: the driver's, or "
	       "the kernel does not tell"),
	COLUMN("napi_id", "NAPI", NUMBER, "number of the NAPI instance that polls it"),
	WM_FIELDS_END
};

const struct view view_queue = {
	.list = "", .columns = queue_columns,
	.empty = "no queues: the kernel lists those of devices that are up",
};

static const struct view_line queue_change_lines[] = {
	{ "!xdp_prog_id", NULL, "{device} {type} {queue}: {state}" },
	{ "xdp_prog_id", NULL, "{device} {type} {queue}: {state}, program {xdp_prog_id}" },
	LINES_END
};

const struct view view_queue_change = { .keys = queue_columns, .lines = queue_change_lines };

static const struct wm_field nic_keys[] = {
	KEY("device", TEXT, "the interface"),
	KEY("driver", TEXT, "its driver"),
	KEY("driver_version", TEXT, "the driver's version"),
	KEY("firmware", TEXT, "the NIC's firmware"),
	KEY("bus", TEXT, "where the NIC is"),
	KEY("kernel", TEXT, "release of the kernel"),
	KEY("queues", COUNT, "receive queues in use"),
	KEY("hw_tc_offload", TEXT, "the feature hw-tc-offload as it was: on, off, or none"),
	KEY("rx_ntuple_filter", TEXT, "rx-ntuple-filter as it was"),
	KEY("rx_xdp_mark", TEXT, "rx-xdp-mark, of the lane meta"),
	KEY("kfunc", FLAG, "whether kernel and driver hand marks to XDP programs"),
	KEY("switched_on", TEXTS, "features that were on only meanwhile (--enable)"),
	KEY("leftovers", COUNT, "rules of an earlier trial that were found, and removed"),
	KEY("lanes", TEXTS, "lanes of waymark that would work here"),
	KEY("verdict", LINES, "what follows, in words"),
	KEY("interrupted", FLAG, "whether a signal ended it early"),
	KEY("fits.rules", TEXT, "how many rules fit: of which kind, mark, mac or ntuple"),
	KEY("fits.asked", COUNT, "how many were tried at most (--count)"),
	KEY("fits.fit", COUNT, "how many were taken"),
	KEY("fits.error", TEXT, "name of the error that the next one met, or null"),
	KEY("fits.message", TEXT, "the driver's words on it, or null"),
	KEY("fits.took_s", DECIMAL, "seconds until all were in"),
	KEY("fits.per_second", COUNT, "rules a second"),
	KEY("fits.removed_per_second", COUNT, "and of taking them out"),
	WM_FIELDS_END
};

static const struct view_line nic_lines[] = {
	{ "driver", "interface", "{device}, driver {driver} {driver_version}" },
	{ "!driver", "interface", "{device}" },
	{ "firmware", "firmware", "{firmware}" },
	{ "bus", "bus", "{bus}" },
	{ NULL, "kernel", "{kernel}" },
	{ NULL, "receive queues", "{queues}" },
	{ NULL, "features", "hw-tc-offload {hw_tc_offload}, rx-ntuple-filter {rx_ntuple_filter}, "
	  "rx-xdp-mark {rx_xdp_mark}" },
	{ "switched_on", "on meanwhile", "{switched_on}" },
	{ "leftovers", "left before", "{leftovers} rules of an earlier trial, removed" },
	{ NULL, "verdict", "{verdict}" },
	LINES_END
};

const struct view view_nic_facts = { .keys = nic_keys, .lines = nic_lines };

static const struct wm_field nic_columns[] = {
	COLUMN("trial", "TRIAL", TEXT, "name of what was tried; stays the same"),
	COLUMN("text", "RULE", TEXT, "what the rule does, and of which packets"),
	COLUMN("pref", "PREF", NUMBER, "preference that it was tried with; null: it has none"),
	COLUMN("taken", "TAKEN", FLAG, "whether the rule was taken"),
	COLUMN("in_nic", "IN NIC", FLAG,
	       "whether the NIC has it, as the kernel lists it; null: it was refused"),
	COLUMN("as_sent", "AS SENT", FLAG,
	       "whether it reads back like what was sent; null: it was refused"),
	COLUMN("counters", "COUNTERS", TEXT,
	       "how the NIC counts its packets: immediate (asked when read), delayed, or null"),
	COLUMN("error", "ERROR", TEXT, "name of the error where it was refused, or null"),
	COLUMN("message", "MESSAGE", TEXT, "the kernel's or the driver's words, or null"),
	KEY("took_s", DECIMAL, "seconds until the answer"),
	KEY("removed", FLAG, "whether it was taken out again; null: it was refused"),
	WM_FIELDS_END
};

const struct view view_nic = { .keys = nic_keys, .list = "trials", .columns = nic_columns };

static const struct wm_field nic_fit_columns[] = {
	COLUMN("rules", "RULES", TEXT, ""),
	COLUMN("asked", "TRIED", COUNT, ""),
	COLUMN("fit", "FIT", COUNT, ""),
	COLUMN("per_second", "PER SECOND", COUNT, ""),
	COLUMN("removed_per_second", "REMOVED/S", COUNT, ""),
	COLUMN("error", "ERROR", TEXT, ""),
	COLUMN("message", "MESSAGE", TEXT, ""),
	WM_FIELDS_END
};

const struct view view_nic_fits = { .list = "fits", .columns = nic_fit_columns };

static const struct wm_field size_keys[] = {
	KEY("traffic", TEXT, "what was played, in words"),
	KEY("flows", COUNT, "flows at a time (model), or in all (capture)"),
	KEY("not_balanced", COUNT,
	    "packets of the capture that the balancer leaves to the stack; null for a model"),
	KEY("ns_hit", DECIMAL, "nanoseconds of a packet in software"),
	KEY("ns_marked", DECIMAL, "nanoseconds of a marked packet"),
	WM_FIELDS_END
};

static const struct wm_field size_columns[] = {
	COLUMN("rules", "RULES", COUNT, "rules that the NIC holds"),
	COLUMN("marked", "MARKED", SHARE, "part of the packets that went by their mark, 0 to 1"),
	COLUMN("rules_mean", "USED", COUNT, "rules in the NIC, mean over time"),
	COLUMN("rules_max", "MOST", COUNT, "rules in the NIC, the most at any time"),
	COLUMN("installs", "INSTALLS/S", COUNT, "rules installed a second"),
	COLUMN("evicted", "EVICTED/S", COUNT,
	       "rules that made room for others, a second: without packets, or light"),
	KEY("idle", COUNT, "rules that ended because their flow was idle, a second"),
	KEY("closed", COUNT, "rules that ended with their connection, a second"),
	KEY("full", COUNT, "candidates that found every rule in use, a second"),
	COLUMN("held", "HELD/S", COUNT, "all candidates that were not taken, per second"),
	KEY("events", COUNT, "events from the data plane, a second"),
	KEY("events_held", COUNT, "events over the budget, a second"),
	KEY("missed", SHARE,
	    "part of the packets in software whose flow was not in the flow table, 0 to 1"),
	COLUMN("cores_software", "CORES", RATE, "CPU cores that software alone would need"),
	COLUMN("cores_saved", "SAVED", RATE, "cores of these that the marks save"),
	KEY("pps", COUNT, "packets per second"),
	KEY("seconds", SECONDS, "time that was measured"),
	KEY("scale", COUNT, "one flow was played for so many"),
	KEY("played", COUNT, "packets that were played one by one"),
	WM_FIELDS_END
};

const struct view view_size = { .keys = size_keys, .list = "sizes", .columns = size_columns };

static const struct wm_field xsk_dump_columns[] = {
	COLUMN("socket", "SOCKET", NUMBER,
	       "the socket that it came to: the receive queue, but with one socket for all"),
	COLUMN("bytes", "BYTES", COUNT, "length of the frame"),
	COLUMN("parts", "PARTS", NUMBER, "pieces that it lies in"),
	COLUMN("mark", "MARK", MARK, "the mark in front of it, or null"),
	COLUMN("hash", "HASH", MARK,
	       "the same number for all packets of a flow; null where the packet has no ports"),
	COLUMN("protocol", "PROTOCOL", TEXT, "tcp, udp, or null: neither, or a fragment"),
	COLUMN("source", "SOURCE", TEXT, "address and port that it came from"),
	COLUMN("destination", "DESTINATION", TEXT, "address and port that it is for"),
	WM_FIELDS_END
};

const struct view view_xsk_dump = {
	.keys = xsk_dump_columns, .columns = xsk_dump_columns, .made = true,
};

static const struct wm_field xsk_keys[] = {
	KEY("device", TEXT, "the device"),
	KEY("mode", TEXT, "how the program was attached: native or generic"),
	KEY("one_socket", FLAG, "one socket served all queues (XDP_ANY_QUEUE)"),
	KEY("seconds", SECONDS, "how long it ran"),
	KEY("program.taken", COUNT, "packets that the program handed to a socket"),
	KEY("program.no_socket", COUNT, "packets left to the stack: no socket on their queue"),
	KEY("program.passed", COUNT, "packets left to the stack: not asked for"),
	WM_FIELDS_END
};

static const struct wm_field xsk_columns[] = {
	COLUMN("socket", "SOCKET", NUMBER,
	       "number of the socket: of its receive queue, but with one socket for all"),
	KEY("zero_copy", FLAG, "whether packets came without a copy"),
	COLUMN("packets", "PACKETS", COUNT, "packets received"),
	COLUMN("bytes", "BYTES", BYTES, "their bytes"),
	KEY("parts", COUNT, "pieces that they lay in"),
	COLUMN("marked", "MARKED", COUNT, "packets that carried a mark"),
	COLUMN("sent", "SENT", COUNT, "packets sent back"),
	KEY("tx_full", COUNT, "packets not sent back: the TX ring was full"),
	KEY("wakeups_rx", COUNT, "system calls that woke the receiving side up"),
	KEY("wakeups_tx", COUNT, "system calls that woke the sending side up"),
	KEY("given_up", COUNT, "times that a ring did not empty within bounds"),
	COLUMN("stall_kicks", "STALLS", COUNT, "stalls that only the watchdog ended"),
	COLUMN("rx_dropped", "DROPPED", COUNT, "packets dropped by the kernel: too long, say"),
	COLUMN("rx_ring_full", "FULL", COUNT, "packets dropped: the RX ring was full"),
	COLUMN("rx_fill_empty", "UNFILLED", COUNT, "times that the fill ring was empty"),
	KEY("rx_invalid", COUNT, "fill ring entries that were out of the memory"),
	KEY("tx_invalid", COUNT, "TX ring entries that were out of the memory"),
	KEY("tx_ring_empty", COUNT, "times that the TX ring was empty"),
	WM_FIELDS_END
};

const struct view view_xsk = { .keys = xsk_keys, .list = "sockets", .columns = xsk_columns };

static const struct wm_field help_keys[] = {
	KEY("commands", TEXT, "name, help, arguments, options, requests and keys of each"),
	KEY("options", TEXT, "the options that every command takes"),
	KEY("exit_codes", TEXT, "code and text of each"),
	KEY("protocol", TEXT,
	    "what can be asked of the daemon: request, arguments, keys of the answer and of rows "
	    "in it, with their types in JSON"),
	WM_FIELDS_END
};

const struct view view_help = { .keys = help_keys };
