// SPDX-License-Identifier: GPL-2.0
/*
 * The completion script for bash: one fixed function, and from the table four
 * look-ups: second words of a command, its options, what the value of an option
 * is, what its n-th argument is. Names of vips come from the daemon, which may
 * not be there: then nothing is offered, and nothing is printed.
 */
#include "help.h"

#include <string.h>

static const char body[] =
	"_waymark_vips() {\n"
	"    waymark vip --no-headings --columns name --timeout 1 2>/dev/null\n"
	"}\n"
	"\n"
	"# Those of the words in $1 that begin with $2. Not by compgen -W, which would\n"
	"# run what stands in a name such as $(date); and quoted where a shell would.\n"
	"_waymark_choose() {\n"
	"    local list word\n"
	"    read -rd '' -a list <<<\"$1\"\n"
	"    for word in \"${list[@]}\"; do\n"
	"        [[ $word == \"$2\"* ]] || continue\n"
	"        [[ $word == *[!][:alnum:]._:/@%+=,[-]* ]] && printf -v word %q \"$word\"\n"
	"        COMPREPLY+=(\"$word\")\n"
	"    done\n"
	"}\n"
	"\n"
	"# What a word may be -> COMPREPLY\n"
	"_waymark_offer() {\n"
	"    case $1 in\n"
	"        @vip) _waymark_choose \"$(_waymark_vips)\" \"$2\" ;;\n"
	"        @device) _waymark_choose \"$(cd /sys/class/net 2>/dev/null && echo *)\" "
	"\"$2\" ;;\n"
	"        @file) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$2\") ;;\n"
	"        @directory) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- \"$2\")\n"
	"            ;;\n"
	"        *) _waymark_choose \"$1\" \"$2\" ;;\n"
	"    esac\n"
	"}\n"
	"\n"
	"# Any, where the first word alone is no command.\n"
	"_waymark_is_second() {\n"
	"    local seconds\n"
	"    seconds=$(_waymark_second \"$1\")\n"
	"    [[ -n $seconds ]] || return 1\n"
	"    [[ -z $(_waymark_argument \"$1 0\") || \" $seconds \" == *\" $2 \"* ]]\n"
	"}\n"
	"\n"
	"_waymark() {\n"
	"    local cword=$COMP_CWORD cur=${COMP_WORDS[COMP_CWORD]}\n"
	"    local prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	"    local words=(\"${COMP_WORDS[@]}\") command='' value='' n=0 i\n"
	"    # A name such as 10.0.0.1:80/tcp is several words to bash.\n"
	"    if declare -F _get_comp_words_by_ref >/dev/null; then\n"
	"        _get_comp_words_by_ref -n : cur prev words cword\n"
	"    fi\n"
	"    COMPREPLY=()\n"
	"    [[ ${words[0]##*/} == waymark-size ]] && command=size\n"
	"    for ((i = 1; i < cword; i++)); do\n"
	"        if [[ ${words[i]} == -* ]]; then\n"
	"            value=$(_waymark_value \"$command\" \"${words[i]}\")\n"
	"            [[ -n $value ]] && ((i++))\n"
	"        elif [[ -z $command ]]; then\n"
	"            command=${words[i]}\n"
	"        elif ((n == 0)) && _waymark_is_second \"$command\" \"${words[i]}\"; then\n"
	"            command+=\" ${words[i]}\"\n"
	"        else\n"
	"            ((n++))\n"
	"        fi\n"
	"    done\n"
	"    value=''\n"
	"    [[ $prev == -* ]] && value=$(_waymark_value \"$command\" \"$prev\")\n"
	"    if [[ $value == @none ]]; then\n"
	"        return\n"
	"    elif [[ -n $value ]]; then\n"
	"        _waymark_offer \"$value\" \"$cur\"\n"
	"    elif [[ $cur == -* ]]; then\n"
	"        _waymark_offer \"$(_waymark_options \"$command\") $_waymark_global\" \"$cur\"\n"
	"    elif [[ -z $command ]]; then\n"
	"        _waymark_offer \"$_waymark_commands\" \"$cur\"\n"
	"    elif ((n == 0)) && [[ -n $(_waymark_second \"$command\") ]]; then\n"
	"        value=$(_waymark_second \"$command\")\n"
	"        [[ $(_waymark_argument \"$command 0\") == @vip ]] &&\n"
	"            value+=\" $(_waymark_vips)\"\n"
	"        _waymark_choose \"$value\" \"$cur\"\n"
	"    else\n"
	"        _waymark_offer \"$(_waymark_argument \"$command $n\")\" \"$cur\"\n"
	"    fi\n"
	"    if declare -F __ltrim_colon_completions >/dev/null; then\n"
	"        __ltrim_colon_completions \"$cur\"\n"
	"    fi\n"
	"    return 0\n"
	"}\n"
	"complete -F _waymark waymark waymark-size\n";

/* What the script offers for a kind; "@none": a value follows that nobody knows. */
static const char *offered(enum kind kind, const char *choices)
{
	switch (kind) {
	case KIND_VIP:
		return "@vip";
	case KIND_FILE:
		return "@file";
	case KIND_DIRECTORY:
		return "@directory";
	case KIND_DEVICE:
		return "@device";
	case KIND_PROTOCOL:
		return "tcp udp";
	case KIND_CHOICE:
		return choices;
	case KIND_COMMAND:
		return "$_waymark_commands";
	default:
		return "@none";
	}
}

static int first_len(const struct command *c)
{
	return strcspn(c->name, " ");
}

static bool same_first(const struct command *a, const struct command *b)
{
	return first_len(a) == first_len(b) && !memcmp(a->name, b->name, first_len(a));
}

static void print_commands(FILE *file)
{
	const struct command *c;

	fprintf(file, "_waymark_commands='");
	for (c = commands; c->name; c++)
		if (c == commands || !same_first(c - 1, c))
			fprintf(file, "%s%.*s", c == commands ? "" : " ", first_len(c), c->name);
	fprintf(file, "'\n_waymark_global='");
	for (const struct option_desc *o = global_options; o->name; o++)
		fprintf(file, "%s--%s", o == global_options ? "" : " ", o->name);
	fprintf(file, "'\n\n");
}

static void print_seconds(FILE *file)
{
	const struct command *c;

	fprintf(file, "_waymark_second() {\n    case $1 in\n");
	for (c = commands; c->name; c++) {
		const char *second = strchr(c->name, ' ');

		if (!second)
			continue;
		if (!same_first(c - 1, c) || !strchr(c[-1].name, ' '))
			fprintf(file, "        %.*s) echo '%s", first_len(c), c->name, second + 1);
		else
			fprintf(file, " %s", second + 1);
		if (!c[1].name || !same_first(c, c + 1))
			fprintf(file, "' ;;\n");
	}
	fprintf(file, "    esac\n}\n\n");
}

static void print_options(FILE *file)
{
	fprintf(file, "_waymark_options() {\n    case $1 in\n");
	for (const struct command *c = commands; c->name; c++) {
		if (!c->options[0].name)
			continue;
		fprintf(file, "        '%s') echo '", c->name);
		for (size_t i = 0; i < OPTIONS_MAX && c->options[i].name; i++)
			fprintf(file, "%s--%s", i ? " " : "", c->options[i].name);
		fprintf(file, "' ;;\n");
	}
	fprintf(file, "    esac\n}\n\n");
}

static void print_value(FILE *file, const char *command, const struct option_desc *option)
{
	if (!option->value)
		return;
	fprintf(file, "        '%s --%s'", command, option->name);
	if (option->letter)
		fprintf(file, " | '%s -%c'", command, option->letter);
	fprintf(file, ") echo '%s' ;;\n", offered(option->kind, option->choices));
}

/* Options that all commands take stand under the empty name. */
static void print_values(FILE *file)
{
	fprintf(file, "_waymark_value() {\n    case \"$1 $2\" in\n");
	for (const struct command *c = commands; c->name; c++)
		for (size_t i = 0; i < OPTIONS_MAX && c->options[i].name; i++)
			print_value(file, c->name, &c->options[i]);
	for (const struct option_desc *o = global_options; o->name; o++)
		print_value(file, "", o);
	fprintf(file, "        ' '*) ;;\n        *) _waymark_value '' \"$2\" ;;\n    esac\n}\n\n");
}

static void print_arguments(FILE *file)
{
	fprintf(file, "_waymark_argument() {\n    case $1 in\n");
	for (const struct command *c = commands; c->name; c++) {
		for (int i = 0; i < ARGUMENTS_MAX && c->arguments[i].name; i++) {
			const char *text = offered(c->arguments[i].kind, NULL);

			if (!strcmp(text, "@none"))
				continue;
			fprintf(file, "        '%s %d') echo \"%s\" ;;\n", c->name, i, text);
		}
	}
	fprintf(file, "    esac\n}\n\n");
}

void help__completion(FILE *file)
{
	fprintf(file, "# shellcheck shell=bash\n"
		"# Completion for %s(8); printed by `%s help --completion`.\n\n",
		cli_name, cli_name);
	print_commands(file);
	print_seconds(file);
	print_options(file);
	print_values(file);
	print_arguments(file);
	fputs(body, file);
}
