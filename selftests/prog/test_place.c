// SPDX-License-Identifier: GPL-2.0
/*
 * The program on single queues, on a kernel that has no such thing: what queue.h promises
 * is played here, for two devices with four queues each, so that every order of events can
 * be had. The program, its maps and the device's own slot for a program are real. The
 * kernel's side for real: selftests/vm/queue_cli.sh.
 */
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>
#include <linux/if_link.h>

#include "dataplane.h"
#include "queue.h"

enum { DEVICES = 2, QUEUES = 4 };

static const char *const names[DEVICES] = { "wmp0", "wmp2" };

/* The kernel. */
static struct {
	bool lacks, down;
	int fail_device, fail_queue; /* setting a program there fails */
	uint32_t program[DEVICES][QUEUES];
	int sets;
} kernel;

/* --- queue.h --- */

struct wm_queues {
	int unused;
};

static int device_of(const char *name)
{
	return !strcmp(name, names[1]);
}

int wm_queues__open(struct wm_queues **queues, struct wm_err *err)
{
	(void)err;
	*queues = calloc(1, sizeof(**queues));
	return 0;
}

void wm_queues__close(struct wm_queues *queues)
{
	free(queues);
}

bool wm_queues__can(const struct wm_queues *queues, enum wm_queue_action action)
{
	(void)queues;
	(void)action;
	return !kernel.lacks;
}

int wm_queues__require(const struct wm_queues *queues, enum wm_queue_action action,
		       struct wm_err *err)
{
	(void)queues;
	(void)action;
	return kernel.lacks ? wm_err__set(err, -ENOSYS, "no queue-set") : 0;
}

int wm_queues__list(struct wm_queues *queues, int ifindex,
		    void (*each)(void *arg, const struct wm_queue *queue), void *arg,
		    struct wm_err *err)
{
	int device = ifindex == (int)if_nametoindex(names[1]);

	(void)queues;
	(void)err;
	for (uint32_t id = 0; id < QUEUES && !kernel.down; id++) {
		struct wm_queue rx = { .ifindex = ifindex, .id = id, .state = WM_QUEUE_RUNNING,
				       .program = kernel.program[device][id] };
		struct wm_queue tx = { .ifindex = ifindex, .id = id, .type = WM_QUEUE_TX };

		each(arg, &rx);
		each(arg, &tx);
	}
	return 0;
}

int wm_queues__set_program(struct wm_queues *queues, const char *device, uint32_t id, int fd,
			   struct wm_err *err)
{
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);
	int number = device_of(device);

	(void)queues;
	if (number == kernel.fail_device && (int)id == kernel.fail_queue)
		return wm_err__set(err, -ENOMEM, "rx queue %u of %s: no luck", id, device);
	assert_in_range(id, 0, QUEUES - 1);
	if (fd >= 0)
		assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &len), 0);
	kernel.program[number][id] = info.id;
	kernel.sets++;
	return 0;
}

/* --- the tests' words --- */

static struct wm_queueset sets[DEVICES];

static const struct wm_queueset *queues(const char *first, const char *second)
{
	memset(sets, 0, sizeof(sets));
	if (*first)
		assert_int_equal(wm_queueset__parse(&sets[0], first), 0);
	if (*second)
		assert_int_equal(wm_queueset__parse(&sets[1], second), 0);
	return sets;
}

static int try_open(struct wm_dp **dp, size_t devices, const struct wm_queueset *where,
		    struct wm_err *err)
{
	const struct wm_dp_options options = {
		.interfaces = names, .n_interfaces = devices, .queues = where,
		.mode = WM_XDP_NATIVE, .flow_buckets = 20,
	};

	return wm_dp__open(dp, &options, err);
}

static struct wm_dp *open_on(size_t devices, const char *first, const char *second)
{
	struct wm_err err = {};
	struct wm_dp *dp;

	if (try_open(&dp, devices, queues(first, second), &err))
		fail_msg("%s", err.text);
	return dp;
}

static uint32_t on_device(int device)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);

	assert_int_equal(bpf_xdp_query(if_nametoindex(names[device]), 0, &query), 0);
	return query.drv_prog_id;
}

/* "12": the program is on queues 1 and 2; "D": on the device. */
static void assert_on(struct wm_dp *dp, int device, const char *where)
{
	char is[QUEUES + 2] = "", *to = is;

	if (on_device(device) == wm_dp__prog_id(dp))
		*to++ = 'D';
	for (int id = 0; id < QUEUES; id++)
		if (kernel.program[device][id] == wm_dp__prog_id(dp))
			*to++ = '0' + id;
	*to = '\0';
	assert_string_equal(is, where);
}

static void end(struct wm_dp *dp)
{
	assert_int_equal(wm_dp__detach(dp, NULL), 0);
	assert_on(dp, 0, "");
	assert_on(dp, 1, "");
	wm_dp__close(dp);
}

/* --- tests --- */

static void it_goes_to_these_queues_alone(void **state)
{
	struct wm_dp *dp = open_on(1, "0,2-3", "");

	(void)state;
	assert_on(dp, 0, "023");
	assert_string_equal(wm_dp__mode_name(dp), "native");
	end(dp);
}

/* Adopted from a queue; what was attached is not attached again. */
static void the_next_one_finds_it_there(void **state)
{
	struct wm_dp *dp = open_on(1, "1-2", ""), *next;
	int sets_before = kernel.sets;

	(void)state;
	next = open_on(1, "1-2", "");
	assert_true(wm_dp__adopted(next));
	assert_int_equal(wm_dp__prog_id(next), wm_dp__prog_id(dp));
	assert_int_equal(kernel.sets, sets_before);
	wm_dp__close(dp);
	end(next);
}

static void the_next_one_has_other_queues(void **state)
{
	struct wm_dp *dp = open_on(1, "0-1", ""), *next = open_on(1, "1-2", "");

	(void)state;
	assert_int_equal(wm_dp__prog_id(next), wm_dp__prog_id(dp));
	assert_on(next, 0, "012"); /* the rules may still lead to 0 */
	wm_dp__vacate(next);
	assert_on(next, 0, "12");
	wm_dp__close(dp);
	end(next);
}

static void from_queues_to_the_device_and_back(void **state)
{
	struct wm_dp *dp = open_on(1, "0-1", "");
	struct wm_err err;

	(void)state;
	assert_int_equal(wm_dp__place(dp, queues("", ""), &err), 0);
	assert_on(dp, 0, "D01");
	wm_dp__vacate(dp);
	assert_on(dp, 0, "D");
	assert_int_equal(wm_dp__place(dp, queues("3", ""), &err), 0);
	assert_on(dp, 0, "D3");
	wm_dp__vacate(dp);
	assert_on(dp, 0, "3");
	end(dp);
}

static void a_failure_leaves_all_as_it_was(void **state)
{
	struct wm_dp *dp = open_on(2, "0", "0");
	struct wm_err err;

	(void)state;
	kernel.fail_device = 1;
	kernel.fail_queue = 2;
	assert_int_equal(wm_dp__place(dp, queues("0-3", "0-3"), &err), -ENOMEM);
	assert_non_null(strstr(err.text, "rx queue 2 of wmp2"));
	assert_on(dp, 0, "0");
	assert_on(dp, 1, "0");
	/* The device of one, and queues of the other. */
	assert_int_equal(wm_dp__place(dp, queues("", "2"), &err), -ENOMEM);
	assert_on(dp, 0, "0");
	assert_on(dp, 1, "0");
	wm_dp__vacate(dp); /* it knows where it belongs, too */
	assert_on(dp, 0, "0");
	assert_on(dp, 1, "0");
	kernel.fail_device = -1;
	end(dp);
}

static void nothing_is_left_of_an_open_that_fails(void **state)
{
	struct wm_err err;
	struct wm_dp *dp;

	(void)state;
	kernel.fail_device = 1;
	kernel.fail_queue = 3;
	assert_int_equal(try_open(&dp, 2, queues("0-3", "0-3"), &err), -ENOMEM);
	assert_null(dp);
	for (int i = 0; i < DEVICES; i++)
		for (int id = 0; id < QUEUES; id++)
			assert_int_equal(kernel.program[i][id], 0);
	kernel.fail_device = -1;
}

static uint32_t foreign_program(int *fd)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);

	*fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "stranger", "GPL", insns, 2, NULL);
	assert_true(*fd >= 0);
	assert_int_equal(bpf_obj_get_info_by_fd(*fd, &info, &len), 0);
	return info.id;
}

static void somebodys_program_is_left_alone(void **state)
{
	struct wm_dp *dp = open_on(1, "0", "");
	struct wm_err err;
	uint32_t id;
	int fd;

	(void)state;
	id = kernel.program[0][2] = foreign_program(&fd);
	assert_int_equal(wm_dp__check_queues(names[0], queues("1-2", ""), &err), -EBUSY);
	assert_non_null(strstr(err.text, "rx queue 2 of wmp0 already has XDP program"));
	assert_int_equal(wm_dp__place(dp, queues("1-2", ""), &err), -EBUSY);
	assert_on(dp, 0, "0");
	wm_dp__vacate(dp);
	end(dp);
	assert_int_equal(kernel.program[0][2], id);
	kernel.program[0][2] = 0;
	close(fd);
}

/* The device's program may be anybody's, if ours goes to queues. */
static void beside_somebodys_program_of_the_device(void **state)
{
	struct wm_err err;
	struct wm_dp *dp;
	int fd, ifindex = if_nametoindex(names[0]);

	(void)state;
	foreign_program(&fd);
	assert_int_equal(bpf_xdp_attach(ifindex, fd, XDP_FLAGS_DRV_MODE, NULL), 0);
	assert_int_equal(try_open(&dp, 1, queues("", ""), &err), -EBUSY);
	dp = open_on(1, "0-1", "");
	assert_on(dp, 0, "01");
	wm_dp__vacate(dp);
	end(dp);
	assert_int_not_equal(on_device(0), 0);
	assert_int_equal(bpf_xdp_detach(ifindex, XDP_FLAGS_DRV_MODE, NULL), 0);
	close(fd);
}

static void what_cannot_be_is_said_before(void **state)
{
	struct wm_err err;
	struct wm_dp *dp;
	int before = kernel.sets;

	(void)state;
	assert_int_equal(wm_dp__check_queues(names[0], queues("2-5", ""), &err), -EINVAL);
	assert_string_equal(err.text, "wmp0 has no rx queue 4, but 0-3: see ethtool -l wmp0");
	kernel.lacks = true;
	assert_int_equal(wm_dp__check_queues(names[0], queues("0", ""), &err), -ENOSYS);
	assert_string_equal(err.text, "interface wmp0: queues: no queue-set");
	assert_int_equal(wm_dp__check_queues(names[0], queues("", ""), &err), 0);
	dp = open_on(1, "", ""); /* as ever */
	assert_on(dp, 0, "D");
	end(dp);
	kernel.lacks = false;
	assert_int_equal(kernel.sets, before);
}

/* Nothing is listed then, and it comes off all the same. */
static void a_device_that_is_down(void **state)
{
	struct wm_dp *dp = open_on(1, "0-1", "");

	(void)state;
	kernel.down = true;
	assert_int_equal(wm_dp__check_queues(names[0], queues("0-1", ""), NULL), 0);
	wm_dp__vacate(dp);
	assert_on(dp, 0, "01");
	end(dp);
	kernel.down = false;
}

static int make_world(void **state)
{
	(void)state;
	kernel.fail_device = -1;
	/* A namespace of our own: the names are free, and it goes with us. */
	if (unshare(CLONE_NEWNET))
		return -1;
	return system("ip link add wmp0 type veth peer name wmp1 &&"
		      "ip link add wmp2 type veth peer name wmp3 && ip link set wmp0 up &&"
		      "ip link set wmp1 up && ip link set wmp2 up && ip link set wmp3 up");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_goes_to_these_queues_alone),
		cmocka_unit_test(the_next_one_finds_it_there),
		cmocka_unit_test(the_next_one_has_other_queues),
		cmocka_unit_test(from_queues_to_the_device_and_back),
		cmocka_unit_test(a_failure_leaves_all_as_it_was),
		cmocka_unit_test(nothing_is_left_of_an_open_that_fails),
		cmocka_unit_test(somebodys_program_is_left_alone),
		cmocka_unit_test(beside_somebodys_program_of_the_device),
		cmocka_unit_test(what_cannot_be_is_said_before),
		cmocka_unit_test(a_device_that_is_down),
	};

	return cmocka_run_group_tests(tests, make_world, NULL);
}
