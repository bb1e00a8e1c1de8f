/* A count per value, with the records that could not be counted; and how it travels from a worker to the parent. */
#ifndef TALLY_H
#define TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A worker keeps the first so many bad records, so that a file of nothing else cannot fill the memory. */
#define TALLY_BAD_KEPT 10000

struct tally_value {
    uint64_t count;
    uint64_t hash;
    size_t start; /* in the tally's bytes */
    size_t len;
};

/* A record whose number of fields is not the header's. */
struct tally_bad {
    uint64_t line;
    uint64_t fields;
};

/* Zeroed before first use. */
struct tally {
    struct tally_value *values;
    size_t used, capacity;
    size_t *slots; /* open addressing: index of a value + 1, or 0 */
    size_t slot_count;
    unsigned char *bytes; /* all values, one behind the other */
    size_t bytes_len, bytes_capacity;
    struct tally_bad *bad;
    size_t bad_len, bad_capacity;
    uint64_t bad_total;
    uint64_t records;  /* counted ones */
    uint64_t checksum; /* sum over the hashed records, in any order */
};

/* These answer 0, ENOMEM, or EBADMSG for bytes that tally_pack did not make. */
int tally_add(struct tally *tally, const void *value, size_t len, uint64_t count);
int tally_add_bad(struct tally *tally, uint64_t line, uint64_t fields);
int tally_merge(struct tally *tally, const void *packed, size_t len);

/* The tally as bytes for tally_merge in another process of this machine; free() them. NULL: out of memory. */
void *tally_pack(const struct tally *tally, size_t *len);

/* Values by count, highest first, then by their bytes; bad records by line. */
void tally_sort(struct tally *tally);

/* COUNT<TAB>VALUE, a line each. */
void tally_print(const struct tally *tally, FILE *out);

void tally_free(struct tally *tally);

#endif
