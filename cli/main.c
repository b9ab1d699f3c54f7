/* forestall: the command line of Forestall. A table of sub-commands; each is a file of its own. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/command.h"

static const struct command commands[] = {
    {"local", "run all of Forestall on this machine", command_local},
    {"run", "run a program under Forestall, here and now", command_run},
    {"submit", "hand in an execution and print its id", command_submit},
    {"cancel", "end an execution", command_cancel},
    {"status", "executions and nodes as they are", command_status},
    {"explain", "what happened to an execution, and why", command_explain},
    {"allocation", "what codes start with: get, set, pin, unpin", command_allocation},
    {"dlq", "failures in spite of a raise: ls, show, replay", command_dlq},
    {"model", "the models in use: ls, show, diff, promote, rollback", command_model},
    {"topics", "Kafka's topics: create, check", command_topics},
    {"report", "what acting on alarms averted, and what it cost", command_report},
    {"replay", "other policies on executions that happened", command_replay},
    {"demo", "real programs without and with Forestall, side by side", command_demo},
};

static void print_help(FILE *out)
{
    (void)fprintf(out,
                  "usage: forestall COMMAND [OPTION]...\n\n"
                  "Runs programs, predicts that they will run out of memory, CPU, I/O or network, and gives\n"
                  "them more before they fail.\n\ncommands:\n");
    for (size_t i = 0; i < FS_COUNT(commands); i++)
        (void)fprintf(out, "  %-14s%s\n", commands[i].name, commands[i].summary);
    (void)fprintf(out,
                  "\n`forestall COMMAND --help` says more. To begin: forestall run --memory 64M -- CMD...\n");
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    (void)signal(SIGPIPE, SIG_IGN);
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_help(stdout);
        return EXIT_SUCCESS;
    }
    if (strcmp(name, "--version") == 0) {
        printf("forestall %s\n", FORESTALL_VERSION);
        return EXIT_SUCCESS;
    }
    for (size_t i = 0; i < FS_COUNT(commands); i++)
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    if (*name)
        (void)fprintf(stderr, "forestall: no command %s\n\n", name);
    print_help(stderr);
    return EXIT_USAGE;
}
