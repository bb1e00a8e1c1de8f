/* What csv_pool's workers do. They know nothing but what arrives with a task, since a spawned one never ran main. */
#ifndef CSV_WORKER_H
#define CSV_WORKER_H

#include "csv_reader.h"

#include <mp.h>

/* The label in front of each batch: all that a worker has to know to count it. */
struct csv_job {
    uint64_t line;   /* of the batch's first record */
    uint32_t column; /* the one to count */
    uint32_t fields; /* of a good record */
    uint64_t cost;   /* rounds of hashing for each record */
};

_Static_assert(sizeof(struct csv_job) <= CSV_HEADROOM, "a batch's label must fit in front of it");

/* The bytes of a labelled batch; in a message they lie one behind the other. */
#define CSV_LABEL sizeof(struct csv_job)

/* Map: the argument is a labelled batch, the result a packed tally. */
int32_t csv_count_task(mp_call *call);

/* Stream: the argument is the token of a queue of labelled batches. Counts until an empty message, returns the tally.
 */
int32_t csv_consume_task(mp_call *call);

#endif
