// SPDX-License-Identifier: GPL-2.0
/* The commands. See command.h for what is made of this table. */
#include "command.h"

#include "device.h"
#include "fetch.h"
#include "help.h"
#include "measured.h"
#include "queues.h"
#include "size.h"
#include "views.h"
#include "xsk.h"

const char cli_name[] = "waymark";
const char cli_summary[] = "ask and steer the waymark load balancer";

#define TEXT_OF(number) TEXT(number)
#define TEXT(number) #number

#define FLOW_ARGUMENTS(optional) \
	{ \
		{ "PROTO", KIND_PROTOCOL, optional, "protocol" }, \
		{ "SRC:PORT", KIND_ENDPOINT, optional, "source" }, \
		{ "DST:PORT", KIND_ENDPOINT, optional, "destination" }, \
	}

#define CONFIG_OPTION \
	{ .name = "config", .letter = 'c', .value = "FILE", .kind = KIND_FILE, \
	  .help = "answer from this configuration alone: no daemon, no root" }

#define XSK_OPTIONS \
	{ .name = "port", .letter = 'p', .value = "N", .kind = KIND_COUNT, \
	  .help = "packets for this TCP or UDP port" }, \
	{ .name = "protocol", .value = "PROTO", .kind = KIND_PROTOCOL, \
	  .help = "only tcp or only udp" }, \
	{ .name = "all", .letter = 'a', \
	  .help = "every packet of the device, whatever it is: nothing else gets any" }, \
	{ .name = "count", .letter = 'n', .value = "N", .kind = KIND_COUNT, \
	  .help = "end after so many packets, or a burst of 64 more" }, \
	{ .name = "seconds", .value = "S", .kind = KIND_SECONDS, \
	  .help = "end after so long (default: with Ctrl-C)" }, \
	{ .name = "ring", .value = "N", .kind = KIND_COUNT, \
	  .help = "entries of a socket's RX ring, 64 to 32768 (default 2048); memory for twice " \
		  "as many frames of 2 KiB" }, \
	{ .name = "mode", .value = "MODE", .kind = KIND_CHOICE, .choices = "auto native generic", \
	  .help = "how the program is attached: auto (default) is native where the driver can" }, \
	{ .name = "bind", .value = "HOW", .kind = KIND_CHOICE, .choices = "auto copy zerocopy", \
	  .help = "whether packets are copied: auto (default) is zerocopy where the driver can, " \
		  "unless one socket is for all queues" }, \
	{ .name = "sockets", .value = "HOW", .kind = KIND_CHOICE, .choices = "auto queue one", \
	  .help = "a socket for every queue, or one for all where the kernel can (auto)" }

const struct option_desc global_options[] = {
	{ .name = "json", .letter = 'j', .help = "print the answer as JSON; keys are stable" },
	{ .name = "raw", .letter = 'r',
	  .help = "for scripts: plain numbers, no alignment; \"key value\" lines; JSON on one "
		  "line" },
	{ .name = "no-headings", .help = "leave out the headings of tables" },
	{ .name = "columns", .letter = 'o', .value = "KEYS", .kind = KIND_COLUMNS,
	  .help = "show these columns, by JSON key, separated by commas" },
	{ .name = "socket", .letter = 's', .value = "PATH", .kind = KIND_FILE,
	  .help = "control socket of the daemon (also: WAYMARK_SOCKET)" },
	{ .name = "timeout", .letter = 't', .value = "SECONDS", .kind = KIND_SECONDS,
	  .help = "how long to wait for an answer (default 5)" },
	{ .name = "help", .letter = 'h', .help = "help on the command" },
	{ .name = "version", .letter = 'V', .help = "print the version" },
	{ .name = NULL },
};

const struct command commands[] = {
	{
		.name = "status",
		.help = "how the balancer is doing (the default)",
		.text = "Shows the daemon, where its program runs, how much is configured, how "
			"many packets went to reals, and which part of them by mark.",
		.example = "waymark status",
		.request = "status",
		.view = &view_status,
		.run = fetch__run,
	},
	{
		.name = "vip",
		.help = "the virtual services with their traffic",
		.text = "One line a vip: address, port, protocol, number of reals, and counters "
			"since its destinations exist.",
		.example = "waymark vip --columns name,packets,marked",
		.request = "vip",
		.view = &view_vip,
		.run = fetch__run,
	},
	{
		.name = "real",
		.arguments = { { "VIP", KIND_VIP, true, "vip" } },
		.help = "the reals of one vip or of all, with their share of the ring",
		.text = "One line a real of a vip: weight, slots of the ring, and counters.",
		.example = "waymark real web",
		.request = "real",
		.view = &view_real,
		.run = fetch__run,
	},
	{
		.name = "dest",
		.help = "the destinations: ids, marks and generations",
		.text = "A destination is a vip and one of its reals; its id and generation "
			"make up the mark. One that left the configuration is retiring until no "
			"rule and no flow names it any more.",
		.example = "waymark dest",
		.request = "dest",
		.view = &view_dest,
		.run = fetch__run,
	},
	{
		.name = "flow",
		.arguments = FLOW_ARGUMENTS(true),
		.all_or_none = true,
		.options = {
			{ .name = "max", .letter = 'm', .value = "N", .kind = KIND_COUNT,
			  .key = "max", .help = "list at most so many flows (default 1000)" },
		},
		.help = "the flows that have a rule, or all that is known of one flow",
		.text = "Without arguments: the flows that the daemon has a rule for. With a "
			"flow: its entry in the flow table and its rule.",
		.example = "waymark flow tcp 10.200.0.2:40000 10.200.1.1:80",
		.request = "flow",
		.view = &view_flow,
		.request_bare = "flows",
		.view_bare = &view_flows,
		.run = fetch__flow,
	},
	{
		.name = "mark",
		.arguments = { { "MARK", KIND_MARK, false, "mark" } },
		.help = "what a mark means",
		.text = "Takes a mark apart (decimal, or hexadecimal with 0x) and says what the "
			"data plane would do with it.",
		.example = "waymark mark 0x1003",
		.request = "mark",
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
		.request = "stats",
		.view = &view_stats,
		.run = fetch__stats,
	},
	{
		.name = "reload",
		.help = "read the configuration again",
		.text = "The daemon reads its configuration file and changes what differs; "
			"flows that the change does not concern go on undisturbed. A file with "
			"an error changes nothing.",
		.example = "waymarkd -n -c /etc/waymark/waymark.yaml && waymark reload",
		.request = "reload",
		.view = &view_reload,
		.run = fetch__run,
	},
	{
		.name = "ring",
		.arguments = { { "VIP", KIND_VIP, false, "vip" } },
		.options = { CONFIG_OPTION },
		.help = "the ring of a vip: slot and real",
		.text = "One line for each of the 65537 slots. A new flow's hash names the slot.",
		.example = "waymark ring web -c waymark.yaml --raw --no-headings | cut -d' ' "
			"-f2 | sort | uniq -c",
		.request = "ring",
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
		.request = "where",
		.view = &view_where,
		.run = fetch__run,
	},
	{
		.name = "decap attach",
		.arguments = { { "DEV", KIND_DEVICE, false, NULL } },
		.options = {
			{ .name = "mode", .value = "MODE", .kind = KIND_CHOICE,
			  .choices = "auto xdp tc",
			  .help = "where the program goes: xdp, tc, or auto (default): xdp if "
				  "the driver can" },
			{ .name = "source4", .value = "ADDR", .kind = KIND_ADDRESS,
			  .help = "outer IPv4 sources to believe: its upper 16 bits (default "
				  "172.16.0.0)" },
			{ .name = "source6", .value = "ADDR", .kind = KIND_ADDRESS,
			  .help = "outer IPv6 sources to believe: its upper 96 bits (default "
				  "100::)" },
		},
		.help = "on a real: take the balancer's header off incoming packets",
		.text = "Run this on a real, as root. The device needs no tunnel interface "
			"then; the vip's address must be on the real (on lo, say).",
		.example = "waymark decap attach eth0",
		.view = &view_decap,
		.run = device__decap_attach,
	},
	{
		.name = "decap detach",
		.arguments = { { "DEV", KIND_DEVICE, false, NULL } },
		.help = "on a real: stop doing so",
		.text = "Takes the program off the device, from wherever attach put it.",
		.example = "waymark decap detach eth0",
		.view = &view_decap,
		.run = device__decap_detach,
	},
	{
		.name = "decap stats",
		.arguments = { { "DEV", KIND_DEVICE, false, NULL } },
		.options = {
			{ .name = "all", .letter = 'a', .help = "show counters that are 0 too" },
		},
		.help = "on a real: what the decapsulation counted",
		.text = "The counters since it was attached; they add up to all packets that it "
			"saw.",
		.example = "waymark decap stats eth0",
		.view = &view_decap_stats,
		.run = device__decap_stats,
	},
	{
		.name = "softnic attach",
		.arguments = { { "PORT", KIND_DEVICE, false, NULL } },
		.options = {
			{ .name = "to", .value = "DEV", .kind = KIND_DEVICE, .required = true,
			  .help = "device through which the balancer is reached" },
			{ .name = "mac", .value = "MAC", .kind = KIND_MAC, .required = true,
			  .help = "the balancer's address: frames for it pass through the NIC" },
			{ .name = "pin", .value = "DIR", .kind = KIND_DIRECTORY, .required = true,
			  .help = "directory on a bpffs that is the NIC (offload: sim: pin: "
				  "of the configuration)" },
			{ .name = "capacity", .value = "N", .kind = KIND_COUNT,
			  .help = "rules that it holds" },
			{ .name = "mark-bits", .value = "N", .kind = KIND_COUNT,
			  .help = "width of its marks, 1 to 32" },
		},
		.help = "make a device a port of a software NIC",
		.text = "The software NIC stands where the wire is: it holds the rules that the "
			"backend sim installs and puts the mark in front of packets that match "
			"one. For demonstrations and tests, as root.",
		.example = "waymark softnic attach wire0 --to lb0 --mac 02:00:00:00:00:01 --pin "
			"/sys/fs/bpf/nic",
		.view = &view_softnic,
		.run = device__softnic_attach,
	},
	{
		.name = "softnic detach",
		.arguments = { { "PORT", KIND_DEVICE, false, NULL } },
		.options = {
			{ .name = "pin", .value = "DIR", .kind = KIND_DIRECTORY, .required = true,
			  .help = "directory that is the NIC" },
		},
		.help = "take a port off a software NIC",
		.text = "With its last port the NIC and its rules go.",
		.example = "waymark softnic detach wire0 --pin /sys/fs/bpf/nic",
		.view = &view_softnic,
		.run = device__softnic_detach,
	},
	{
		.name = "softnic wire",
		.arguments = { { "DEV", KIND_DEVICE, false, NULL } },
		.help = "let a veth device receive what its peer sends from XDP",
		.text = "Attaches a program that passes everything, unless the device has a "
			"program. Without one, a veth device can sit on frames that its peer "
			"transmits from XDP.",
		.example = "waymark softnic wire client0",
		.view = &view_softnic,
		.run = device__softnic_wire,
	},
	{
		.name = "xsk dump",
		.arguments = { { "DEV", KIND_DEVICE, false, NULL } },
		.options = { XSK_OPTIONS },
		.help = "take packets of a device through AF_XDP and show them",
		.text = "Puts a program on the device that hands packets to sockets on every "
			"receive queue, as root. These packets reach nobody else. With --json "
			"each packet is one line.",
		.example = "waymark xsk dump eth0 --port 53 --count 10",
		.view = &view_xsk_dump,
		.run = xsk__dump,
	},
	{
		.name = "xsk count",
		.arguments = { { "DEV", KIND_DEVICE, false, NULL } },
		.options = { XSK_OPTIONS },
		.help = "take packets of a device through AF_XDP and count them by queue",
		.text = "As xsk dump, but shows at its end what each socket received, and what "
			"the kernel dropped and why.",
		.example = "waymark xsk count eth0 --port 53 --seconds 10",
		.view = &view_xsk,
		.run = xsk__count,
	},
	{
		.name = "xsk echo",
		.arguments = { { "DEV", KIND_DEVICE, false, NULL } },
		.options = { XSK_OPTIONS },
		.help = "send UDP packets of a device back where they came from",
		.text = "As xsk count; UDP packets go back with addresses and ports exchanged.",
		.example = "waymark xsk echo eth0 --protocol udp --port 7",
		.view = &view_xsk,
		.run = xsk__echo,
	},
	{
		.name = "xsk stats",
		.arguments = { { "NAME", KIND_TEXT, true, "name" } },
		.help = "the sockets of a local consumer of the balancer's",
		.text = "Asks the daemon what the kernel counted at the sockets that it gave to "
			"a local consumer of its configuration. Where there is one, it need not "
			"be named.",
		.example = "waymark xsk stats dns",
		.request = "xsk",
		.view = &view_xsk_stats,
		.run = fetch__run,
	},
	{
		.name = "queue list",
		.arguments = { { "DEV", KIND_DEVICE, true, NULL } },
		.help = "the queues of a device, or of all, as the kernel has them",
		.text = "Asks this machine's kernel, no daemon, and needs no root. A kernel tells "
			"state and programs only if it can change them: see queue stop.",
		.example = "waymark queue list eth0",
		.view = &view_queue,
		.run = queue__list,
	},
	{
		.name = "queue stop",
		.arguments = {
			{ "DEV", KIND_DEVICE, false, NULL },
			{ "QUEUES", KIND_QUEUES, false, NULL },
		},
		.help = "stop receive queues of a device, one by one; the others go on",
		.text = "A stopped queue's memory is given back, and packets that the NIC still "
			"steers to it are dropped and counted by the device. QUEUES are numbers: "
			"2, 0-3, or 0-3,6. Needs root, a kernel that has the command (waymark's "
			"kernel-patches/ add it) and a driver that can; where one of them cannot, "
			"that is said and the exit code is 4. At the first queue that is refused "
			"the command ends; those before it stay changed.",
		.example = "waymark queue stop eth0 2",
		.view = &view_queue,
		.run = queue__stop,
	},
	{
		.name = "queue start",
		.arguments = {
			{ "DEV", KIND_DEVICE, false, NULL },
			{ "QUEUES", KIND_QUEUES, false, NULL },
		},
		.help = "start receive queues that were stopped",
		.text = "As queue stop. Starting one that runs is refused by the kernel.",
		.example = "waymark queue start eth0 2",
		.view = &view_queue,
		.run = queue__start,
	},
	{
		.name = "queue restart",
		.arguments = {
			{ "DEV", KIND_DEVICE, false, NULL },
			{ "QUEUES", KIND_QUEUES, false, NULL },
		},
		.help = "stop and start receive queues without a reset of the device",
		.text = "As queue stop. The queue gets fresh memory and rings; packets that "
			"arrive in between are lost, other queues do not notice.",
		.example = "waymark queue restart eth0 2",
		.view = &view_queue,
		.run = queue__restart,
	},
	{
		.name = "queue monitor",
		.arguments = { { "DEV", KIND_DEVICE, true, NULL } },
		.options = {
			{ .name = "count", .letter = 'n', .value = "N", .kind = KIND_COUNT,
			  .help = "stop after so many changes" },
		},
		.help = "say when a queue is stopped, started or gets a program",
		.text = "Until interrupted; with --json each change is one line. Exit code 4: this "
			"kernel does not tell.",
		.example = "waymark queue monitor eth0 --json",
		.view = &view_queue_change,
		.run = queue__monitor,
	},
	{
		.name = "size",
		.options = {
			{ .name = "pcap", .value = "FILE", .kind = KIND_FILE,
			  .help = "play this capture (of Ethernet frames) instead of a model" },
			{ .name = "filter", .value = "EXPR", .kind = KIND_TEXT,
			  .help = "only packets of the capture that match, as in tcpdump: \"dst "
				  "host 10.200.1.1\"" },
			{ .name = "flows", .value = "N", .kind = KIND_AMOUNT,
			  .help = "model: flows at any time, up to 100M" },
			{ .name = "pps", .value = "P", .kind = KIND_AMOUNT,
			  .help = "model: packets a second of all flows, up to 100M" },
			{ .name = "zipf", .value = "A", .kind = KIND_DECIMAL,
			  .help = "model: the flow of rank r sends as r^-A; 0 to 3 (default 1)" },
			{ .name = "lifetime", .value = "T", .kind = KIND_DURATION,
			  .help = "model: mean life of a flow, 100ms on; others take their place "
				  "(default: flows do not end)" },
			{ .name = "protocol", .value = "PROTO", .kind = KIND_PROTOCOL,
			  .help = "model: tcp (default) or udp" },
			{ .name = "seconds", .value = "S", .kind = KIND_SECONDS,
			  .help = "model: time to measure, after warming up; 1 to 3600 (default "
				  "30)" },
			{ .name = "seed", .value = "N", .kind = KIND_COUNT,
			  .help = "model: another number draws other packets (default 1)" },
			{ .name = "rules", .value = "LIST", .kind = KIND_AMOUNTS,
			  .help = "sizes of the NIC's table (default 1k,4k,16k,64k)" },
			{ .name = "installs-per-second", .value = "N", .kind = KIND_AMOUNT,
			  .help = "rules that the NIC takes a second (default 20k)" },
			{ .name = "install-delay", .value = "T", .kind = KIND_DURATION,
			  .help = "until a rule works, up to 4s (default 0s)" },
			{ .name = "promote-after", .value = "N", .kind = KIND_COUNT,
			  .help = "packets until a flow may have a rule (default 8)" },
			{ .name = "idle", .value = "T", .kind = KIND_DURATION,
			  .help = "a rule without packets for so long goes (default 15s)" },
			{ .name = "udp-idle", .value = "T", .kind = KIND_DURATION,
			  .help = "so does a UDP flow's entry in the flow table (default 30s)" },
			{ .name = "flow-table", .value = "N", .kind = KIND_AMOUNT,
			  .help = "flows that the flow table holds (default 1M)" },
			{ .name = "cpus", .value = "N", .kind = KIND_COUNT,
			  .help = "CPUs that packets come to: each has a budget of events "
				  "(default: as many as software alone would need)" },
			{ .name = "ns-hit", .value = "X", .kind = KIND_DECIMAL,
			  .help = "nanoseconds of a packet in software (default "
				  TEXT_OF(WM_MEASURED_NS_HIT) ")" },
			{ .name = "ns-marked", .value = "Y", .kind = KIND_DECIMAL,
			  .help = "nanoseconds of a marked packet (default "
				  TEXT_OF(WM_MEASURED_NS_MARKED) ")" },
			{ .name = "plot", .value = "FILE", .kind = KIND_FILE,
			  .help = "draw it too: a name that ends in .svg or .png" },
		},
		.help = "what a NIC of which size would bring for given traffic",
		.text = "Plays a capture, or traffic by a model, against NICs of several table "
			"sizes: through the code that decides which flows get rules. Shows which "
			"part of the packets would be marked, and the CPU cores that this "
			"saves. Needs no daemon, no NIC and no root.\n\nThe method, its error "
			"and three examples are in Documentation/sizing.md.",
		.example = "waymark size --flows 100k --zipf 1.1 --pps 200k --rules 1k,4k,16k",
		.view = &view_size,
		.run = size__run,
	},
	{
		.name = "help",
		.arguments = {
			{ "COMMAND", KIND_COMMAND, true, NULL },
			{ "SUBCOMMAND", KIND_TEXT, true, NULL },
		},
		.options = {
			{ .name = "completion", .help = "print the completion script for bash" },
			{ .name = "man", .help = "print the manual page (mdoc)" },
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
