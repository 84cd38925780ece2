// SPDX-License-Identifier: GPL-2.0
/*
 * Open and close; the small readers. Order of opening: find a running program
 * (attached, else pinned) or load one; map its memory; attach where it lacks;
 * pin. Whatever fails leaves the machine as it was.
 */
#include "dp.h"

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

#include "ifindex.h"
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
	dp->prog_fd = dp->clock_fd = dp->pin_lock = -1;
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
	perf_buffer__free(dp->perf);
	for (int i = 0; i < DP_MAPS; i++) {
		if (dp->map[i].memory)
			munmap(dp->map[i].memory, dp->map[i].length);
		close_fd(dp->map[i].fd);
	}
	close_fd(dp->prog_fd);
	close_fd(dp->clock_fd);
	close_fd(dp->pin_lock);
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

const char *wm_dp_first(const struct wm_dp *dp, const struct wm_dp_options *options)
{
	return options->n_interfaces ? options->interfaces[dp->first] : NULL;
}

/* 0 if none is. */
static size_t first_there(const struct wm_dp_options *options)
{
	for (size_t i = 0; i < options->n_interfaces; i++)
		if (wm_ifindex__of(options->interfaces[i]) != -ENODEV)
			return i;
	return 0;
}

/* Do the maps of a pinned program suit us? -ENOENT: no. Pins of another version or size are no
 * reason to stay down: they are replaced. But flows are never lost for a lack of means. */
static int try_pinned(const struct wm_dp_options *options, int fd, struct wm_err *err)
{
	struct wm_dp *probe = new_dp();
	int copy = dup(fd), rc;

	if (!probe || copy < 0) {
		rc = wm_dp_cannot(err, probe ? -errno : -ENOMEM, "pins below %s", options->pin);
		wm_dp__close(probe);
		close_fd(copy);
		return rc;
	}
	rc = wm_dp_take_over(probe, copy, err);
	if (!wm_dp_lacks_means(rc)) {
		rc = rc ?: wm_dp_map_all(probe, err);
		/* off the interface, it keeps nobody from new sizes */
		if (rc != -ENOMEM && (rc || !wm_dp_sizes_suit(&probe->params, options)))
			rc = -ENOENT;
	}
	wm_dp__close(probe);
	return rc;
}

/* A program that runs on the first interface, or that waits in the pins. */
static int find_running(const struct wm_dp *dp, const struct wm_dp_options *options, bool pins_ours,
			int *fd, bool *generic, bool *pinned, struct wm_err *err)
{
	int rc;

	*pinned = false;
	if (!options->n_interfaces)
		return -ENOENT;
	rc = wm_dp_find_attached(wm_dp_first(dp, options), !options->queues ||
				 !wm_queueset__count(&options->queues[dp->first]), fd, generic,
				 err);
	if (rc != -ENOENT || !pins_ours)
		return rc;
	*fd = wm_dp_pinned(options->pin);
	if (wm_dp_lacks_means(*fd))
		return wm_dp_cannot(err, *fd, "cannot open the program that is pinned below %s",
				    options->pin);
	if (*fd < 0)
		return -ENOENT;
	rc = try_pinned(options, *fd, err);
	*pinned = !rc;
	if (rc)
		close(*fd);
	return rc;
}

/* Ours around the maps of the program that was found; that one stays attached until ours
 * takes its place. On failure the old one is kept. */
static int load_around(struct wm_dp *dp, const struct wm_dp_options *options, struct wm_err *err)
{
	bool no_kfunc = dp->no_kfunc, kfunc = dp->kfunc;
	int old = dup(dp->prog_fd), rc;

	if (old < 0)
		return wm_err__sys(err, -errno, "cannot replace the program");
	dp->no_kfunc |= !kfunc; /* the same lane */
	rc = wm_dp_load(dp, options, err);
	dp->no_kfunc = no_kfunc;
	if (rc || wm_dp_same_code(old, dp->prog_fd)) {
		close(dp->prog_fd);
		dp->prog_fd = old;
		dp->kfunc = kfunc;
		if (!rc)
			wm_dp_build_label(old, &dp->own);
		return rc;
	}
	close(old);
	return learn_id(dp, err);
}

/* A pinned program that is bound to a device is of no use any more if that was
 * replaced (`devlink dev reload`), and nobody tells. Its maps are: so another one. */
static int renew_bound(struct wm_dp *dp, const struct wm_dp_options *options, struct wm_err *err)
{
	wm_info("%s: loading the program that was bound to it anew, its flows stay",
		wm_dp_first(dp, options));
	return wm_dp_load(dp, options, err) ?: learn_id(dp, err);
}

/* What runs is of another build. Where that cannot be changed it goes on, and says so. */
static int renew(struct wm_dp *dp, const struct wm_dp_options *options, bool pinned,
		 struct wm_err *err)
{
	const char *interface = wm_dp_first(dp, options);
	char running[WM_DP_BUILD_TEXT], own[WM_DP_BUILD_TEXT];
	struct wm_err why = {};
	int same, on_device;

	if (pinned && dp->kfunc)
		return renew_bound(dp, options, err);
	same = wm_dp_build_is(dp->prog_fd, &dp->own);
	on_device = pinned ? 1 : wm_dp_is_on_device(interface, dp->prog_fd);
	if (wm_dp_lacks_means(same) || wm_dp_lacks_means(on_device))
		return wm_dp_cannot(err, wm_dp_lacks_means(same) ? same : on_device,
				    "cannot tell which build of the program is on %s", interface);
	if (same > 0)
		return 0;
	if (on_device <= 0) {
		wm_err__set(&why, -EBUSY, "libxdp's dispatcher or single queues have it (take it "
			    "off there, and restart waymarkd)");
		dp->keep_old = true;
	} else {
		dp->keep_old = load_around(dp, options, &why);
	}
	if (dp->keep_old) {
		wm_dp__build(dp, running, own);
		wm_warn("%s: the running program, %s, is not this daemon's, %s, and goes on: %s",
			interface, running, own, why.text);
	}
	return 0;
}

/* The program that runs, if a fresh one can go on with its flows. NULL: it cannot. */
static struct wm_dp *find_source(const struct wm_dp *dp, const struct wm_dp_options *options,
				 bool pins_ours)
{
	bool generic = false, pinned;
	struct wm_dp *old = new_dp();
	struct wm_err unused;
	int fd;

	if (old && !find_running(dp, options, pins_ours, &fd, &generic, &pinned,
				 &unused) &&
	    !wm_dp_take_over(old, fd, &unused) && !wm_dp_map_all(old, &unused) &&
	    wm_dp_sizes_hold(&old->params, options) && wm_dp__vips(old, NULL, 0))
		return old;
	wm_dp__close(old);
	return NULL;
}

/* Beside the one that runs, with its flows where that is possible. */
static int load_beside(struct wm_dp *dp, const struct wm_dp_options *options, bool pins_ours,
		       struct wm_err *err)
{
	int rc;

	dp->source = find_source(dp, options, pins_ours);
	rc = wm_dp_load(dp, options, err) ?: make_ready(dp, err);
	if (!rc && dp->source)
		rc = wm_dp_carry(dp, dp->source, err);
	dp->carried = !rc && dp->source;
	dp->same_marks = dp->carried && wm_dp_same_marks(dp, dp->source);
	wm_dp__close(dp->source);
	dp->source = NULL;
	return rc;
}

/* Find a program or load one, and attach it. */
static int open_all(struct wm_dp *dp, const struct wm_dp_options *options, bool pins_ours,
		    struct wm_err *err)
{
	bool generic = false, pinned = false;
	int rc, fd;

	if (options->fresh)
		return load_beside(dp, options, pins_ours, err);
	rc = find_running(dp, options, pins_ours, &fd, &generic, &pinned, err);
	if (!rc)
		rc = wm_dp_take_over(dp, fd, err);
	else if (rc == -ENOENT)
		rc = wm_dp_load(dp, options, err);
	rc = rc ?: make_ready(dp, err);
	if (!rc && dp->adopted)
		rc = renew(dp, options, pinned, err);
	return rc ? rc : wm_dp__switch(dp, options, err);
}

int wm_dp__switch(struct wm_dp *dp, const struct wm_dp_options *options, struct wm_err *err)
{
	int rc = wm_dp_attach(dp, options, err);

	if (rc || !options->pin)
		return rc;
	rc = wm_dp_pin(dp, options->pin, wm_dp_first(dp, options), err);
	if (rc && !dp->adopted && !dp->carried)
		wm_dp__detach(dp, NULL);
	return rc;
}

int wm_dp__open(struct wm_dp **out, const struct wm_dp_options *options, struct wm_err *err)
{
	struct wm_dp *dp = new_dp();
	bool pins_ours = false;
	int rc = 0;

	*out = NULL;
	if (!dp)
		return wm_err__sys(err, -ENOMEM, "cannot open the data plane");
	dp->mode = options->mode;
	dp->no_kfunc = options->no_kfunc;
	dp->fresh = options->fresh;
	dp->first = first_there(options);
	wm_dp_build_own(&dp->own, options);
	if (options->pin)
		rc = wm_dp_pin_claim(dp, options, &pins_ours, err);
	rc = rc ?: open_all(dp, options, pins_ours, err);
	if (!rc) {
		*out = dp;
		return 0;
	}
	if (options->pin)
		rmdir(options->pin); /* if there is nothing in it */
	wm_dp__close(dp);
	return rc;
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

bool wm_dp__carried(const struct wm_dp *dp, bool *same_marks)
{
	*same_marks = dp->same_marks;
	return dp->carried;
}

bool wm_dp__adopted(const struct wm_dp *dp)
{
	return dp->adopted;
}

bool wm_dp__outdated(const struct wm_dp *dp)
{
	return dp->keep_old;
}

const char *wm_dp__mode_name(const struct wm_dp *dp)
{
	return wm_xdp_mode_words[dp->generic ? WM_XDP_GENERIC : WM_XDP_NATIVE];
}

const char *wm_dp__lane_name(const struct wm_dp *dp)
{
	size_t bound = 0;

	if (dp->params.mac_prefix)
		return "mac";
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

void wm_dp__xsks_clear(const struct wm_dp *dp, uint32_t first, uint32_t end)
{
	for (uint32_t key = first; key < end; key++)
		bpf_map_delete_elem(dp->map[DP_XSKS].fd, &key);
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
