/* SPDX-License-Identifier: GPL-2.0 */
/* Log lines on standard error; with the journal's <N> prefix where the journal
 * reads them (JOURNAL_STREAM is set). Any thread may write. */
#ifndef WM_LOG_H
#define WM_LOG_H

enum wm_log_level { WM_LOG_ERROR = 3, WM_LOG_WARN = 4, WM_LOG_INFO = 6, WM_LOG_DEBUG = 7 };

/* Lines above `max` are not written. Default WM_LOG_INFO. `name` (static) is
 * put in front where no journal reads. */
void wm_log__init(const char *name, enum wm_log_level max);

/*
 * From now on nobody who reads standard error slowly, or not at all, holds up who writes:
 * a line for which there is no room is lost. How many were is said as soon as there is
 * room, with the next line or by wm_log__catch_up().
 */
void wm_log__never_wait(void);
/* For a program that may have nothing to say for a long time. */
void wm_log__catch_up(void);

void wm_log(enum wm_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define wm_error(...) wm_log(WM_LOG_ERROR, __VA_ARGS__)
#define wm_warn(...) wm_log(WM_LOG_WARN, __VA_ARGS__)
#define wm_info(...) wm_log(WM_LOG_INFO, __VA_ARGS__)
#define wm_debug(...) wm_log(WM_LOG_DEBUG, __VA_ARGS__)

#endif
