// SPDX-License-Identifier: GPL-2.0
/*
 * One description a reply. Columns with a title are shown; the others are
 * promised in --json and can be asked for with --columns. Order is that of the
 * table. A key that the protocol has (waymark/ctl.h) and no array names here
 * fails a test.
 */
#include "views.h"

#include <waymark/abi.h>
#include <waymark/decap.h>

#define END { .key = NULL }
#define LINES_END { .text = NULL }

static const struct column status_keys[] = {
	{ "version", "version", FORMAT_TEXT, "version of the daemon" },
	{ "pid", "pid", FORMAT_NUMBER, "process number of the daemon" },
	{ "uptime_s", "up", FORMAT_DURATION, "seconds since the daemon started" },
	{ "config", "configuration", FORMAT_TEXT, "path of its configuration file" },
	{ "interfaces", "interfaces", FORMAT_TEXT, "devices that the program is attached to" },
	{ "queues", "queues", FORMAT_TEXT,
	  "devices of which it has only some queues, and which: \"eth0 0-3\"" },
	{ "mode", "mode", FORMAT_TEXT, "how it is attached: native or generic" },
	{ "lane", "lane", FORMAT_TEXT, "how marks reach the program: meta, kfunc, or mixed" },
	{ "adopted", "adopted", FORMAT_TEXT,
	  "the daemon found the program running at its start" },
	{ "prog_id", "program", FORMAT_NUMBER, "number of the BPF program" },
	{ "abi", "abi", FORMAT_NUMBER, "version of the layout of its maps" },
	{ "vips", "vips", FORMAT_COUNT, "vips" },
	{ "reals", "reals", FORMAT_COUNT, "different addresses of reals" },
	{ "dests", "dests", FORMAT_COUNT, "live destinations" },
	{ "dests_max", "dests max", FORMAT_COUNT, "destinations that the maps hold" },
	{ "retiring", "retiring", FORMAT_COUNT,
	  "destinations that are out of the configuration and not yet free" },
	{ "flows_max", "flows max", FORMAT_COUNT, "flows that the flow table holds" },
	{ "packets", "packets", FORMAT_COUNT, "packets sent to reals" },
	{ "bytes", "bytes", FORMAT_BYTES, "their bytes, before encapsulation" },
	{ "marked", "marked", FORMAT_COUNT, "packets of these that went by their mark alone" },
	{ "offload.backend", "backend", FORMAT_TEXT, "what installs rules" },
	{ "offload.rules", "rules", FORMAT_COUNT, "rules in the NIC" },
	{ "offload.rules_max", "rules max", FORMAT_COUNT, "rules allowed there" },
	{ "offload.table", "table", FORMAT_COUNT,
	  "rules that the NIC has room for; null where its driver does not say" },
	{ "offload.table_used", "table used", FORMAT_COUNT,
	  "rules that it holds, whoever installed them; null likewise" },
	{ "offload.mark_bits", "mark bits", FORMAT_TEXT, "width of a mark" },
	{ "offload.backing_off", "backing off", FORMAT_TEXT,
	  "the NIC refused rules; the next attempt waits" },
	{ "offload.steering_rules", "steering rules", FORMAT_COUNT,
	  "rules that lead a vip's packets to the balancer's queues, in the NIC" },
	{ "offload.steered", "steered", FORMAT_COUNT, "vips that have theirs" },
	{ "offload.to_steer", "to steer", FORMAT_COUNT,
	  "vips that are to have them: all, where not every queue is the balancer's" },
	{ "offload.steering_why", "steering why", FORMAT_TEXT,
	  "why not all of them have, as the NIC says; null if they have" },
	{ "reloads", "reloads", FORMAT_COUNT, "configurations read since the start" },
	{ "reload_state", "reload state", FORMAT_TEXT, "idle, reading, finding or changing" },
	{ "last_reload.ok", "reload ok", FORMAT_TEXT,
	  "the last one succeeded; absent before the first reload, as the next two" },
	{ "last_reload.text", "reload", FORMAT_TEXT, "what it changed, or why it failed" },
	{ "last_reload.age_s", "reload age", FORMAT_DURATION, "seconds since then" },
	END
};

static const struct view_line status_lines[] = {
	{ NULL, "waymarkd", "{version}, pid {pid}, up {uptime_s}" },
	{ NULL, "configuration", "{config}" },
	{ "!adopted", "interfaces", "{interfaces} ({mode}, program {prog_id}, abi {abi})" },
	{ "adopted", "interfaces", "{interfaces} ({mode}, program {prog_id}, adopted, abi {abi})" },
	{ "queues", "queues", "{queues}; the others are the host's" },
	{ "offload.to_steer !offload.steering_why", "steering",
	  "{offload.steering_rules} rules lead {offload.steered} of {offload.to_steer} vips to "
	  "these queues" },
	{ "offload.to_steer offload.steering_why", "steering",
	  "{offload.steering_rules} rules lead {offload.steered} of {offload.to_steer} vips to "
	  "these queues: {offload.steering_why}" },
	{ NULL, "vips", "{vips} with {reals} reals" },
	{ "!retiring", "destinations", "{dests} of {dests_max}" },
	{ "retiring", "destinations", "{dests} of {dests_max}, {retiring} retiring" },
	{ NULL, "flow table", "room for {flows_max} flows" },
	{ NULL, "packets", "{packets} ({bytes})" },
	{ NULL, "marked", "{marked} ({marked/packets})" },
	{ "!offload.backing_off", "offload",
	  "{offload.backend}, {offload.rules} of {offload.rules_max} rules, "
	  "{offload.mark_bits}-bit marks" },
	{ "offload.backing_off", "offload",
	  "{offload.backend}, {offload.rules} of {offload.rules_max} rules, "
	  "{offload.mark_bits}-bit marks; the NIC refuses rules, backing off" },
	{ "offload.table", "NIC's table",
	  "{offload.table_used} of {offload.table} entries in use" },
	{ NULL, "reloads", "{reloads}" },
	{ "last_reload.ok", "last reload", "{last_reload.age_s} ago: {last_reload.text}" },
	{ "last_reload !last_reload.ok", "last reload",
	  "{last_reload.age_s} ago, FAILED: {last_reload.text}" },
	LINES_END
};

const struct view view_status = { .keys = status_keys, .lines = status_lines };

/* What all that count packets for a destination have in common. */
#define TRAFFIC_COLUMNS \
	{ "packets", "PACKETS", FORMAT_COUNT, "packets sent" }, \
	{ "marked", "MARKED", FORMAT_COUNT, "packets of these that went by their mark alone" }, \
	{ "bytes", "BYTES", FORMAT_BYTES, "bytes sent, before encapsulation" }, \
	{ "flows", "FLOWS", FORMAT_COUNT, "flows entered in the flow table so far" }

static const struct column vip_columns[] = {
	{ "name", "NAME", FORMAT_TEXT, "name of the vip" },
	{ "address", "ADDRESS", FORMAT_TEXT, "its address" },
	{ "port", "PORT", FORMAT_PORT, "its port, 0 for every port" },
	{ "protocol", "PROTO", FORMAT_TEXT, "tcp or udp" },
	{ "number", NULL, FORMAT_NUMBER, "its number in the data plane" },
	{ "hash", "HASH", FORMAT_TEXT, "how its ring is filled" },
	{ "offload", "OFFLOAD", FORMAT_TEXT, "its flows may get rules in the NIC" },
	{ "ring", NULL, FORMAT_NUMBER, "index of its ring in the data plane" },
	{ "reals", "REALS", FORMAT_COUNT, "number of its reals" },
	TRAFFIC_COLUMNS,
	END
};

const struct view view_vip = { .list = "", .columns = vip_columns, .empty = "no vips" };

static const struct column real_columns[] = {
	{ "vip", "VIP", FORMAT_TEXT, "name of the vip" },
	{ "address", "REAL", FORMAT_TEXT, "address of the real" },
	{ "weight", "WEIGHT", FORMAT_COUNT, "its weight; 0 keeps flows and takes no new ones" },
	{ "dest", "DEST", FORMAT_NUMBER, "id of the destination" },
	{ "slots", "SLOTS", FORMAT_COUNT, "slots of the vip's ring that name it" },
	{ "share", "SHARE", FORMAT_SHARE, "the same as a part of the ring, 0 to 1" },
	TRAFFIC_COLUMNS,
	END
};

const struct view view_real = { .list = "", .columns = real_columns, .empty = "no reals" };

static const struct column dest_columns[] = {
	{ "dest", "DEST", FORMAT_NUMBER, "id of the destination" },
	{ "mark", "MARK", FORMAT_MARK, "the mark that names it" },
	{ "generation", "GENERATION", FORMAT_NUMBER, "how often the id was given before" },
	{ "vip", "VIP", FORMAT_TEXT, "name of its vip" },
	{ "real", "REAL", FORMAT_TEXT, "address of its real" },
	{ "state", "STATE", FORMAT_TEXT,
	  "live, or retiring: gone, but rules or flows may still name it" },
	TRAFFIC_COLUMNS,
	END
};

const struct view view_dest = { .list = "", .columns = dest_columns, .empty = "no destinations" };

#define FLOW_COLUMNS \
	{ "protocol", "PROTO", FORMAT_TEXT, "tcp or udp" }, \
	{ "source", "SOURCE", FORMAT_TEXT, "the client's address and port" }, \
	{ "destination", "DESTINATION", FORMAT_TEXT, "the vip's address and port" }

static const struct column flow_keys[] = {
	FLOW_COLUMNS,
	{ "in_table", "in table", FORMAT_TEXT, "the flow table has an entry for the flow" },
	{ "dest", "dest", FORMAT_NUMBER, "destination that the entry names" },
	{ "real", "real", FORMAT_TEXT, "its real" },
	{ "idle_s", "idle", FORMAT_DURATION,
	  "seconds since a packet last wrote the entry; coarse" },
	{ "state", "state", FORMAT_TEXT,
	  "counting, proven (offered to the NIC) or closing (FIN or RST seen)" },
	{ "counted", "counted", FORMAT_COUNT, "packets counted towards a rule; null when closing" },
	{ "rule.state", "rule", FORMAT_TEXT,
	  "state of its rule; rule is null if there is none" },
	{ "rule.mark", "mark", FORMAT_MARK, "mark that the rule sets" },
	{ "rule.dest", "rule dest", FORMAT_NUMBER, "destination that the mark names" },
	{ "rule.real", "rule real", FORMAT_TEXT, "its real" },
	{ "rule.packets", "rule packets", FORMAT_COUNT, "packets that the NIC counted" },
	{ "rule.bytes", "rule bytes", FORMAT_BYTES, "their bytes" },
	{ "rule.age_s", "rule age", FORMAT_DURATION, "seconds in this state" },
	END
};

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

const struct view view_flow = { .keys = flow_keys, .lines = flow_lines };

static const struct column flows_keys[] = {
	{ "total", NULL, FORMAT_COUNT, "rules, shown or not; a flow may have one in each NIC" },
	END
};

static const struct column flows_columns[] = {
	FLOW_COLUMNS,
	{ "vip", "VIP", FORMAT_TEXT, "name of the vip" },
	{ "real", "REAL", FORMAT_TEXT, "address of the real" },
	{ "dest", NULL, FORMAT_NUMBER, "id of the destination" },
	{ "interface", NULL, FORMAT_TEXT,
	  "whose NIC has the rule; null for a software NIC, which is every interface's" },
	{ "mark", "MARK", FORMAT_MARK, "mark that the rule sets" },
	{ "state", "STATE", FORMAT_TEXT, "candidate, installing, active or deleting" },
	{ "packets", "PACKETS", FORMAT_COUNT, "packets that the NIC counted" },
	{ "bytes", "BYTES", FORMAT_BYTES, "their bytes" },
	{ "age_s", "AGE", FORMAT_DURATION, "seconds in this state" },
	END
};

const struct view view_flows = {
	.keys = flows_keys, .list = "rules", .columns = flows_columns,
	.empty = "no flow has a rule",
};

static const struct column mark_keys[] = {
	{ "mark", "mark", FORMAT_MARK, "the mark" },
	{ "dest", "dest", FORMAT_NUMBER, "id of the destination in it" },
	{ "generation", "generation", FORMAT_NUMBER, "generation in it" },
	{ "meaning", "meaning", FORMAT_TEXT,
	  "live; stale (an older generation); gone (no such destination any more); unknown" },
	{ "vip", "vip", FORMAT_TEXT, "name of the vip, null unless live" },
	{ "real", "real", FORMAT_TEXT, "address of the real, null unless live" },
	END
};

static const struct view_line mark_lines[] = {
	{ NULL, "mark", "{mark}: destination {dest}, generation {generation}" },
	{ NULL, "meaning", "{meaning}" },
	{ "vip", "vip", "{vip}" },
	{ "real", "real", "{real}" },
	LINES_END
};

const struct view view_mark = { .keys = mark_keys, .lines = mark_lines };

#define COUNTER_KEY(NAME, name, text) { "counters." #name, NULL, FORMAT_COUNT, text },

/* stats.c shows a row for each of these, so the texts must stand alone. */
static const struct column stats_keys[] = {
	WM_COUNTERS(COUNTER_KEY)
	{ "bytes", NULL, FORMAT_COUNT, "bytes sent, before encapsulation" },
	{ "offload.candidates", NULL, FORMAT_COUNT, "flows that proved themselves" },
	{ "offload.installed", NULL, FORMAT_COUNT, "rules that the NIC took" },
	{ "offload.refused", NULL, FORMAT_COUNT, "rules that it refused" },
	{ "offload.full", NULL, FORMAT_COUNT, "rules for which it had no room" },
	{ "offload.held", NULL, FORMAT_COUNT,
	  "candidates not taken: budget, full, backing off" },
	{ "offload.failed_removals", NULL, FORMAT_COUNT,
	  "rules that it did not give up at once" },
	{ "offload.active", NULL, FORMAT_COUNT, "rules in the NIC now" },
	{ "offload.installing", NULL, FORMAT_COUNT, "rules asked for now" },
	{ "offload.deleting", NULL, FORMAT_COUNT, "rules being deleted now" },
	{ "offload.ended.idle", NULL, FORMAT_COUNT, "rules that ended: no packets" },
	{ "offload.ended.closed", NULL, FORMAT_COUNT, "rules that ended: connection closed" },
	{ "offload.ended.dest-gone", NULL, FORMAT_COUNT, "rules that ended: destination gone" },
	{ "offload.ended.evicted", NULL, FORMAT_COUNT,
	  "rules that ended: made room for others" },
	{ "offload.ended.stale", NULL, FORMAT_COUNT,
	  "rules that ended: found with no use at start" },
	{ "offload.packets", NULL, FORMAT_COUNT, "packets that the NIC marked" },
	{ "offload.bytes", NULL, FORMAT_COUNT, "bytes that the NIC marked" },
	{ "events.read", NULL, FORMAT_COUNT, "events that the daemon read" },
	{ "events.lost", NULL, FORMAT_COUNT, "events that were lost on the way to it" },
	END
};

static const struct column stats_columns[] = {
	{ "counter", "COUNTER", FORMAT_TEXT, "name of the counter" },
	{ "value", "VALUE", FORMAT_COUNT, "its value" },
	{ "rate", "PER SECOND", FORMAT_RATE, "its change a second (with --watch)" },
	{ "text", "MEANING", FORMAT_TEXT, "what it counts" },
	END
};

const struct view view_stats = {
	.keys = stats_keys, .columns = stats_columns, .made = true, .empty = "all counters are 0",
};

static const struct column reload_keys[] = {
	{ "summary", "summary", FORMAT_TEXT, "what changed" },
	END
};

static const struct view_line reload_lines[] = { { NULL, NULL, "{summary}" }, LINES_END };

const struct view view_reload = { .keys = reload_keys, .lines = reload_lines };

static const struct column ring_keys[] = {
	{ "vip", NULL, FORMAT_TEXT, "name of the vip" },
	{ "reals", NULL, FORMAT_TEXT, "addresses of its reals" },
	{ "slot", NULL, FORMAT_NUMBER,
	  "for each slot of the ring the real's index in reals, -1 for nobody" },
	END
};

static const struct column ring_columns[] = {
	{ "slot", "SLOT", FORMAT_NUMBER, "number of the slot" },
	{ "real", "REAL", FORMAT_TEXT, "address of the real" },
	END
};

const struct view view_ring = {
	.keys = ring_keys, .columns = ring_columns, .made = true, .empty = "no slots",
};

static const struct column where_keys[] = {
	FLOW_COLUMNS,
	{ "vip", "vip", FORMAT_TEXT, "name of the vip; null: no vip of ours" },
	{ "slot", "slot", FORMAT_NUMBER, "slot of its ring" },
	{ "dest", "dest", FORMAT_NUMBER,
	  "id of the destination; null with --config: the daemon gives the numbers" },
	{ "real", "real", FORMAT_TEXT, "address of the real; null: nobody" },
	{ "outer_source", "outer source", FORMAT_TEXT, "source of the outer header" },
	{ "flow.dest", "flow dest", FORMAT_NUMBER,
	  "destination that the flow table says instead; flow is null if it has no entry" },
	{ "flow.real", "flow real", FORMAT_TEXT, "its real" },
	END
};

static const struct view_line where_lines[] = {
	{ NULL, "flow", "{protocol} {source} to {destination}" },
	{ "!vip", "vip", "none: the packet goes to the stack" },
	{ "vip", "vip", "{vip}" },
	{ "vip", "slot", "{slot}" },
	{ "real", "real", "{real}" },
	{ "outer_source", "outer source", "{outer_source}" },
	{ "flow", "flow table",
	  "{flow.real} (destination {flow.dest}): this counts for a flow under way" },
	LINES_END
};

const struct view view_where = { .keys = where_keys, .lines = where_lines };

static const struct column version_keys[] = {
	{ "version", "version", FORMAT_TEXT, "version of this command" },
	END
};

static const struct view_line version_lines[] = { { NULL, NULL, "waymark {version}" }, LINES_END };

const struct view view_version = { .keys = version_keys, .lines = version_lines };

static const struct column decap_keys[] = {
	{ "device", "device", FORMAT_TEXT, "the device" },
	{ "mode", "mode", FORMAT_TEXT, "where the program is: xdp or tc; null after detach" },
	END
};

static const struct view_line decap_lines[] = {
	{ "mode", NULL, "{device}: decapsulating in {mode}" },
	{ "!mode", NULL, "{device}: not decapsulating any more" },
	LINES_END
};

const struct view view_decap = { .keys = decap_keys, .lines = decap_lines };

static const struct column decap_stats_keys[] = {
	{ "device", NULL, FORMAT_TEXT, "the device" },
	{ "mode", NULL, FORMAT_TEXT, "where the program is: xdp or tc" },
	WM_DECAP_COUNTERS(COUNTER_KEY)
	END
};

static const struct column decap_stats_columns[] = {
	{ "counter", "COUNTER", FORMAT_TEXT, "name of the counter" },
	{ "value", "VALUE", FORMAT_COUNT, "its value" },
	{ "text", "MEANING", FORMAT_TEXT, "what it counts" },
	END
};

const struct view view_decap_stats = {
	.keys = decap_stats_keys, .columns = decap_stats_columns, .made = true,
	.empty = "all counters are 0",
};

static const struct column softnic_keys[] = {
	{ "device", "device", FORMAT_TEXT, "the device" },
	{ "role", "role", FORMAT_TEXT, "port, wire, or null after detach" },
	END
};

static const struct view_line softnic_lines[] = {
	{ "role", NULL, "{device}: {role} of the software NIC" },
	{ "!role", NULL, "{device}: no port of the software NIC any more" },
	LINES_END
};

const struct view view_softnic = { .keys = softnic_keys, .lines = softnic_lines };

#define QUEUE_COLUMNS \
	{ "device", "DEVICE", FORMAT_TEXT, "the device" }, \
	{ "type", "TYPE", FORMAT_TEXT, "rx or tx" }, \
	{ "queue", "QUEUE", FORMAT_NUMBER, "number of the queue" }, \
	{ "state", "STATE", FORMAT_TEXT, "running or stopped; null: this kernel does not tell" }, \
	{ "xdp_prog_id", "PROGRAM", FORMAT_NUMBER, \
	  "number of the queue's own XDP program; null: the device's, if it has one" }, \
	{ "memory", "MEMORY", FORMAT_TEXT, \
	  "whose memory its packets go to: af_xdp, dmabuf or io_uring; null: the driver's, or " \
	  "the kernel does not tell" }, \
	{ "napi_id", "NAPI", FORMAT_NUMBER, "number of the NAPI instance that polls it" }

static const struct column queue_columns[] = { QUEUE_COLUMNS, END };

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

static const struct column size_keys[] = {
	{ "traffic", NULL, FORMAT_TEXT, "what was played, in words" },
	{ "flows", NULL, FORMAT_COUNT, "flows at a time (model), or in all (capture)" },
	{ "not_balanced", NULL, FORMAT_COUNT,
	  "packets of the capture that the balancer leaves to the stack; null for a model" },
	{ "ns_hit", NULL, FORMAT_NUMBER, "nanoseconds of a packet in software" },
	{ "ns_marked", NULL, FORMAT_NUMBER, "nanoseconds of a marked packet" },
	END
};

static const struct column size_columns[] = {
	{ "rules", "RULES", FORMAT_COUNT, "rules that the NIC holds" },
	{ "marked", "MARKED", FORMAT_SHARE, "part of the packets that went by their mark, 0 to 1" },
	{ "rules_mean", "USED", FORMAT_COUNT, "rules in the NIC, mean over time" },
	{ "rules_max", "MOST", FORMAT_COUNT, "rules in the NIC, the most at any time" },
	{ "installs", "INSTALLS/S", FORMAT_COUNT, "rules installed a second" },
	{ "evicted", "EVICTED/S", FORMAT_COUNT,
	  "rules that made room for others, a second: without packets, or light" },
	{ "idle", NULL, FORMAT_COUNT, "rules that ended because their flow was idle, a second" },
	{ "closed", NULL, FORMAT_COUNT, "rules that ended with their connection, a second" },
	{ "full", NULL, FORMAT_COUNT, "candidates that found every rule in use, a second" },
	{ "held", "HELD/S", FORMAT_COUNT, "all candidates that were not taken, a second" },
	{ "events", NULL, FORMAT_COUNT, "events from the data plane, a second" },
	{ "events_held", NULL, FORMAT_COUNT, "events over the budget, a second" },
	{ "missed", NULL, FORMAT_SHARE,
	  "part of the packets in software whose flow was not in the flow table, 0 to 1" },
	{ "cores_software", "CORES", FORMAT_RATE, "CPU cores that software alone would need" },
	{ "cores_saved", "SAVED", FORMAT_RATE, "cores of these that the marks save" },
	{ "pps", NULL, FORMAT_COUNT, "packets a second" },
	{ "seconds", NULL, FORMAT_DURATION, "time that was measured" },
	{ "scale", NULL, FORMAT_COUNT, "one flow was played for so many" },
	{ "played", NULL, FORMAT_COUNT, "packets that were played one by one" },
	END
};

const struct view view_size = { .keys = size_keys, .list = "sizes", .columns = size_columns };

static const struct column xsk_dump_columns[] = {
	{ "socket", "SOCKET", FORMAT_NUMBER,
	  "the socket that it came to: the receive queue, but with one socket for all" },
	{ "bytes", "BYTES", FORMAT_COUNT, "length of the frame" },
	{ "parts", "PARTS", FORMAT_NUMBER, "pieces that it lies in" },
	{ "mark", "MARK", FORMAT_MARK, "the mark in front of it, or null" },
	{ "hash", "HASH", FORMAT_MARK,
	  "the same number for all packets of a flow; null where the packet has no ports" },
	{ "protocol", "PROTOCOL", FORMAT_TEXT, "tcp, udp, or null: neither, or a fragment" },
	{ "source", "SOURCE", FORMAT_TEXT, "address and port that it came from" },
	{ "destination", "DESTINATION", FORMAT_TEXT, "address and port that it is for" },
	END
};

const struct view view_xsk_dump = {
	.keys = xsk_dump_columns, .columns = xsk_dump_columns, .made = true,
};

static const struct column xsk_keys[] = {
	{ "device", NULL, FORMAT_TEXT, "the device" },
	{ "mode", NULL, FORMAT_TEXT, "how the program was attached: native or generic" },
	{ "one_socket", NULL, FORMAT_TEXT, "one socket served all queues (XDP_ANY_QUEUE)" },
	{ "seconds", NULL, FORMAT_DURATION, "how long it ran" },
	{ "program.taken", NULL, FORMAT_COUNT, "packets that the program handed to a socket" },
	{ "program.no_socket", NULL, FORMAT_COUNT,
	  "packets left to the stack: no socket on their queue" },
	{ "program.passed", NULL, FORMAT_COUNT, "packets left to the stack: not asked for" },
	END
};

static const struct column xsk_columns[] = {
	{ "socket", "SOCKET", FORMAT_NUMBER,
	  "number of the socket: of its receive queue, but with one socket for all" },
	{ "zero_copy", NULL, FORMAT_TEXT, "whether packets came without a copy" },
	{ "packets", "PACKETS", FORMAT_COUNT, "packets received" },
	{ "bytes", "BYTES", FORMAT_BYTES, "their bytes" },
	{ "parts", NULL, FORMAT_COUNT, "pieces that they lay in" },
	{ "marked", "MARKED", FORMAT_COUNT, "packets that carried a mark" },
	{ "sent", "SENT", FORMAT_COUNT, "packets sent back" },
	{ "tx_full", NULL, FORMAT_COUNT, "packets not sent back: the TX ring was full" },
	{ "wakeups_rx", NULL, FORMAT_COUNT, "system calls that woke the receiving side up" },
	{ "wakeups_tx", NULL, FORMAT_COUNT, "system calls that woke the sending side up" },
	{ "given_up", NULL, FORMAT_COUNT, "times that a ring did not empty within bounds" },
	{ "stall_kicks", "STALLS", FORMAT_COUNT, "stalls that only the watchdog ended" },
	{ "rx_dropped", "DROPPED", FORMAT_COUNT, "packets dropped by the kernel: too long, say" },
	{ "rx_ring_full", "FULL", FORMAT_COUNT, "packets dropped: the RX ring was full" },
	{ "rx_fill_empty", "UNFILLED", FORMAT_COUNT, "times that the fill ring was empty" },
	{ "rx_invalid", NULL, FORMAT_COUNT, "fill ring entries that were out of the memory" },
	{ "tx_invalid", NULL, FORMAT_COUNT, "TX ring entries that were out of the memory" },
	{ "tx_ring_empty", NULL, FORMAT_COUNT, "times that the TX ring was empty" },
	END
};

static const struct column xsk_stats_keys[] = {
	{ "name", NULL, FORMAT_TEXT, "what reals call the local consumer" },
	{ "path", NULL, FORMAT_TEXT, "where it gets its sockets" },
	{ "device", NULL, FORMAT_TEXT, "the devices that they are for" },
	{ "connected", NULL, FORMAT_TEXT, "whether there is a consumer" },
	{ "pid", NULL, FORMAT_NUMBER, "its process number, 0 without one" },
	{ "uid", NULL, FORMAT_NUMBER, "its user number" },
	{ "one_socket", NULL, FORMAT_TEXT,
	  "one socket serves all queues of a device (XDP_ANY_QUEUE)" },
	END
};

static const struct column xsk_stats_columns[] = {
	{ "socket", "SOCKET", FORMAT_NUMBER,
	  "number of the socket, by device and receive queue, or by device alone" },
	{ "device", "DEVICE", FORMAT_TEXT, "whose packets it gets" },
	{ "zero_copy", NULL, FORMAT_TEXT, "whether they come without a copy" },
	{ "rx_dropped", "DROPPED", FORMAT_COUNT, "packets dropped by the kernel: too long, say" },
	{ "rx_ring_full", "FULL", FORMAT_COUNT, "packets dropped: the consumer was too slow" },
	{ "rx_fill_empty", "UNFILLED", FORMAT_COUNT, "times that the fill ring was empty" },
	{ "rx_invalid", NULL, FORMAT_COUNT, "fill ring entries that were out of the memory" },
	{ "tx_invalid", NULL, FORMAT_COUNT, "TX ring entries that were out of the memory" },
	{ "tx_ring_empty", NULL, FORMAT_COUNT, "times that the TX ring was empty" },
	END
};

const struct view view_xsk_stats = {
	.keys = xsk_stats_keys, .list = "sockets", .columns = xsk_stats_columns,
	.empty = "no consumer is connected",
};

const struct view view_xsk = { .keys = xsk_keys, .list = "sockets", .columns = xsk_columns };

static const struct column help_keys[] = {
	{ "commands", NULL, FORMAT_TEXT,
	  "name, help, arguments, options, requests and keys of each" },
	{ "options", NULL, FORMAT_TEXT, "the options that every command takes" },
	{ "exit_codes", NULL, FORMAT_TEXT, "code and text of each" },
	END
};

const struct view view_help = { .keys = help_keys };
