// SPDX-License-Identifier: GPL-2.0
/* waymarkd: options, and the frame around start, run and stop. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <waymark/ctl.h>

#include "check.h"
#include "daemon.h"
#include "log.h"

#define DEFAULT_CONFIG "/etc/waymark/waymark.yaml"

enum { OPT_MODE = 256, OPT_DETACH, OPT_CONTROL };

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "check", no_argument, NULL, 'n' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "mode", required_argument, NULL, OPT_MODE },
	{ "detach", no_argument, NULL, OPT_DETACH },
	{ "control", required_argument, NULL, OPT_CONTROL },
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
	"  -n, --check          check the configuration and exit: 0 good, 1 not\n"
	"  -v, --verbose        say more; with -n: print the configuration in full\n"
	"      --mode MODE      auto, native or generic, whatever the file says\n"
	"      --control PATH   control socket, whatever the file says\n"
	"      --detach         at the end take the program and the rules away\n"
	"                       (default: they stay, and packets go on)\n"
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
	static const char *const words[] = {
		[WM_MODE_AUTO] = "auto",
		[WM_MODE_NATIVE] = "native",
		[WM_MODE_GENERIC] = "generic",
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(text, words[i]))
			continue;
		options->mode = i;
		options->mode_given = true;
		return true;
	}
	fprintf(stderr, "waymarkd: --mode is auto, native or generic, not %s\n", text);
	return false;
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
		case OPT_DETACH:
			args->daemon.detach = true;
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

/* The loop takes signals from a descriptor; until it runs they wait. A log that
 * nobody reads any more is no reason to end. */
static void set_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int serve(const struct wm_daemon_options *options)
{
	struct wm_daemon daemon;
	struct wm_err err = {};
	int ret;

	set_signals();
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
	struct arguments args = { .daemon.config = DEFAULT_CONFIG };
	int code = parse(argc, argv, &args);

	if (code >= 0)
		return code;
	wm_log__init("waymarkd", args.verbose && !args.check ? WM_LOG_DEBUG : WM_LOG_INFO);
	if (args.check)
		return wm_check__config(args.daemon.config, args.verbose) ? WM_EXIT_FAILED
									  : WM_EXIT_OK;
	return serve(&args.daemon);
}
