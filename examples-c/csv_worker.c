#include "csv_worker.h"

#include "sha256.h"
#include "tally.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct counter {
    struct tally tally;
    struct csv_record record;
};

static void counter_free(struct counter *counter) {
    tally_free(&counter->tally);
    csv_record_free(&counter->record);
}

/* Hashes the record, then its digest again and again. The sum goes home, so that no compiler can skip the work. */
static uint64_t hash_record(const unsigned char *data, size_t len, uint64_t rounds) {
    unsigned char digest[SHA256_DIGEST];
    sha256(data, len, digest);
    for (uint64_t i = 1; i < rounds; i++)
        sha256(digest, sizeof digest, digest);
    uint64_t head = 0;
    for (int i = 0; i < 8; i++)
        head = head << 8 | digest[i];
    return head;
}

static int count_record(struct counter *counter, const struct csv_job *job, const unsigned char *data, uint64_t line) {
    const struct csv_record *record = &counter->record;
    if (record->fields == 0)
        return 0;
    if (record->fields != job->fields)
        return tally_add_bad(&counter->tally, line, record->fields);
    if (job->cost > 0)
        counter->tally.checksum += hash_record(data, record->raw_len, job->cost);
    size_t len;
    const unsigned char *value = csv_record_field(record, job->column, &len);
    return tally_add(&counter->tally, value, len, 1);
}

/* Counts one labelled batch. Returns 0 or an errno. */
static int count_batch(struct counter *counter, const unsigned char *data, size_t len) {
    struct csv_job job;
    if (len < CSV_LABEL)
        return EBADMSG;
    memcpy(&job, data, sizeof job);
    data += CSV_LABEL;
    len -= CSV_LABEL;
    for (uint64_t line = job.line; len > 0;) {
        size_t taken = csv_record_parse(&counter->record, data, len);
        int error = taken == 0 ? ENOMEM : count_record(counter, &job, data, line);
        if (error != 0)
            return error;
        line += csv_count_lines(data, taken);
        data += taken;
        len -= taken;
    }
    return 0;
}

static int32_t fail(mp_call *call, int error) {
    mp_call_fail(call, error, strerror(error));
    return error;
}

/* The end of a task: its tally goes home. */
static int32_t give_back(mp_call *call, const struct counter *counter) {
    size_t len;
    void *packed = tally_pack(&counter->tally, &len);
    if (packed == NULL)
        return fail(call, ENOMEM);
    mp_status status = mp_call_return(call, packed, len);
    free(packed);
    return MP_SUCCEEDED(status) ? 0 : fail(call, ENOMEM);
}

int32_t csv_count_task(mp_call *call) {
    struct counter counter = {0};
    mp_slice batch = mp_call_arg(call, 0);
    int error = count_batch(&counter, batch.data, batch.len);
    int32_t answer = error == 0 ? give_back(call, &counter) : fail(call, error);
    counter_free(&counter);
    return answer;
}

/* Counts the messages of the queue up to the end marker. */
static int32_t drain(mp_call *call, struct counter *counter, mp_queue *queue) {
    for (;;) {
        mp_buffer *message;
        if (MP_FAILED(mp_queue_get(queue, MP_FOREVER, &message))) {
            mp_call_fail(call, EIO, mp_last_error());
            return EIO;
        }
        size_t len = mp_buffer_len(message);
        int error = len == 0 ? 0 : count_batch(counter, mp_buffer_data(message), len);
        mp_buffer_free(message);
        if (error != 0)
            return fail(call, error);
        if (len == 0)
            return give_back(call, counter);
    }
}

int32_t csv_consume_task(mp_call *call) {
    struct counter counter = {0};
    mp_slice argument = mp_call_arg(call, 0);
    mp_token token;
    mp_queue *queue;
    if (argument.len != sizeof token)
        return fail(call, EBADMSG);
    memcpy(&token, argument.data, sizeof token);
    if (MP_FAILED(mp_queue_from_token(&token, &queue))) {
        mp_call_fail(call, EIO, mp_last_error());
        return EIO;
    }
    int32_t answer = drain(call, &counter, queue);
    counter_free(&counter);
    mp_queue_free(queue);
    return answer;
}
