// SPDX-License-Identifier: GPL-2.0
/*
 * The manual page waymark-protocol(7) in mdoc. Requests and keys are printed from their table;
 * what is written here is how they lie on the socket.
 */
#include <waymark/sockets.h>

#include "help.h"
#include "mdoc.h"

static void print_head(FILE *file)
{
	fprintf(file, ".\\\" Printed by `%s help --protocol`.\n", cli_name);
	fprintf(file, ".Dd %s\n.Dt WAYMARK-PROTOCOL 7\n.Os %s %s\n", help_date, cli_name,
		WM_VERSION);
	fputs(".Sh NAME\n.Nm waymark-protocol\n"
	      ".Nd what can be asked of waymarkd, and what it answers\n"
	      ".Sh DESCRIPTION\n",
	      file);
}

static const char on_the_socket[] =
	"What is no request gets an error, and the connection is closed: no JSON, no object, a "
	"line that is too long, an unknown command, an argument that is missing, unknown or of "
	"another type. A request that cannot be served, say for a vip that there is not, gets an "
	"error, and the connection stays.\n\n"
	"The names of requests, arguments and keys are stable: later versions may add some, none "
	"goes or changes its meaning. A client passes over keys that it does not know. Addresses "
	"and endpoints are strings: \"10.0.0.1\", \"[fc00::1]:80\". Times are numbers of seconds, "
	"and their keys end in _s.\n\n"
	"In what follows a dot stands between levels, of an object or of the objects in an array.";

static void print_lines(FILE *file)
{
	fprintf(file,
		"The daemon\n.Xr waymarkd 8\nlistens on a stream socket in the file system,\n"
		".Pa %s\nunless its configuration says otherwise.\n"
		"A client sends requests: a JSON object each, on one line of at most %d bytes\n"
		"with its end.\n"
		"Each gets a reply, in the order of the requests: one line again, of at most\n"
		"%d MiB.\n"
		".Bd -literal -offset indent\n"
		"{\"command\": \"mark\", \"mark\": 4099}\n"
		"{\"ok\": true, \"data\": {\"mark\": 4099, \"dest\": 3, ...}}\n"
		"{\"ok\": false, \"error\": \"what is wrong\", \"errno\": 22}\n"
		".Ed\n.Pp\n",
		WM_CONTROL_SOCKET, WM_REQUEST_MAX, WM_REPLY_MAX >> 20);
	mdoc__text(file, on_the_socket);
}

static void print_arguments(FILE *file, const struct wm_request *request)
{
	if (!request->arguments[0].name)
		return;
	fputs(".Pp\nArguments:\n.Bl -tag -width Ds -compact\n", file);
	for (const struct wm_argument *a = request->arguments; a->name; a++) {
		fputs(".It Li ", file);
		mdoc__word(file, a->name);
		fprintf(file, " No (%s%s)\n", wm_value__json(a->type),
			a->needed ? "" : ", optional");
		mdoc__text(file, a->text);
	}
	fputs(".El\n", file);
}

static const char *absence_of(const struct wm_field *field)
{
	if (field->object_absent)
		return "; its object may be absent";
	if (field->object_null && field->null)
		return ", or null; its object may be null";
	if (field->object_null)
		return "; its object may be null";
	return field->null ? ", or null" : "";
}

static void print_key(void *arg, const char *key, const struct wm_field *field)
{
	FILE *file = arg;

	fputs(".It Li ", file);
	mdoc__word(file, key);
	fprintf(file, " No (%s%s)\n", wm_value__json(field->type), absence_of(field));
	mdoc__text(file, field->text);
}

static void print_request(FILE *file, const struct wm_request *request)
{
	const struct view view = { .request = request->name };

	fputs(".It Li ", file);
	mdoc__word(file, request->name);
	fputc('\n', file);
	mdoc__text(file, request->text);
	print_arguments(file, request);
	fprintf(file, ".Pp\nThe answer is an %s:\n.Bl -tag -width Ds -compact\n",
		request->keys ? "object" : "array of objects");
	help__each_key(&view, print_key, file);
	fputs(".El\n", file);
}

void help__protocol(FILE *file)
{
	print_head(file);
	print_lines(file);
	fputs(".Sh REQUESTS\n.Bl -tag -width Ds\n", file);
	for (const struct wm_request *r = wm_requests; r->name; r++)
		print_request(file, r);
	fputs(".El\n.Sh SEE ALSO\n.Xr waymark.yaml 5 ,\n.Xr waymark 8 ,\n.Xr waymarkd 8\n", file);
}
