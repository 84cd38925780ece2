// SPDX-License-Identifier: GPL-2.0
/*
 * Benchmarks of the data plane and of what feeds it.
 *
 *   bench [--runs N] [--max-flows N] [--cpu N] [--json FILE] [--validate]
 *         [--frames N] [--lose N] [CASE ...]
 *
 * Nothing is subtracted: `loop` (the empty turn), `grow` (and grow and shrink
 * the head), `header` (and write a header) and `meta` (and put metadata in front
 * and drop it) stand beside the cases. --validate checks every case's answers
 * and times nothing. --frames and --lose are for the wire: frames of a run, and
 * how many of them the end throws away as if they had been lost (for tests).
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "measure.h"

struct options opt = { .runs = 5, .max_flows = 10000000, .cpu = -1, .frames = 1 << 20 };

static char **names;
static int n_names;
static json_t *results, *figures;
static struct utsname uts;
static char cpu_name[128];

void die(const char *what, int code)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(code < 0 ? -code : code));
	exit(1);
}

bool wanted(const char *name)
{
	for (int i = 0; i < n_names; i++)
		if (!strcmp(name, names[i]))
			return true;
	return !n_names;
}

const void *driver_object(size_t *len)
{
	static const char path[] = WM_BUILD "/selftests/bench/bench.bpf.o";
	static size_t size;
	static void *object;
	FILE *f;

	*len = size;
	if (object)
		return object;
	f = fopen(path, "rb");
	if (!f || fseek(f, 0, SEEK_END))
		die(path, errno);
	size = ftell(f);
	rewind(f);
	object = malloc(size);
	if (!object || fread(object, 1, size, f) != size)
		die(path, errno);
	fclose(f);
	*len = size;
	return object;
}

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double median_of(double *values, int n)
{
	qsort(values, n, sizeof(*values), by_value);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* All so far, in place of what the file had: whole at every moment. */
static void write_json(void)
{
	char path[4096];
	json_t *all;

	if (!opt.json || opt.validate_only)
		return;
	all = json_pack("{s:s, s:s, s:i, s:O, s:O}", "kernel", uts.release, "cpu_model", cpu_name,
			"cpu", opt.cpu, "results", results, "figures", figures);
	snprintf(path, sizeof(path), "%s.new", opt.json);
	if (json_dump_file(all, path, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) ||
	    rename(path, opt.json))
		die(opt.json, errno);
	json_decref(all);
}

void report_packets(const char *name, uint64_t flows, double *ns, int n)
{
	double median = median_of(ns, n);

	printf("%-12s %10" PRIu64 " %9.1f %9.1f %9.2f\n", name, flows, ns[0], median,
	       1000 / median);
	fflush(stdout);
	json_array_append_new(results, json_pack("{s:s, s:I, s:f, s:f, s:f, s:i}", "case", name,
		"flows", (json_int_t)flows, "ns_min", ns[0], "ns_median", median, "mpps",
		1000 / median, "runs", n));
	write_json();
}

void report_figure(const char *name, double value, const char *unit, const char *what)
{
	printf("%-24s %12.4g %-8s %s\n", name, value, unit, what);
	fflush(stdout);
	json_array_append_new(figures, json_pack("{s:s, s:f, s:s, s:s}", "figure", name, "value",
		value, "unit", unit, "what", what));
	write_json();
}

void report_runs(const char *name, double *values, int n, const char *unit, const char *what)
{
	double median = median_of(values, n);

	printf("%-24s %12.4g %-8s %s (min %.4g of %d)\n", name, median, unit, what, values[0], n);
	fflush(stdout);
	json_array_append_new(figures, json_pack("{s:s, s:f, s:f, s:s, s:s, s:i}", "figure", name,
		"value", median, "min", values[0], "unit", unit, "what", what, "runs", n));
	write_json();
}

void report_valid(const char *name, uint64_t flows)
{
	printf("%-12s %10" PRIu64 " valid\n", name, flows);
	fflush(stdout);
}

static void pin_cpu(void)
{
	cpu_set_t set;

	if (opt.cpu < 0)
		opt.cpu = sysconf(_SC_NPROCESSORS_ONLN) - 1;
	CPU_ZERO(&set);
	CPU_SET(opt.cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("pinning to a CPU", errno);
}

static void cpu_model(char *text, size_t size)
{
	FILE *f = fopen("/proc/cpuinfo", "r");
	char line[256];

	snprintf(text, size, "?");
	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "model name", 10))
			continue;
		snprintf(text, size, "%s", strchr(line, ':') + 2);
		text[strcspn(text, "\n")] = '\0';
		break;
	}
	if (f)
		fclose(f);
}

static void usage(void)
{
	fprintf(stderr, "usage: bench [--runs N] [--max-flows N] [--cpu N] [--json FILE] "
		"[--validate] [--frames N] [--lose N] [CASE ...]\n");
	exit(2);
}

static void parse_options(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "runs", required_argument, NULL, 'r' },
		{ "max-flows", required_argument, NULL, 'f' },
		{ "cpu", required_argument, NULL, 'c' },
		{ "json", required_argument, NULL, 'j' },
		{ "validate", no_argument, NULL, 'v' },
		{ "frames", required_argument, NULL, 'n' },
		{ "lose", required_argument, NULL, 'l' },
		{},
	};
	int o;

	while ((o = getopt_long(argc, argv, "r:f:c:j:vn:l:", longs, NULL)) != -1) {
		if (o == 'r')
			opt.runs = atoi(optarg);
		else if (o == 'f')
			opt.max_flows = strtoull(optarg, NULL, 10);
		else if (o == 'c')
			opt.cpu = atoi(optarg);
		else if (o == 'j')
			opt.json = optarg;
		else if (o == 'v')
			opt.validate_only = true;
		else if (o == 'n')
			opt.frames = strtoul(optarg, NULL, 10);
		else if (o == 'l')
			opt.lose = strtoul(optarg, NULL, 10);
		else
			usage();
	}
	if (opt.runs < 1 || opt.runs > 64 || opt.max_flows < 1 || opt.frames < 1)
		usage();
	names = argv + optind;
	n_names = argc - optind;
}

int main(int argc, char **argv)
{
	parse_options(argc, argv);
	wm_log__init("bench", WM_LOG_WARN);
	results = json_array();
	figures = json_array();
	pin_cpu();
	uname(&uts);
	cpu_model(cpu_name, sizeof(cpu_name));
	write_json(); /* what an earlier run left says nothing about this one */
	printf("# kernel %s, %s, CPU %d, %d runs\n", uts.release, cpu_name, opt.cpu,
	       opt.runs);
	bench_packets();
	bench_wire();
	bench_control();
	return 0;
}
