/* csv_pool's command line. */
#ifndef CSV_OPTIONS_H
#define CSV_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct csv_options {
    const char *path, *column;
    bool stream, quiet, help;
    uint32_t processes;
    int32_t start_method;
    uint64_t cost;
};

/* False: the command line is wrong, and stderr says how. */
bool csv_options_parse(struct csv_options *options, int argc, char **argv);

void csv_options_usage(FILE *out);
void csv_options_help(FILE *out);

#endif
