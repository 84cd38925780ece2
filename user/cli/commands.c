// SPDX-License-Identifier: GPL-2.0
/* The commands. See command.h for what is made of this table. */
#include "command.h"

#include "device.h"
#include "fetch.h"
#include "help.h"
#include "queues.h"
#include "size.h"
#include "size_command.h"
#include "trynic.h"
#include "views.h"
#include "xsk.h"

const char cli_name[] = "waymark";
const char cli_summary[] = "ask and steer the waymark load balancer";

#define FLOW_ARGUMENTS(optional) \
	{ \
		{ "PROTO", KIND_PROTOCOL, optional }, \
		{ "SRC:PORT", KIND_ENDPOINT, optional }, \
		{ "DST:PORT", KIND_ENDPOINT, optional }, \
	}

/* The table that the request's row makes, and what is said instead of one without rows. */
#define TABLE(request_, empty_) (&(const struct view){ .request = request_, .empty = empty_ })

#define CONFIG_OPTION \
	{ .name = "config", .letter = 'c', .value = "FILE", .kind = KIND_FILE, \
	  .help = "answer from this configuration alone: no daemon, no root" }

/* What people say of a real. */
#define BY_HAND(name_, view_, help_, text_) \
	{ \
		.name = name_, \
		.arguments = { { "REAL", KIND_TEXT, false } }, \
		.options = { \
			{ .name = "vip", .value = "VIP", .kind = KIND_VIP }, \
			{ .name = "force", .letter = 'f' }, \
		}, \
		.help = help_, \
		.text = text_, \
		.example = "waymark " name_ " 10.200.2.11", \
		.view = view_, \
		.run = fetch__run, \
	}

#define XSK_OPTIONS \
	{ .name = "port", .letter = 'p', .value = "N", .kind = KIND_COUNT, \
	  .help = "packets for this TCP or UDP port" }, \
	{ .name = "protocol", .value = "PROTO", .kind = KIND_PROTOCOL, \
	  .help = "only tcp or only udp" }, \
	{ .name = "all", .letter = 'a', \
	  .help = "every packet of the device, whatever it is: nothing else gets any" }, \
	{ .name = "count", .letter = 'n', .value = "N", .kind = KIND_COUNT, \
	  .help = "end after so many packets, or up to 64 more" }, \
	{ .name = "seconds", .value = "S", .kind = KIND_SECONDS, \
	  .help = "end after so long (default: run until Ctrl-C)" }, \
	{ .name = "ring", .value = "N", .kind = KIND_COUNT, \
	  .help = "entries of a socket's RX ring, 64 to 32768 (default 2048); takes memory for " \
		  "twice as many frames of 2 KiB" }, \
	{ .name = "mode", .value = "MODE", .kind = KIND_CHOICE, .choices = "auto native generic", \
	  .help = "how the program is attached: auto (default) is native where the driver " \
		  "supports it" }, \
	{ .name = "bind", .value = "HOW", .kind = KIND_CHOICE, .choices = "auto copy zerocopy", \
	  .help = "whether packets are copied: auto (default) is zerocopy where the driver " \
		  "supports it, unless one socket serves all queues" }, \
	{ .name = "sockets", .value = "HOW", .kind = KIND_CHOICE, .choices = "auto queue one", \
	  .help = "one socket per queue, or one for all queues; auto (default) is one where the " \
		  "kernel supports it" }

const struct command commands[] = {
	{
		.name = "status",
		.help = "how the balancer is doing (the default)",
		.text = "Shows the daemon, where its program runs, how much is configured, how "
			"many packets went to reals, and which part of them by a mark.\n\n"
			"It asks the kernel whether the program is still attached. Where it is "
			"not, or an interface is missing, a line says so and the exit code is 5.",
		.example = "waymark status",
		.view = &view_status,
		.run = fetch__status,
	},
	{
		.name = "vip",
		.help = "the virtual services with their traffic",
		.text = "One line per vip: address, port, protocol, number of reals, and what has "
			"been counted since its destinations exist.",
		.example = "waymark vip --columns name,packets,marked",
		.view = TABLE("vip", "no vips"),
		.run = fetch__run,
	},
	{
		.name = "real",
		.arguments = { { "VIP", KIND_VIP, true } },
		.help = "the reals of one vip or of all, with their share of the ring",
		.text = "One line for each real of a vip: weight, slots of the ring, counters, and "
			"its health.\n\n"
			"By `waymark real disable`, `drain` and `enable` people say who serves.",
		.example = "waymark real web",
		.view = TABLE("real", "no reals"),
		.run = fetch__run,
	},
	BY_HAND("real disable", &view_disable,
		"take a real out of service, whatever its check says",
		"REAL is an address, or the name of a local consumer. It gets no new flows, as one "
		"that is down by its check: flows under way stay with it while it answers, and "
		"what a client asks anew goes elsewhere. Its slots of the ring go to the others, "
		"few of theirs move, and it gets the same ones back.\n\n"
		"This holds until it is enabled, also when the daemon or the machine is started "
		"again; when a reload takes the real out of the file it is forgotten. Its checks "
		"go on. `waymark real` and `waymark status` show it.\n\n"
		"Where nobody else of a vip takes new flows, because the others are drained, "
		"disabled, out of reach or of weight 0, or are down and fail is closed, the "
		"command is refused without --force. Where the others are down and fail is open "
		"these are served all the same; the answer says so."),
	BY_HAND("real drain", &view_drain, "give a real no new flows; those that it has stay",
		"For maintenance: wait until the column LIVE of `waymark real` is 0, then stop the "
		"server. All else is as with real disable."),
	BY_HAND("real enable", &view_enable, "take back real disable or real drain",
		"The real is served as its weight, its next hop and its check say."),
	{
		.name = "dest",
		.help = "the destinations: ids, marks and generations",
		.text = "A destination is a vip and one of its reals; its id and generation "
			"make up the mark. A destination that left the configuration is retiring "
			"until no rule and no flow names it any more.",
		.example = "waymark dest",
		.view = TABLE("dest", "no destinations"),
		.run = fetch__run,
	},
	{
		.name = "flow",
		.arguments = FLOW_ARGUMENTS(true),
		.all_or_none = true,
		.options = {
			{ .name = "max", .letter = 'm', .value = "N", .kind = KIND_COUNT },
		},
		.help = "the flows that have a rule, or all that is known of one flow",
		.text = "Without arguments it lists the flows for which the daemon has a rule. "
			"With a flow it shows the flow's entry in the flow table and its rule.",
		.example = "waymark flow tcp 10.200.0.2:40000 10.200.1.1:80",
		.view = &view_flow,
		.view_bare = TABLE("flows", "no flow has a rule"),
		.run = fetch__flow,
	},
	{
		.name = "mark",
		.arguments = { { "MARK", KIND_MARK, false } },
		.help = "what a mark means",
		.text = "Takes a mark apart (decimal, or hexadecimal with 0x) and says what the "
			"data plane would do with it.",
		.example = "waymark mark 0x1003",
		.view = &view_mark,
		.run = fetch__run,
	},
	{
		.name = "stats",
		.options = {
			{ .name = "all", .letter = 'a', .help = "show counters that are 0 too" },
			{ .name = "watch", .letter = 'w', .value = "SECONDS", .kind = KIND_SECONDS,
			  .help = "repeat every so many seconds, with rates, until interrupted" },
			{ .name = "count", .letter = 'n', .value = "N", .kind = KIND_COUNT,
			  .help = "with --watch: stop after so many tables" },
		},
		.help = "the counters and what they count",
		.text = "The counters tx_, pass_ and drop_ add up to all packets that the "
			"program saw; each of the others says more about some of them.\n\nWith "
			"--watch and --json each answer is one line.",
		.example = "waymark stats --watch 1",
		.view = &view_stats,
		.run = fetch__stats,
	},
	{
		.name = "reload",
		.options = { { .name = "force", .letter = 'f' } },
		.help = "read the configuration again",
		.text = "The daemon reads its configuration file and changes what differs; "
			"flows that the change does not concern go on undisturbed. A file with "
			"an error changes nothing, nor does one that removes more than the key "
			"max-removal allows (it may be a part of a file), or one with a new vip "
			"that takes every port of an address of the machine itself (that cuts off "
			"its ssh).",
		.example = "waymarkd -n -c /etc/waymark/waymark.yaml && waymark reload",
		.view = &view_reload,
		.run = fetch__run,
	},
	{
		.name = "ring",
		.arguments = { { "VIP", KIND_VIP, false } },
		.options = { CONFIG_OPTION },
		.help = "the ring of a vip: slot and real",
		.text = "One line for each of the 65537 slots. A new flow's hash names the slot.",
		.example = "waymark ring web -c waymark.yaml --raw --no-headings | cut -d' ' "
			"-f2 | sort | uniq -c",
		.view = &view_ring,
		.run = fetch__ring,
	},
	{
		.name = "where",
		.arguments = FLOW_ARGUMENTS(false),
		.options = { CONFIG_OPTION },
		.help = "where a packet goes: vip, slot, real, outer source",
		.text = "Answers what the ring says of a flow's first packet and, when asked "
			"from the daemon, what the flow table says instead.",
		.example = "waymark where tcp 10.200.0.2:40000 10.200.1.1:80 -c waymark.yaml",
		.view = &view_where,
		.run = fetch__run,
	},
	{
		.name = "decap attach",
		.arguments = { { "DEV", KIND_DEVICE, false } },
		.options = {
			{ .name = "mode", .value = "MODE", .kind = KIND_CHOICE,
			  .choices = "auto xdp tc",
			  .help = "where the program is attached: xdp, tc, or auto (default), "
				  "which is xdp if the driver supports it" },
			{ .name = "source4", .value = "ADDR", .kind = KIND_ADDRESS,
			  .help = "outer IPv4 sources to accept: those with the same upper 16 "
				  "bits (default "
				  "172.16.0.0)" },
			{ .name = "source6", .value = "ADDR", .kind = KIND_ADDRESS,
			  .help = "outer IPv6 sources to accept: those with the same upper 96 "
				  "bits (default "
				  "100::)" },
		},
		.help = "on a real: take the balancer's header off incoming packets",
		.text = "Run this on a real, as root. It replaces a tunnel interface; the "
			"vip's address must be on the real, for example on lo.",
		.example = "waymark decap attach eth0",
		.view = &view_decap,
		.run = device__decap_attach,
	},
	{
		.name = "decap detach",
		.arguments = { { "DEV", KIND_DEVICE, false } },
		.help = "on a real: leave the balancer's header on packets again",
		.text = "Takes the program off the device, from wherever attach put it.",
		.example = "waymark decap detach eth0",
		.view = &view_decap,
		.run = device__decap_detach,
	},
	{
		.name = "decap stats",
		.arguments = { { "DEV", KIND_DEVICE, false } },
		.options = {
			{ .name = "all", .letter = 'a', .help = "show counters that are 0 too" },
		},
		.help = "on a real: what the decapsulation counted",
		.text = "The counters since the program was attached; they add up to all packets "
			"that it saw.",
		.example = "waymark decap stats eth0",
		.view = &view_decap_stats,
		.run = device__decap_stats,
	},
	{
		.name = "softnic attach",
		.arguments = { { "PORT", KIND_DEVICE, false } },
		.options = {
			{ .name = "to", .value = "DEV", .kind = KIND_DEVICE, .required = true,
			  .help = "device through which the balancer is reached" },
			{ .name = "mac", .value = "MAC", .kind = KIND_MAC, .required = true,
			  .help = "the balancer's address: frames for it pass through the NIC" },
			{ .name = "pin", .value = "DIR", .kind = KIND_DIRECTORY, .required = true,
			  .help = "directory on a bpffs that is the NIC (offload: sim: pin: "
				  "of the configuration)" },
			{ .name = "capacity", .value = "N", .kind = KIND_COUNT,
			  .help = "rules that the softnic can hold" },
			{ .name = "mark-bits", .value = "N", .kind = KIND_COUNT,
			  .help = "width of its marks, 1 to 32" },
		},
		.help = "make a device a port of a softnic (a NIC in software)",
		.text = "The softnic stands where the wire is: it holds the rules that the "
			"backend sim installs and puts the mark of one that matches in front of "
			"the packet, or into its source address. It is meant for demonstrations "
			"and tests, and needs root.",
		.example = "waymark softnic attach wire0 --to lb0 --mac 02:00:00:00:00:01 --pin "
			"/sys/fs/bpf/nic",
		.view = &view_softnic,
		.run = device__softnic_attach,
	},
	{
		.name = "softnic detach",
		.arguments = { { "PORT", KIND_DEVICE, false } },
		.options = {
			{ .name = "pin", .value = "DIR", .kind = KIND_DIRECTORY, .required = true,
			  .help = "directory that is the NIC" },
		},
		.help = "take a port off a softnic",
		.text = "With its last port the softnic and its rules are removed.",
		.example = "waymark softnic detach wire0 --pin /sys/fs/bpf/nic",
		.view = &view_softnic,
		.run = device__softnic_detach,
	},
	{
		.name = "softnic wire",
		.arguments = { { "DEV", KIND_DEVICE, false } },
		.help = "let a veth device receive what its peer sends from XDP",
		.text = "Attaches a program that passes everything, unless the device already has "
			"a program. Without any program a veth device may keep frames that its "
			"peer transmits from XDP.",
		.example = "waymark softnic wire client0",
		.view = &view_softnic,
		.run = device__softnic_wire,
	},
	{
		.name = "xsk dump",
		.arguments = { { "DEV", KIND_DEVICE, false } },
		.options = { XSK_OPTIONS },
		.help = "take packets of a device through AF_XDP and show them",
		.text = "Attaches a program to the device that hands packets to sockets on every "
			"receive queue. These packets reach nobody else. Needs root. With --json "
			"each packet is one line.",
		.example = "waymark xsk dump eth0 --port 53 --count 10",
		.view = &view_xsk_dump,
		.run = xsk__dump,
	},
	{
		.name = "xsk count",
		.arguments = { { "DEV", KIND_DEVICE, false } },
		.options = { XSK_OPTIONS },
		.help = "take packets of a device through AF_XDP and count them by queue",
		.text = "Like xsk dump, but shows at the end what each socket received, and what "
			"the kernel dropped and why.",
		.example = "waymark xsk count eth0 --port 53 --seconds 10",
		.view = &view_xsk,
		.run = xsk__count,
	},
	{
		.name = "xsk echo",
		.arguments = { { "DEV", KIND_DEVICE, false } },
		.options = { XSK_OPTIONS },
		.help = "send UDP packets of a device back where they came from",
		.text = "Like xsk count; UDP packets are sent back with addresses and ports "
			"exchanged.",
		.example = "waymark xsk echo eth0 --protocol udp --port 7",
		.view = &view_xsk,
		.run = xsk__echo,
	},
	{
		.name = "xsk stats",
		.arguments = { { "NAME", KIND_TEXT, true } },
		.help = "the sockets of one of the balancer's local consumers",
		.text = "Asks the daemon what the kernel counted at the sockets that the daemon "
			"gave to a local consumer. The name may be left out if there is only one.",
		.example = "waymark xsk stats dns",
		.view = TABLE("xsk", "no consumer is connected"),
		.run = fetch__run,
	},
	{
		.name = "queue list",
		.arguments = { { "DEV", KIND_DEVICE, true } },
		.help = "the queues of a device, or of all, as the kernel has them",
		.text = "Asks the kernel of this machine; needs no daemon and no root. A kernel "
			"tells state and programs only if it can change them: see queue stop.",
		.example = "waymark queue list eth0",
		.view = &view_queue,
		.run = queue__list,
	},
	{
		.name = "queue stop",
		.arguments = {
			{ "DEV", KIND_DEVICE, false },
			{ "QUEUES", KIND_QUEUES, false },
		},
		.help = "stop receive queues of a device, one by one; the others go on",
		.text = "A stopped queue's memory is given back, and packets that the NIC still "
			"steers to it are dropped and counted by the device. QUEUES are numbers: "
			"2, 0-3, or 0-3,6. Needs root, a kernel that has the command (waymark's "
			"kernel-patches/ add it) and a driver that supports it; where one is "
			"missing, a message says so and the exit code is 4. The command ends at "
			"the first queue that is refused; those before it stay changed.",
		.example = "waymark queue stop eth0 2",
		.view = &view_queue,
		.run = queue__stop,
	},
	{
		.name = "queue start",
		.arguments = {
			{ "DEV", KIND_DEVICE, false },
			{ "QUEUES", KIND_QUEUES, false },
		},
		.help = "start receive queues that were stopped",
		.text = "Like queue stop. The kernel refuses to start a queue that runs.",
		.example = "waymark queue start eth0 2",
		.view = &view_queue,
		.run = queue__start,
	},
	{
		.name = "queue restart",
		.arguments = {
			{ "DEV", KIND_DEVICE, false },
			{ "QUEUES", KIND_QUEUES, false },
		},
		.help = "stop and start receive queues without a reset of the device",
		.text = "Like queue stop. The queue gets new memory and rings; packets that arrive "
			"in between are lost. Other queues are not affected.",
		.example = "waymark queue restart eth0 2",
		.view = &view_queue,
		.run = queue__restart,
	},
	{
		.name = "queue monitor",
		.arguments = { { "DEV", KIND_DEVICE, true } },
		.options = {
			{ .name = "count", .letter = 'n', .value = "N", .kind = KIND_COUNT,
			  .help = "stop after so many changes" },
		},
		.help = "say when a queue is stopped, started or gets a program",
		.text = "Runs until it is interrupted. With --json each change is one line. Exit "
			"code 4 means that this kernel does not tell of changes.",
		.example = "waymark queue monitor eth0 --json",
		.view = &view_queue_change,
		.run = queue__monitor,
	},
	{
		.name = "nic",
		.arguments = { { "DEV", KIND_DEVICE, false } },
		.options = {
			{ .name = "count", .letter = 'n', .value = "N", .kind = KIND_COUNT,
			  .help = "of each kind that is taken put in up to so many rules, and tell "
				  "the rate (default 100, up to 100000)" },
			{ .name = "enable",
			  .help = "where hw-tc-offload or rx-ntuple-filter is off, have it on as "
				  "long as the command runs" },
		},
		.help = "try which rules a device's NIC and driver take",
		.text = "Puts rules into the NIC one by one, looks whether they are there, and "
			"takes them out: TC flower rules that set a mark, that rewrite the source "
			"address, that do both; with several preferences, for TCP but SYN, FIN "
			"and RST, IPv4 and IPv6, and in a VLAN; n-tuple rules; then as many as "
			"--count says. A line for each says what came of it, with the driver's "
			"own words where it refuses. What would follow for waymark stands in "
			"front.\n\n"
			"The rules are for addresses that nobody has (RFC 5737, RFC 3849), so no "
			"packet meets one, and rules of others are not touched. All are removed "
			"before it ends, also when it is interrupted; what a killed one left the "
			"next one removes. It refuses while waymarkd serves the device. Needs "
			"root.\n\n"
			"Exit code 0: with some of these rules waymark's flows can go by mark "
			"here; 4: with none of them, or kernel or driver cannot be asked; 1: it "
			"failed or was interrupted, or something could not be undone, which is "
			"said.",
		.example = "waymark nic eth0 --json > eth0.json",
		.view = &view_nic,
		.run = trynic__run,
	},
	SIZE_COMMAND("size", size__run),
	{
		.name = "help",
		.arguments = {
			{ "COMMAND", KIND_COMMAND, true },
			{ "SUBCOMMAND", KIND_TEXT, true },
		},
		.options = {
			{ .name = "completion", .help = "print the completion script for bash" },
			{ .name = "man", .help = "print the manual page (mdoc)" },
			{ .name = "protocol",
			  .help = "print the manual page of the daemon's control protocol" },
		},
		.help = "this text, or a command's own",
		.text = "With --json: all commands, their arguments, options and JSON keys.",
		.example = "waymark help flow",
		.view = &view_help,
		.run = help__run,
	},
	{
		.name = "version",
		.help = "the version of this command",
		.text = "The version of a running daemon is in status.",
		.example = "waymark version",
		.view = &view_version,
		.run = help__version,
	},
	{ .name = NULL },
};
