// SPDX-License-Identifier: GPL-2.0
/* waymarkd: options, and the frame around start, run and stop. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

#include "check.h"
#include "control.h"
#include "daemon.h"
#include "exitcode.h"
#include "log.h"
#include "request.h"
#include "stdfd.h"

#define DEFAULT_CONFIG "/etc/waymark/waymark.yaml"

enum { OPT_MODE = 256, OPT_DETACH, OPT_CONTROL, OPT_FORCE, OPT_NEW_PROGRAM };

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "check", no_argument, NULL, 'n' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "mode", required_argument, NULL, OPT_MODE },
	{ "new-program", no_argument, NULL, OPT_NEW_PROGRAM },
	{ "detach", no_argument, NULL, OPT_DETACH },
	{ "control", required_argument, NULL, OPT_CONTROL },
	{ "force", no_argument, NULL, OPT_FORCE },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{},
};

static const char usage[] =
	"usage: waymarkd [-c FILE] [OPTION...]\n"
	"\n"
	"The waymark load balancer's daemon: loads the XDP program or finds it running,\n"
	"makes it serve what the configuration says, and answers waymark(8).\n"
	"\n"
	"  -c, --config FILE    configuration (default " DEFAULT_CONFIG ")\n"
	"  -n, --check          check the configuration and exit: 0 if it is good, 1 if not\n"
	"  -v, --verbose        say more; with -n: print the configuration in full\n"
	"      --mode MODE      auto, native or generic; overrides the file\n"
	"      --control PATH   control socket; overrides the file\n"
	"      --new-program    put a new program in the place of the running one, whatever\n"
	"                       version or sizes that has; the flow table begins empty\n"
	"      --detach         when the daemon ends, take off the program and the rules\n"
	"                       (default: they stay, and packets go on)\n"
	"      --force          start although a vip takes every port of this machine's own\n"
	"                       address, the file removes more than max-removal allows,\n"
	"                       interfaces are on different links, or VLAN tags would be lost\n"
	"  -V, --version\n"
	"  -h, --help\n"
	"\n"
	"SIGHUP: read the configuration again. SIGTERM, SIGINT: end.\n"
	"Exit: 0 ended as asked, 1 failure, 2 usage.\n";

struct arguments {
	struct wm_daemon_options daemon;
	bool check, verbose;
};

static bool parse_mode(const char *text, struct wm_daemon_options *options)
{
	int mode = wm_xdp_mode__parse(text);

	if (mode < 0) {
		fprintf(stderr, "waymarkd: --mode is auto, native or generic, not %s\n", text);
		return false;
	}
	options->mode = mode;
	options->mode_given = true;
	return true;
}

/* -1: go on; else exit with this. */
static int parse(int argc, char **argv, struct arguments *args)
{
	int option;

	while ((option = getopt_long(argc, argv, "c:nvVh", long_options, NULL)) != -1) {
		switch (option) {
		case 'c':
			args->daemon.config = optarg;
			break;
		case 'n':
			args->check = true;
			break;
		case 'v':
			args->verbose = true;
			break;
		case OPT_MODE:
			if (!parse_mode(optarg, &args->daemon))
				return WM_EXIT_USAGE;
			break;
		case OPT_NEW_PROGRAM:
			args->daemon.new_program = true;
			break;
		case OPT_DETACH:
			args->daemon.detach = true;
			break;
		case OPT_FORCE:
			args->daemon.force = true;
			break;
		case OPT_CONTROL:
			args->daemon.control = optarg;
			break;
		case 'V':
			puts("waymarkd " WM_VERSION);
			return WM_EXIT_OK;
		case 'h':
			fputs(usage, stdout);
			return WM_EXIT_OK;
		default:
			fputs("try: waymarkd --help\n", stderr);
			return WM_EXIT_USAGE;
		}
	}
	if (optind == argc)
		return -1;
	fprintf(stderr, "waymarkd: what is %s? Try: waymarkd --help\n", argv[optind]);
	return WM_EXIT_USAGE;
}

/* The loop takes signals from a descriptor; until it runs they wait. Those that end us do
 * so at once while the configuration is read, see wm_daemon__start(). A log that nobody
 * reads any more is no reason to end. */
static void set_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTTOU, SIG_IGN); /* a background job's log on a terminal with tostop */
}

static int serve(const struct wm_daemon_options *options)
{
	struct wm_daemon daemon;
	struct wm_err err = {};
	int ret;

	set_signals();
	wm_log__never_wait();
	ret = wm_daemon__start(&daemon, options, &err);
	if (ret) {
		wm_error("%s", err.text);
	} else {
		ret = wm_daemon__run(&daemon);
		if (ret < 0)
			wm_error("%s", daemon.fatal.text);
		else
			wm_info("ended%s", options->detach ? "" : "; packets go on");
	}
	wm_daemon__stop(&daemon);
	return ret < 0 ? WM_EXIT_FAILED : WM_EXIT_OK;
}

int main(int argc, char **argv)
{
	static const struct wm_control_ops answers = {
		.answer = wm_request__answer, .reloaded = wm_request__reloaded,
		.changed = wm_request__changed,
		.refuse = wm_request__refuse,
	};
	struct arguments args = { .daemon = { .config = DEFAULT_CONFIG, .answers = &answers } };
	int code;

	wm_stdfd__hold();
	code = parse(argc, argv, &args);
	if (code >= 0)
		return code;
	wm_log__init("waymarkd", args.verbose && !args.check ? WM_LOG_DEBUG : WM_LOG_INFO);
	if (args.check)
		return wm_check__config(args.daemon.config, args.verbose) ? WM_EXIT_FAILED
									  : WM_EXIT_OK;
	return serve(&args.daemon);
}
