// SPDX-License-Identifier: GPL-2.0
/*
 * Never to wait needs a way for each kind of standard error. O_NONBLOCK on the descriptor
 * that we were given would be everybody's who shares it, the shell's on our terminal say.
 * So a pipe or a terminal is opened once more; where that is not allowed it is asked
 * whether it has room, which is not quite as sure, since others may fill it just then. A
 * socket (the journal's) takes the wish with each line. A file does not wait.
 *
 * A line may be taken in part; its rest goes out before anything else.
 */
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"

enum { TEXT_SIZE = 1024, LINE_SIZE = TEXT_SIZE + 64 };

enum how { HOW_WRITE, HOW_SEND, HOW_ASK };

static const char *program = "waymark";
static enum wm_log_level highest = WM_LOG_INFO;

static struct {
	pthread_mutex_t lock; /* nobody waits while it is held */
	int fd;
	enum how how;
	char rest[LINE_SIZE];
	size_t rest_len;
	uint64_t lost;        /* lines */
} out = { .lock = PTHREAD_MUTEX_INITIALIZER, .fd = STDERR_FILENO };

void wm_log__init(const char *name, enum wm_log_level max)
{
	program = name;
	highest = max;
}

void wm_log__never_wait(void)
{
	struct stat st;
	int fd;

	if (fstat(STDERR_FILENO, &st))
		return;
	if (S_ISSOCK(st.st_mode))
		out.how = HOW_SEND;
	if (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
		return;
	fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0)
		out.fd = fd;
	else
		out.how = HOW_ASK;
}

/* --- out --- */

/* Bytes taken, or -errno. */
static ssize_t write_some(const char *data, size_t len)
{
	struct pollfd room = { .fd = out.fd, .events = POLLOUT };
	ssize_t n;

	if (out.how == HOW_ASK && poll(&room, 1, 0) != 1)
		return -EAGAIN;
	do
		n = out.how == HOW_SEND ? send(out.fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL)
					: write(out.fd, data, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* True: nothing is left of an earlier line. */
static bool write_rest(void)
{
	while (out.rest_len) {
		ssize_t n = write_some(out.rest, out.rest_len);

		if (n <= 0)
			return false;
		out.rest_len -= n;
		memmove(out.rest, out.rest + n, out.rest_len);
	}
	return true;
}

/* False: it is lost. */
static bool put(const char *line, size_t len)
{
	ssize_t n = write_rest() ? write_some(line, len) : -EAGAIN;

	if (n < 0)
		return false;
	out.rest_len = len - n;
	memcpy(out.rest, line + n, out.rest_len);
	return true;
}

static const char *word(enum wm_log_level level)
{
	switch (level) {
	case WM_LOG_ERROR:
		return "error: ";
	case WM_LOG_WARN:
		return "warning: ";
	case WM_LOG_DEBUG:
		return "debug: ";
	case WM_LOG_INFO:
		break;
	}
	return "";
}

static size_t compose(char line[LINE_SIZE], enum wm_log_level level, const char *text)
{
	int n;

	if (getenv("JOURNAL_STREAM"))
		n = snprintf(line, LINE_SIZE, "<%d>%s%s\n", level, word(level), text);
	else
		n = snprintf(line, LINE_SIZE, "%s: %s%s\n", program, word(level), text);
	if (n < LINE_SIZE)
		return n;
	line[LINE_SIZE - 2] = '\n';
	return LINE_SIZE - 1;
}

/* True: there are none, or it was said. */
static bool tell_lost(void)
{
	char text[96], line[LINE_SIZE];

	if (!out.lost)
		return true;
	snprintf(text, sizeof(text), "%llu lines were lost: nobody read the log",
		 (unsigned long long)out.lost);
	if (!put(line, compose(line, WM_LOG_WARN, text)))
		return false;
	out.lost = 0;
	return true;
}

void wm_log__catch_up(void)
{
	pthread_mutex_lock(&out.lock);
	if (write_rest())
		tell_lost();
	pthread_mutex_unlock(&out.lock);
}

/* Nothing in a line moves a cursor, whoever's words it has. */
static void write_line(enum wm_log_level level, char *text)
{
	char line[LINE_SIZE];

	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	if (!tell_lost() || !put(line, compose(line, level, text)))
		out.lost++;
}

void wm_log(enum wm_log_level level, const char *fmt, ...)
{
	char text[TEXT_SIZE], *rest = text;
	va_list args;

	if (level > highest)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	wm_err__mask(text);
	pthread_mutex_lock(&out.lock);
	/* A text of several lines is as many lines of the log. */
	do
		write_line(level, strsep(&rest, "\n"));
	while (rest && *rest);
	pthread_mutex_unlock(&out.lock);
}
