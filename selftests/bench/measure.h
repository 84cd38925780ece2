/* SPDX-License-Identifier: GPL-2.0 */
/* What the benchmark's files share: options, results, the driver's object. */
#ifndef MEASURE_H
#define MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct options {
	int runs;            /* timed runs of each case */
	uint64_t max_flows;
	int cpu;
	bool validate_only;  /* check every case's answers, time nothing */
	const char *json;
	uint32_t frames;     /* of a run over a wire */
	uint32_t lose;       /* of these, so many are lost on purpose: for tests */
};
extern struct options opt;

void die(const char *what, int code) __attribute__((noreturn));
/* A case was wanted on the command line, or all were. */
bool wanted(const char *name);

/* The driver's object file, read once. */
const void *driver_object(size_t *len);

/* Print one row and write it to the JSON file, so that what was measured is there even
 * if a later case fails. Sorts ns. */
void report_packets(const char *name, uint64_t flows, double *ns, int n);
/* A figure that is not ns per packet. */
void report_figure(const char *name, double value, const char *unit, const char *what);
/* The same of several runs: the median counts, the least stands beside it. Sorts. */
void report_runs(const char *name, double *values, int n, const char *unit, const char *what);
void report_valid(const char *name, uint64_t flows);

double median_of(double *values, int n); /* sorts */
uint64_t now_ns(void);

/* Events: packets.c runs the packets and reads the ring; promote.c listens, and in
 * the end, while flow table and maps are there, does what the daemon would. */
struct wm_dp;
double bench_events(int threshold, void *arg);
void bench_events_open(struct wm_dp *dp, void *arg);
void bench_events_end(struct wm_dp *dp, void *arg);
void bench_open_wire(struct wm_dp **dp, bool mac);

/* The rooms of figures. */
void bench_packets(void);
void bench_wire(void);
void bench_control(void);
void bench_events_all(void);
void bench_rules(void);
void bench_reload(void);
void bench_idle(void);

/* A bpf file system on this directory that only this process sees; and away. */
void mount_bpf(const char *dir);
void unmount_bpf(const char *dir);

#endif
