// SPDX-License-Identifier: GPL-2.0
/*
 * What the daemon costs while nothing happens: waymarkd with a thousand vips on a
 * veth in a namespace of its own, and the CPU time that the kernel charges it for.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "measure.h"

enum { VIPS = 1000, REALS = 10, START_MS = 60000, LOOK_MS = 20 };

struct place {
	char dir[64], config[96], socket[96], log[96];
};

static void write_config(const struct place *p)
{
	FILE *f = fopen(p->config, "w");

	if (!f)
		die(p->config, errno);
	fprintf(f, "interface: near\npin: %s/pin\ncontrol: %s\ngateway: 02:00:00:00:00:01\n"
		"offload: { backend: none }\nvips:\n", p->dir, p->socket);
	for (int v = 0; v < (opt.validate_only ? VIPS / 10 : VIPS); v++) {
		fprintf(f, "- { address: 10.200.%d.%d, port: 80, protocol: tcp, reals: [", v / 250,
			v % 250 + 1);
		for (int r = 0; r < REALS; r++)
			fprintf(f, " { address: 10.%d.%d.%d },", 1 + v / 250, v % 250, r + 1);
		fprintf(f, " ] }\n");
	}
	if (fclose(f))
		die(p->config, errno);
}

static pid_t start_daemon(const struct place *p)
{
	static const char path[] = WM_BUILD "/waymarkd";
	pid_t pid = fork();

	if (pid < 0)
		die("fork", errno);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!freopen(p->log, "w", stderr))
		_exit(1);
	execl(path, path, "-c", p->config, "--detach", NULL);
	_exit(127);
}

static void pause_ms(unsigned int ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000L }, NULL);
}

static void wait_for_answer(const struct place *p, pid_t pid)
{
	struct wm_client *client = NULL;
	struct wm_err err = {};
	int status;

	for (int ms = 0; ms < START_MS && !client; ms += LOOK_MS) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			die(p->log, ECHILD);
		if (wm_client__open(&client, p->socket, 1000, &err))
			pause_ms(LOOK_MS);
	}
	if (!client)
		die(p->log, ETIMEDOUT);
	wm_client__close(client);
}

/* ns of CPU, of all its threads. */
static uint64_t charged(pid_t pid)
{
	struct timespec ts;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &ts))
		die("the daemon's CPU time", errno);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static void watch(pid_t pid)
{
	unsigned int window_ms = opt.validate_only ? 200 : 5000;
	double percent[64];

	pause_ms(opt.validate_only ? 0 : 2000); /* what follows a start is not idle */
	for (int i = 0; i < opt.runs; i++) {
		uint64_t start = now_ns(), before = charged(pid);

		pause_ms(window_ms);
		percent[i] = 100.0 * (charged(pid) - before) / (now_ns() - start);
	}
	if (!opt.validate_only)
		report_runs("idle daemon", percent, opt.runs, "%",
			    "of one CPU, 1000 vips x 10 reals, no packets, 5 s each");
}

static void run_command(const char *line)
{
	int rc = system(line);

	if (rc == -1 || WEXITSTATUS(rc))
		die(line, EIO);
}

static void in_namespace(const struct place *p)
{
	pid_t pid;

	if (unshare(CLONE_NEWNET))
		die("a network namespace", errno);
	run_command("ip link add near type veth peer name far");
	run_command("ip link set near up");
	run_command("ip link set far up");
	pid = start_daemon(p);
	wait_for_answer(p, pid);
	watch(pid);
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
}

void bench_idle(void)
{
	struct place p = { .dir = "/tmp/waymark-idle-XXXXXX" };
	int old = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	if (!mkdtemp(p.dir))
		die(p.dir, errno);
	mount_bpf(p.dir);
	snprintf(p.config, sizeof(p.config), "%.60s.yaml", p.dir);
	snprintf(p.socket, sizeof(p.socket), "%.60s.sock", p.dir);
	snprintf(p.log, sizeof(p.log), "%.60s.log", p.dir); /* stays if something fails */
	write_config(&p);
	in_namespace(&p);
	unlink(p.config);
	unlink(p.log);
	unmount_bpf(p.dir);
	if (old < 0 || setns(old, CLONE_NEWNET))
		die("back to the first network namespace", errno);
	close(old);
}
