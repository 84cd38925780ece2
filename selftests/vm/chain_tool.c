// SPDX-License-Identifier: GPL-2.0
/*
 * Puts programs into a dispatcher, as libxdp does, and the dispatcher on an interface.
 *
 *   chain_tool INTERFACE DISPATCHER.o FILE.o PROGRAM [FILE.o PROGRAM]...
 *
 * The first program replaces the function prog0, and so on. Says "ready", keeps it so
 * until it is ended, and takes the dispatcher off.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static int fail(const char *what)
{
	perror(what);
	return 1;
}

/* Only this program of the object, as an extension of the dispatcher. */
static int put(int dispatcher, const char *path, const char *name, int position)
{
	struct bpf_object *obj = bpf_object__open_file(path, NULL);
	struct bpf_program *prog, *wanted = NULL;
	char function[16];

	if (!obj)
		return fail(path);
	snprintf(function, sizeof(function), "prog%d", position);
	bpf_object__for_each_program(prog, obj) {
		bool is_it = !strcmp(bpf_program__name(prog), name);

		bpf_program__set_autoload(prog, is_it);
		if (is_it)
			wanted = prog;
	}
	if (!wanted || bpf_program__set_type(wanted, BPF_PROG_TYPE_EXT) ||
	    bpf_program__set_expected_attach_type(wanted, 0) ||
	    bpf_program__set_attach_target(wanted, dispatcher, function) ||
	    bpf_object__load(obj) ||
	    !bpf_program__attach_freplace(wanted, dispatcher, function))
		return fail(name);
	return 0;
}

int main(int argc, char **argv)
{
	int ifindex = argc > 1 ? if_nametoindex(argv[1]) : 0, signal, fd;
	struct bpf_program *dispatcher;
	struct bpf_object *obj;
	sigset_t end;

	if (argc < 5 || argc % 2 == 0 || !ifindex)
		return 2;
	obj = bpf_object__open_file(argv[2], NULL);
	if (!obj || bpf_object__load(obj))
		return fail(argv[2]);
	dispatcher = bpf_object__find_program_by_name(obj, "xdp_dispatcher");
	fd = dispatcher ? bpf_program__fd(dispatcher) : -1;
	for (int i = 3; i < argc; i += 2)
		if (put(fd, argv[i], argv[i + 1], (i - 3) / 2))
			return 1;
	if (bpf_xdp_attach(ifindex, fd, XDP_FLAGS_DRV_MODE | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL))
		return fail(argv[1]);
	puts("ready");
	fflush(stdout);
	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	sigaddset(&end, SIGINT);
	sigprocmask(SIG_BLOCK, &end, NULL);
	sigwait(&end, &signal);
	return bpf_xdp_detach(ifindex, XDP_FLAGS_DRV_MODE, NULL) ? fail("detach") : 0;
}
