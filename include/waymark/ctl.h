/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The control protocol between waymark (client) and waymarkd (server).
 *
 * A stream socket in the file system. The client sends requests, one JSON
 * object a line, at most WM_CTL_REQUEST_MAX bytes with the newline; the server
 * answers each with one line, in order:
 *
 *   {"command": "where", "protocol": "tcp", "source": "10.0.0.3:4711",
 *    "destination": "10.200.1.1:80"}                            (all on one line)
 *   {"ok": true, "data": {...}}
 *   {"ok": false, "error": "what is wrong", "errno": 22}
 *
 * What is no request (not JSON, no object, too long, unknown command, an
 * argument that is missing, unknown or of the wrong type) gets an error reply
 * and the connection is closed. A request that is well-formed but cannot be
 * served (no such vip) gets an error reply and the connection stays.
 *
 * Commands, their arguments (* required) and the keys of `data`. Keys are
 * stable: they are only added to. Addresses and endpoints are text
 * ("10.0.0.1", "[fc00::1]:80", port "*" for every port); counts are integers;
 * times are seconds (numbers) and end in _s.
 *
 * status   -> version, pid, uptime_s, config (path), interfaces [text],
 *             queues [text] ("eth0 0-3": of it only these are served),
 *             mode ("native"|"generic"), lane ("meta"|"kfunc"|"mixed"),
 *             adopted (bool), prog_id, abi, vips, reals, dests, dests_max, retiring, flows_max,
 *             packets, bytes, marked,
 *             offload {backend, rules, rules_max, table, table_used (rules that
 *             the NICs have room for and hold; null: they do not say), mark_bits,
 *             backing_off, steering_rules, steered, to_steer (vips that steering
 *             rules lead to our queues, and that they should), steering_why (not
 *             all; or null)},
 *             reloads, reload_state ("idle"|"reading" the file|"finding" next hops|
 *             "changing" the data plane), last_reload {ok, text, age_s} (absent before
 *             the first)
 * vip      -> [ {name, address, port (0 every), protocol, number, hash, offload,
 *             ring, reals, packets, marked, bytes, flows} ]
 * real     vip -> [ {vip, address, weight, dest, slots, share (of the ring, 0..1),
 *             packets, marked, bytes, flows} ]
 * dest     -> [ {dest, mark, generation, vip, real, state ("live"|"retiring"),
 *             packets, marked, bytes, flows} ]
 * flow     protocol*, source*, destination*
 *          -> {protocol, source, destination, in_table (bool), dest, real, idle_s,
 *             state ("counting"|"proven"|"closing"), counted, rule (null or
 *             {state, mark, dest, real, packets, bytes, age_s})}
 * flows    max (default 1000) -> {total, rules [ {protocol, source, destination,
 *             state, mark, dest, vip, real, packets, bytes, age_s, interface} ]}
 *             the rules that the daemon has; a flow may have one in each NIC
 *             (interface: null for a software NIC, which stands for all)
 * mark     mark* -> {mark, dest, generation, meaning ("live"|"stale"|"gone"|
 *             "unknown"), vip, real}   (vip, real: null unless live)
 * stats    -> {counters {name: n}, bytes, offload {candidates, installed, refused,
 *             full, held, failed_removals, active, installing, deleting,
 *             ended {idle, closed, dest-gone, evicted, stale}, packets, bytes},
 *             events {read, lost}}
 * ring     vip* -> {vip, reals [address], slot [index into reals, -1 nobody]}
 * where    protocol*, source*, destination*
 *          -> {protocol, source, destination, vip (null: not ours), slot, dest,
 *             real (null: nobody), outer_source,
 *             flow (null or {dest, real}: what the flow table says instead)}
 * xsk      name -> {name, path, device (names, by blanks), connected (bool), pid, uid (0
 *             unless connected), one_socket (bool), sockets [ {socket, device, zero_copy
 *             (bool), rx_dropped, rx_ring_full, rx_fill_empty, rx_invalid, tx_invalid,
 *             tx_ring_empty} ]}
 *             a local consumer; an error where there is none. No name: the only one
 * reload   -> {summary}            (an error changes nothing). The reply comes when the
 *             change is made; others are served meanwhile. One that is asked for while
 *             another runs begins after it, and one serves all who asked by then.
 */
#ifndef WAYMARK_CTL_H
#define WAYMARK_CTL_H

#define WM_CTL_PATH "/run/waymark/control.sock" /* default */
#define WM_CTL_LOCAL_PATH "/run/waymark/local.sock" /* where a local consumer asks */

enum {
	WM_CTL_REQUEST_MAX = 4096,
	WM_CTL_REPLY_MAX = 16 << 20,

	/* Exit codes of waymark(8). */
	WM_EXIT_OK = 0,
	WM_EXIT_FAILED = 1,
	WM_EXIT_USAGE = 2,
	WM_EXIT_NO_DAEMON = 3,
	WM_EXIT_UNSUPPORTED = 4, /* by the kernel or a driver */
};

#endif
