/* SPDX-License-Identifier: GPL-2.0 */
/*
 * `waymark size` in the table of commands of waymark, which starts waymark-size, and in that
 * of waymark-size, which does it: the same options, checked by both, and one text of help.
 */
#ifndef WM_SIZE_COMMAND_H
#define WM_SIZE_COMMAND_H

#include "measured.h"
#include "views.h"

#define SIZE_TEXT_OF(number) SIZE_TEXT(number)
#define SIZE_TEXT(number) #number

#define SIZE_COMMAND(name_, run_) { \
	.name = name_, \
	.options = { \
		{ .name = "pcap", .value = "FILE", .kind = KIND_FILE, \
		  .help = "play this capture (of Ethernet frames) instead of a model" }, \
		{ .name = "filter", .value = "EXPR", .kind = KIND_TEXT, \
		  .help = "only packets of the capture that match, as in tcpdump: \"dst " \
			  "host 10.200.1.1\"" }, \
		{ .name = "flows", .value = "N", .kind = KIND_AMOUNT, \
		  .help = "model: flows at any time, up to 100M" }, \
		{ .name = "pps", .value = "P", .kind = KIND_AMOUNT, \
		  .help = "model: packets per second of all flows, up to 100M" }, \
		{ .name = "zipf", .value = "A", .kind = KIND_DECIMAL, \
		  .help = "model: the flow of rank r sends as r^-A; 0 to 3 (default 1)" }, \
		{ .name = "lifetime", .value = "T", .kind = KIND_DURATION, \
		  .help = "model: mean life of a flow, 100ms on; others take their place " \
			  "(default: flows do not end)" }, \
		{ .name = "protocol", .value = "PROTO", .kind = KIND_PROTOCOL, \
		  .help = "model: tcp (default) or udp" }, \
		{ .name = "seconds", .value = "S", .kind = KIND_SECONDS, \
		  .help = "model: time to measure, after warming up; 1 to 3600 (default " \
			  "30)" }, \
		{ .name = "seed", .value = "N", .kind = KIND_COUNT, \
		  .help = "model: another number draws other packets (default 1)" }, \
		{ .name = "rules", .value = "LIST", .kind = KIND_AMOUNTS, \
		  .help = "sizes of the NIC's table (default 1k,4k,16k,64k)" }, \
		{ .name = "installs-per-second", .value = "N", .kind = KIND_AMOUNT, \
		  .help = "rules that the NIC takes per second (default 5k)" }, \
		{ .name = "install-delay", .value = "T", .kind = KIND_DURATION, \
		  .help = "time until a rule takes effect, up to 4s (default 0s)" }, \
		{ .name = "promote-after", .value = "N", .kind = KIND_COUNT, \
		  .help = "packets until a flow may have a rule (default 8)" }, \
		{ .name = "idle", .value = "T", .kind = KIND_DURATION, \
		  .help = "a rule without packets for so long is removed (default 15s)" }, \
		{ .name = "udp-idle", .value = "T", .kind = KIND_DURATION, \
		  .help = "a UDP flow without packets for so long leaves the flow table " \
			  "(default 30s)" }, \
		{ .name = "flow-table", .value = "N", .kind = KIND_AMOUNT, \
		  .help = "flows that the flow table holds (default 1M)" }, \
		{ .name = "cpus", .value = "N", .kind = KIND_COUNT, \
		  .help = "CPUs that packets come to: each has a budget of events " \
			  "(default: as many as software alone would need)" }, \
		{ .name = "ns-hit", .value = "X", .kind = KIND_DECIMAL, \
		  .help = "nanoseconds per packet in software (default " \
			  SIZE_TEXT_OF(WM_MEASURED_NS_HIT) ")" }, \
		{ .name = "ns-marked", .value = "Y", .kind = KIND_DECIMAL, \
		  .help = "nanoseconds per marked packet (default " \
			  SIZE_TEXT_OF(WM_MEASURED_NS_MARKED) ")" }, \
		{ .name = "plot", .value = "FILE", .kind = KIND_FILE, \
		  .help = "draw it too: a name that ends in .svg or .png" }, \
	}, \
	.help = "what a NIC with a table of rules would bring for given traffic", \
	.text = "Plays a capture, or traffic by a model, against NICs with tables of " \
		"several sizes, through the code that decides which flows get rules. Shows " \
		"which part of the packets would be marked, and how many CPU cores this " \
		"would save. Needs no daemon, no NIC and no root.\n\nThe method, its error " \
		"and three examples are in Documentation/sizing.md.", \
	.example = "waymark size --flows 100k --zipf 1.1 --pps 200k --rules 1k,4k,16k", \
	.view = &view_size, \
	.run = run_, \
}

#endif
