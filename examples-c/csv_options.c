#include "csv_options.h"

#include <errno.h>
#include <getopt.h>
#include <mp.h>
#include <stdlib.h>
#include <string.h>

#define PROCESSES_MAX 1024

static const char usage[] = "usage: csv_pool FILE --column NAME [--mode map|stream] [--processes N] [--start "
                            "fork|spawn] [--cost N] [--quiet]\n";

static const char help[] =
    "Counts the records of a CSV file per value of one column: COUNT<TAB>VALUE, most frequent first.\n"
    "\n"
    "  --column NAME     the column, by its name in the header\n"
    "  --mode map        all records in memory (default)\n"
    "  --mode stream     constant memory, whatever the file's size\n"
    "  --processes N     workers (default: the usable processors)\n"
    "  --start METHOD    how workers start: fork (default) or spawn\n"
    "  --cost N          rounds of SHA-256 on each record, for something to do (default 0)\n"
    "  --quiet           no progress bar\n"
    "\n"
    "Exit codes: 0 fine; 1 records with the wrong number of fields were skipped; 2 usage, no such file, no such\n"
    "column, empty file; 3 a worker died; 4 anything else.\n";

/* A whole number in decimal, of at least `min` and at most `max`. */
static bool parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *number) {
    char *end;
    errno = 0;
    *number = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && *number >= min && *number <= max;
}

/* Finds `text` in a list of two names. */
static bool parse_choice(const char *text, const char *const names[2], int *chosen) {
    *chosen = strcmp(text, names[1]) == 0;
    return *chosen || strcmp(text, names[0]) == 0;
}

enum option_id { COLUMN, MODE, PROCESSES, START, COST, QUIET, HELP };

static const struct option_text {
    const char *name, *wanted;
} option_texts[] = {
    [MODE] = {"--mode", "map or stream"},
    [PROCESSES] = {"--processes", "a number from 1 to 1024"},
    [START] = {"--start", "fork or spawn"},
    [COST] = {"--cost", "a number from 0 to 1000000000"},
};

static bool parse_option(struct csv_options *options, int option, const char *text) {
    static const char *const modes[2] = {"map", "stream"}, *const methods[2] = {"fork", "spawn"};
    uint64_t number = 0;
    int chosen = 0;
    bool ok = true;
    switch (option) {
    case COLUMN:
        options->column = text;
        break;
    case QUIET:
        options->quiet = true;
        break;
    case HELP:
        options->help = true;
        break;
    case MODE:
        ok = parse_choice(text, modes, &chosen), options->stream = chosen == 1;
        break;
    case START:
        ok = parse_choice(text, methods, &chosen);
        options->start_method = chosen == 1 ? MP_START_SPAWN : MP_START_FORK;
        break;
    case PROCESSES:
        ok = parse_number(text, 1, PROCESSES_MAX, &number);
        options->processes = (uint32_t)number;
        break;
    case COST:
        ok = parse_number(text, 0, 1000000000, &options->cost);
        break;
    default:
        return false; /* getopt_long has said why */
    }
    if (!ok)
        fprintf(stderr, "csv_pool: %s must be %s, not %s\n", option_texts[option].name, option_texts[option].wanted,
                text);
    return ok;
}

bool csv_options_parse(struct csv_options *options, int argc, char **argv) {
    static const struct option known[] = {
        {"column", required_argument, NULL, COLUMN},
        {"mode", required_argument, NULL, MODE},
        {"processes", required_argument, NULL, PROCESSES},
        {"start", required_argument, NULL, START},
        {"cost", required_argument, NULL, COST},
        {"quiet", no_argument, NULL, QUIET},
        {"help", no_argument, NULL, HELP},
        {NULL, 0, NULL, 0},
    };
    *options = (struct csv_options){.start_method = MP_START_FORK, .processes = (uint32_t)mp_cpu_count()};
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;)
        if (!parse_option(options, option, optarg))
            return false;
    if (options->help)
        return true;
    if (optind + 1 != argc)
        fputs(optind == argc ? "csv_pool: no file given\n" : "csv_pool: one file at a time\n", stderr);
    else if (options->column == NULL)
        fputs("csv_pool: no --column given\n", stderr);
    else
        options->path = argv[optind];
    return options->path != NULL;
}

void csv_options_usage(FILE *out) { fputs(usage, out); }

void csv_options_help(FILE *out) { fprintf(out, "%s\n%s", usage, help); }
