// SPDX-License-Identifier: GPL-2.0
/*
 * gnuplot reads a script on its standard input and writes the picture to its
 * standard output, which is the file: no name of ours reaches its language or a
 * shell.
 */
#include "plot.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const char *terminal(const char *path)
{
	const char *dot = strrchr(path, '.');

	if (dot && !strcmp(dot, ".svg"))
		return "svg size 800,480 background rgb 'white'";
	return dot && !strcmp(dot, ".png") ? "pngcairo size 800,480" : NULL;
}

bool wm_plot__knows(const char *path)
{
	return terminal(path);
}

/* In gnuplot's '...' nothing is special but the quote itself. */
static void quote(FILE *file, const char *text)
{
	fputc('\'', file);
	for (; *text; text++)
		fprintf(file, *text == '\'' ? "''" : "%c", *text);
	fputc('\'', file);
}

static void write_script(FILE *file, const char *path, const char *title,
			 const struct wm_sizing_row *rows, uint32_t n)
{
	fprintf(file, "set terminal %s\nset title ", terminal(path));
	quote(file, title);
	fputs(" noenhanced\n"
	      "set xlabel 'rules that the NIC holds'\n"
	      "set logscale x\n"
	      "set format x '%.0s%c'\n"
	      "set ylabel 'packets marked, %'\n"
	      "set yrange [0:100]\n"
	      "set ytics nomirror\n"
	      "set y2label 'CPU cores saved'\n"
	      "set y2range [0:*]\n"
	      "set y2tics\n"
	      "set grid\n"
	      "set key bottom right\n"
	      "$rows << END\n", file);
	for (uint32_t i = 0; i < n; i++)
		fprintf(file, "%u %g %g\n", rows[i].rules, 100 * rows[i].marked,
			rows[i].cores_saved);
	fputs("END\n", file);
	if (n == 1) /* a scale of one value has no extent */
		fprintf(file, "set xrange [%g:%g]\n", rows->rules / 2.0, rows->rules * 2.0);
	fputs("plot $rows using 1:2 with linespoints lw 2 pt 7 title 'marked', "
	      "$rows using 1:3 axes x1y2 with linespoints lw 2 pt 5 title 'cores saved'\n", file);
}

/* A file without a name that holds the script, at its beginning; or -errno. */
static int open_script(const char *path, const char *title, const struct wm_sizing_row *rows,
		       uint32_t n)
{
	int fd = memfd_create("plot", MFD_CLOEXEC), copy = fd < 0 ? -1 : dup(fd);
	FILE *file = copy < 0 ? NULL : fdopen(copy, "w");

	if (!file)
		goto fail;
	write_script(file, path, title, rows, n);
	if (!fclose(file) && !lseek(fd, 0, SEEK_SET))
		return fd;
fail:
	if (fd >= 0)
		close(fd);
	return -errno;
}

static int run_gnuplot(int script, int picture, struct wm_err *err)
{
	char name[] = "gnuplot", input[] = "-", *const argv[] = { name, input, NULL };
	posix_spawn_file_actions_t actions;
	int status = 0, ret;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, script, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, picture, STDOUT_FILENO);
	ret = posix_spawnp(&pid, name, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (ret)
		return wm_err__sys(err, -ret, "cannot draw: no gnuplot (package gnuplot-nox)");
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return wm_err__sys(err, -errno, "cannot draw: gnuplot");
	if (status)
		return wm_err__set(err, -EIO, "cannot draw: gnuplot failed");
	return 0;
}

int wm_plot__write(const char *path, const char *title, const struct wm_sizing_row *rows,
		   uint32_t n, struct wm_err *err)
{
	int script, picture, ret;

	if (!wm_plot__knows(path))
		return wm_err__set(err, -EINVAL, "%s: wants a name that ends in .svg or .png",
				   path);
	picture = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (picture < 0)
		return wm_err__sys(err, -errno, "cannot write %s", path);
	script = open_script(path, title, rows, n);
	if (script < 0) {
		ret = wm_err__sys(err, script, "cannot draw %s", path);
	} else {
		ret = run_gnuplot(script, picture, err);
		close(script);
	}
	close(picture);
	if (ret)
		unlink(path);
	return ret;
}
