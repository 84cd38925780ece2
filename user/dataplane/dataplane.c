// SPDX-License-Identifier: GPL-2.0
/*
 * Open and close; the small readers. Order of opening: find a running program
 * (attached, else pinned) or load one; map its memory; attach where it lacks;
 * pin. Whatever fails leaves the machine as it was.
 */
#include "dataplane.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "dp.h"
#include "log.h"

/* libbpf's lines become ours. Of a verifier's log, thousands of lines in one
 * message, the end says what was wrong. */
static int to_log(enum libbpf_print_level level, const char *fmt, va_list args)
{
	enum { TAIL = 900 };
	char *text, *line;
	size_t len;

	if (vasprintf(&text, fmt, args) < 0)
		return 0;
	len = strlen(text);
	line = len > TAIL ? text + len - TAIL : text;
	for (char *end = line; *end; end++)
		if (*end == '\n')
			*end = end[1] ? '|' : ' ';
	wm_log(level == LIBBPF_WARN ? WM_LOG_WARN : WM_LOG_DEBUG, "%s", line);
	free(text);
	return 0;
}

static struct wm_dp *new_dp(void)
{
	struct wm_dp *dp = calloc(1, sizeof(*dp));

	if (!dp)
		return NULL;
	dp->prog_fd = dp->clock_fd = -1;
	for (int i = 0; i < DP_MAPS; i++)
		dp->map[i].fd = -1;
	libbpf_set_print(to_log);
	return dp;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void wm_dp__close(struct wm_dp *dp)
{
	if (!dp)
		return;
	ring_buffer__free(dp->events);
	for (int i = 0; i < DP_MAPS; i++) {
		if (dp->map[i].memory)
			munmap(dp->map[i].memory, dp->map[i].length);
		close_fd(dp->map[i].fd);
	}
	close_fd(dp->prog_fd);
	close_fd(dp->clock_fd);
	bpf_object__close(dp->object);
	for (size_t i = 0; i < dp->n_ports; i++)
		close_fd(dp->ports[i].prog_fd);
	free(dp->ports);
	free(dp->pin);
	free(dp);
}

static int learn_id(struct wm_dp *dp, struct wm_err *err)
{
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(dp->prog_fd, &info, &len))
		return wm_err__sys(err, -errno, "cannot inspect the BPF program");
	dp->prog_id = info.id;
	dp->kfunc = !strcmp(info.name, WM_PROG_HW_NAME);
	return 0;
}

void wm_dp_set_program(struct wm_dp *dp, int prog_fd)
{
	int fd = dup(prog_fd);

	if (fd < 0)
		return; /* the old one is good for questions about the maps */
	close_fd(dp->prog_fd);
	dp->prog_fd = fd;
	learn_id(dp, NULL);
}

/* Everything that needs no interface. */
static int make_ready(struct wm_dp *dp, struct wm_err *err)
{
	int rc = learn_id(dp, err) ?: wm_dp_map_all(dp, err);

	if (rc)
		return rc;
	dp->clock_fd = wm_dp_clock_open();
	if (dp->clock_fd < 0)
		return wm_err__sys(err, dp->clock_fd, "cannot load the clock program");
	/* Loaded by `ip link`: it has the seeds that everybody knows. Without a
	 * vip it has no flow yet that a new seed could lose. */
	if (dp->adopted && !wm_dp__vips(dp, NULL, 0)) {
		rc = wm_dp_new_seed((uint64_t *)wm_dp__ctl(dp)->flow_seed);
		wm_dp__ctl(dp)->tick_shift = wm_dp_tick_shift();
	}
	return rc ? wm_err__sys(err, rc, "no random seed") : 0;
}

/* A program that runs on the first interface, or that waits in the pins. */
static int find_running(const struct wm_dp_options *options, int *fd, bool *generic,
			bool *pinned, struct wm_err *err)
{
	struct wm_err unused;
	int rc;

	*pinned = false;
	if (!options->n_interfaces)
		return -ENOENT;
	rc = wm_dp_find_attached(options->interfaces[0],
				 !options->queues || !wm_queueset__count(options->queues), fd,
				 generic, err);
	if (rc != -ENOENT || !options->pin)
		return rc;
	*fd = wm_dp_pinned(options->pin);
	if (*fd < 0)
		return -ENOENT;
	/* Pins of another version or size are no reason to stay down: they are replaced. */
	struct wm_dp *probe = new_dp();

	rc = probe ? wm_dp_take_over(probe, dup(*fd), &unused) ?: wm_dp_map_all(probe, &unused)
		   : -ENOMEM;
	if (!rc && !wm_dp_sizes_suit(&probe->params, options))
		rc = -ENOENT; /* off the interface, it keeps nobody from new sizes */
	wm_dp__close(probe);
	*pinned = !rc;
	if (!rc)
		return 0;
	close(*fd);
	return -ENOENT;
}

/* A pinned program that is bound to a device is of no use any more if that was
 * replaced (`devlink dev reload`), and nobody tells. Its maps are: so another one. */
static int renew_bound(struct wm_dp *dp, const struct wm_dp_options *options, struct wm_err *err)
{
	int rc = learn_id(dp, err);

	if (rc || !dp->kfunc)
		return rc;
	wm_info("%s: loading the program that was bound to it anew, its flows stay",
		options->interfaces[0]);
	return wm_dp_load(dp, options, err);
}

int wm_dp__open(struct wm_dp **out, const struct wm_dp_options *options, struct wm_err *err)
{
	struct wm_dp *dp = new_dp();
	bool generic = false, pinned;
	int rc, fd;

	*out = NULL;
	if (!dp)
		return wm_err__sys(err, -ENOMEM, "cannot open the data plane");
	dp->mode = options->mode;
	dp->no_kfunc = options->no_kfunc;
	rc = find_running(options, &fd, &generic, &pinned, err);
	if (!rc) {
		rc = wm_dp_take_over(dp, fd, err);
		if (!rc && pinned)
			rc = renew_bound(dp, options, err);
	} else if (rc == -ENOENT)
		rc = wm_dp_load(dp, options, err);
	rc = rc ?: make_ready(dp, err);
	rc = rc ?: wm_dp_attach(dp, options, err);
	if (!rc && options->pin) {
		rc = wm_dp_pin(dp, options->pin, err);
		if (rc && !dp->adopted)
			wm_dp__detach(dp, NULL);
	}
	if (rc) {
		wm_dp__close(dp);
		return rc;
	}
	*out = dp;
	return 0;
}

int wm_dp__adopt(struct wm_dp **out, const char *interface, struct wm_err *err)
{
	struct wm_dp *dp = new_dp();
	int rc, fd;

	*out = NULL;
	if (!dp)
		return wm_err__sys(err, -ENOMEM, "cannot open the data plane");
	rc = wm_dp_find_attached(interface, true, &fd, &dp->generic, err);
	rc = rc ?: wm_dp_take_over(dp, fd, err);
	rc = rc ?: make_ready(dp, err);
	if (rc) {
		wm_dp__close(dp);
		return rc;
	}
	*out = dp;
	return 0;
}

bool wm_dp__adopted(const struct wm_dp *dp)
{
	return dp->adopted;
}

const char *wm_dp__mode_name(const struct wm_dp *dp)
{
	return dp->generic ? "generic" : "native";
}

const char *wm_dp__lane_name(const struct wm_dp *dp)
{
	size_t bound = 0;

	for (size_t i = 0; i < dp->n_ports; i++)
		bound += dp->ports[i].kfunc;
	if (bound && bound < dp->n_ports)
		return "mixed";
	return dp->kfunc || bound ? "kfunc" : "meta";
}

uint32_t wm_dp__prog_id(const struct wm_dp *dp)
{
	return dp->prog_id;
}

int wm_dp__prog_fd(const struct wm_dp *dp)
{
	return dp->prog_fd;
}

int wm_dp__xsks_fd(const struct wm_dp *dp)
{
	return dp->map[DP_XSKS].fd;
}

const struct wm_params *wm_dp__params(const struct wm_dp *dp)
{
	return &dp->params;
}

volatile struct wm_ctl *wm_dp__ctl(struct wm_dp *dp)
{
	return dp->map[DP_CTL].memory;
}

/*
 * XDP programs run inside an RCU read-side section, and the global membarrier
 * is an RCU grace period by its definition. Kernels that isolate CPUs
 * (nohz_full) refuse it: there a pause that is long against any packet's way
 * has to do.
 */
void wm_dp__grace(struct wm_dp *dp)
{
	if (syscall(__NR_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0)) {
		struct timespec pause = { .tv_nsec = 200000000 };

		nanosleep(&pause, NULL);
	}
	dp->flip_open = false;
}
