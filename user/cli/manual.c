// SPDX-License-Identifier: GPL-2.0
/*
 * The manual page waymark(8) in mdoc. What the table knows is printed from it;
 * only what is about the command as a whole is written here.
 */
#include "help.h"

#include <ctype.h>
#include <waymark/sockets.h>

#include "mdoc.h"

/* Of the last change to what the page says; not of the build, which must give
 * the same page twice. */
const char help_date[] = "December 1, 2026";

static void print_option(FILE *file, const struct option_desc *option, const char *help)
{
	fputs(".It ", file);
	if (option->letter)
		fprintf(file, "Fl %c , ", option->letter);
	fputs("Fl Fl ", file);
	fputs(option->name, file);
	if (option->value) {
		fputs(" Ar ", file);
		mdoc__word(file, option->value);
	}
	fputs(option->required ? " No (required)\n" : "\n", file);
	mdoc__text(file, help);
}

/* Of a command, or with NULL those that all take. */
static void print_options(FILE *file, const struct command *command)
{
	const struct option_desc *options = command ? command->options : global_options;
	size_t max = command ? OPTIONS_MAX : GLOBAL_OPTIONS_MAX;

	fputs(".Bl -tag -width Ds\n", file);
	for (size_t i = 0; i < max && options[i].name; i++)
		print_option(file, &options[i], command__option_help(command, &options[i]));
	fputs(".El\n", file);
}

static void print_key(void *arg, const char *key, const struct wm_field *field)
{
	FILE *file = arg;

	fputs(".It Li ", file);
	mdoc__word(file, key);
	fputc('\n', file);
	mdoc__text(file, field->text);
}

static void print_keys(FILE *file, const struct view *view)
{
	const char *list = view__list(view);

	if (list && !*list)
		fputs("An array of objects:\n", file);
	fputs(".Bl -tag -width Ds -compact\n", file);
	help__each_key(view, print_key, file);
	fputs(".El\n", file);
}

/* Neighbours that answer alike (decap attach and detach) have one entry. */
static const struct command *print_entry(FILE *file, const struct command *c)
{
	fputs(".It Cm ", file);
	mdoc__word(file, c->name);
	for (; c[1].name && c[1].view == c->view; c++) {
		fputs(" , Cm ", file);
		mdoc__word(file, c[1].name);
	}
	fputc('\n', file);
	print_keys(file, c->view);
	return c;
}

static void print_all_keys(FILE *file)
{
	fputs(".Sh JSON\n"
	      "Keys are stable: later versions may add some, none goes or changes its meaning.\n"
	      "A dot stands between levels, of an object or of the objects in an array.\n"
	      "Counts are integers, times are seconds and end in\n.Li _s .\n"
	      "A key whose value is unknown is null or absent.\n"
	      ".Bl -tag -width Ds\n", file);
	for (const struct command *c = commands; c->name; c++) {
		if (c->view_bare) {
			fprintf(file, ".It Cm %s No (without arguments)\n", c->name);
			print_keys(file, c->view_bare);
		}
		c = print_entry(file, c);
	}
	fputs(".El\n", file);
}

static void print_command(FILE *file, const struct command *command)
{
	fputs(".It Cm ", file);
	mdoc__word(file, command->name);
	for (const struct argument *a = command->arguments; a->name; a++) {
		bool opens = a->optional && (!command->all_or_none || a == command->arguments);

		fputs(opens ? " Op Ar " : " Ar ", file);
		mdoc__word(file, a->name);
	}
	fputc('\n', file);
	fprintf(file, "%c", toupper((unsigned char)command->help[0]));
	mdoc__text(file, command->help + 1);
	fputs(".Pp\n", file);
	mdoc__text(file, command->text);
	if (command->options[0].name)
		print_options(file, command);
}

static void print_head(FILE *file)
{
	fprintf(file, ".\\\" Printed by `%s help --man`.\n", cli_name);
	fprintf(file, ".Dd %s\n.Dt WAYMARK 8\n.Os %s %s\n", help_date, cli_name, WM_VERSION);
	fprintf(file, ".Sh NAME\n.Nm %s\n.Nd %s\n", cli_name, cli_summary);
	fputs(".Sh SYNOPSIS\n.Nm\n.Op Ar options\n.Op Ar command Op Ar arguments\n"
	      ".Sh DESCRIPTION\n", file);
	mdoc__text(file,
		   "Asks a running waymarkd(8) over its control socket and shows the answer as a "
		   "table, as lines, or as JSON. The commands of decap and softnic need no daemon: "
		   "they attach programs to devices of this machine, as root. Nor does nic, which "
		   "tries a device with rules. Without a command "
		   "the status is shown. Commands may be shortened while that is unambiguous; "
		   "options may stand before or after arguments.");
}

static void print_exit_codes(FILE *file)
{
	fputs(".Sh EXIT STATUS\n.Bl -tag -width Ds\n", file);
	for (size_t i = 0; i < n_exit_codes; i++) {
		fprintf(file, ".It %d\n", exit_codes[i].code);
		mdoc__text(file, exit_codes[i].text);
	}
	fputs(".El\n", file);
}

static void print_files(FILE *file)
{
	fprintf(file,
		".Sh ENVIRONMENT\n.Bl -tag -width Ds\n"
		".It Ev WAYMARK_SOCKET\n"
		"Control socket of the daemon, unless\n.Fl Fl socket\ngives it.\n"
		".El\n"
		".Sh FILES\n.Bl -tag -width Ds\n"
		".It Pa %s\nThe daemon\\(aqs control socket.\n"
		".It Pa /etc/waymark/waymark.yaml\nThe daemon\\(aqs configuration, see\n"
		".Xr waymark.yaml 5 .\n.El\n",
		WM_CONTROL_SOCKET);
}

static void print_examples(FILE *file)
{
	fputs(".Sh EXAMPLES\n", file);
	for (const struct command *c = commands; c->name; c++) {
		fprintf(file, "%c", toupper((unsigned char)c->help[0]));
		mdoc__text(file, c->help + 1);
		fputs(".Dl ", file);
		mdoc__words(file, c->example, " \\&");
		fputs("\n.Pp\n", file);
	}
	fputs("In a script, the number of rules:\n"
	      ".Dl waymark status \\-\\-raw \\-\\-columns offload.rules\n", file);
}

void help__manual(FILE *file)
{
	print_head(file);
	fputs(".Pp\nOptions of every command:\n", file);
	print_options(file, NULL);
	fputs(".Pp\nWith\n.Fl Fl raw\na value is one word: blanks, quotes,\n.Li $\n"
	      "and the like in it are written as\n.Li \\ex20\nand so on.\n", file);
	fputs(".Sh COMMANDS\n"
	      "A\n.Ar VIP\nis named by its name, by ADDR:PORT/PROTO, or by ADDR:PORT;\n"
	      "an IPv6 address needs brackets, a port of\n.Li *\nis every port.\n"
	      ".Bl -tag -width Ds\n", file);
	for (const struct command *c = commands; c->name; c++)
		print_command(file, c);
	fputs(".El\n", file);
	print_all_keys(file);
	print_files(file);
	print_exit_codes(file);
	print_examples(file);
	fputs(".Sh SEE ALSO\n.Xr waymark.yaml 5 ,\n.Xr waymark-protocol 7 ,\n.Xr bpftool 8 ,\n"
	      ".Xr ethtool 8 ,\n.Xr ip-link 8 ,\n.Xr waymark-size 8 ,\n.Xr waymarkd 8\n", file);
}
