#include "answer.h"
#include "shims.h"

#include <stdlib.h>
#include <string.h>

mp_queue_options cmp_queue_options(const cmp_queue_how *how) {
    mp_queue_options o;
    mp_queue_options_init(&o);
    o.kind = how->kind;
    o.maxsize = how->maxsize;
    o.max_bytes = how->max_bytes;
    o.overflow = how->overflow;
    o.redeliver = how->redeliver;
    return o;
}

cmp_ret cmp_queue_new(const cmp_queue_how *how) {
    mp_queue_options o = cmp_queue_options(how);
    mp_queue *out = NULL;
    mp_status s = mp_queue_new(&o, &out);
    return answer_ptr(s, out);
}

cmp_ret cmp_queue_put(mp_queue *q, const void *data, size_t len, int64_t timeout, mp_cancel *c) {
    mp_status s = obey(c);
    if (MP_SUCCEEDED(s))
        s = mp_queue_put(q, data, len, timeout);
    return disobey(c, answer(s));
}

cmp_ret cmp_queue_get(mp_queue *q, int64_t timeout, mp_cancel *c) {
    mp_buffer *out = NULL;
    mp_status s = obey(c);
    if (MP_SUCCEEDED(s))
        s = mp_queue_get(q, timeout, &out);
    return answer_buffer(c, s, out);
}

cmp_ret cmp_queue_get_into(mp_queue *q, void *data, size_t cap, int64_t timeout, mp_cancel *c) {
    size_t len = 0;
    mp_status s = obey(c);
    if (MP_SUCCEEDED(s))
        s = mp_queue_get_into(q, data, cap, &len, timeout);
    return disobey(c, answer_num(s, len));
}

cmp_ret cmp_queue_put_priority(mp_queue *q, int64_t priority, const void *data, size_t len, int64_t timeout,
                               mp_cancel *c) {
    mp_status s = obey(c);
    if (MP_SUCCEEDED(s))
        s = mp_queue_put_priority(q, priority, data, len, timeout);
    return disobey(c, answer(s));
}

cmp_ret cmp_queue_put_buffer(mp_queue *q, mp_buffer *buffer, int64_t timeout, mp_cancel *c) {
    mp_status s = obey(c);
    if (MP_SUCCEEDED(s))
        s = mp_queue_put_buffer(q, buffer, timeout);
    return disobey(c, answer(s));
}

cmp_ret cmp_queue_put_many(mp_queue *q, const mp_slice *messages, size_t n, int64_t timeout, mp_cancel *c) {
    size_t done = 0;
    mp_status s = obey(c);
    if (MP_SUCCEEDED(s))
        s = mp_queue_put_many(q, messages, n, timeout, &done);
    return disobey(c, answer_num(s, done));
}

cmp_ret cmp_queue_get_many(mp_queue *q, size_t cap, int64_t timeout, mp_cancel *c) {
    // All memory first: what has been taken must not be lost for want of it.
    mp_buffer **buffers = calloc(cap, sizeof *buffers);
    cmp_message *messages = calloc(cap, sizeof *messages);
    size_t n = 0;
    cmp_ret r = {.status = MP_ERR_NO_MEMORY};
    if (buffers == NULL || messages == NULL) {
        r.text = strdup("no memory for so many messages");
    } else {
        mp_status s = obey(c);
        if (MP_SUCCEEDED(s))
            s = mp_queue_get_many(q, buffers, cap, timeout, &n);
        r = disobey(c, answer_num(s, n));
    }
    for (size_t i = 0; i < n; i++) {
        mp_slice bytes = {.data = mp_buffer_data(buffers[i]), .len = mp_buffer_len(buffers[i])};
        messages[i] = (cmp_message){.buffer = buffers[i], .bytes = bytes};
    }
    free(buffers);
    if (n > 0)
        r.ptr = messages;
    else
        free(messages);
    return r;
}

void cmp_messages_free(cmp_message *messages, size_t n) {
    for (size_t i = 0; i < n; i++)
        mp_buffer_free(messages[i].buffer);
    free(messages);
}

cmp_ret cmp_queue_reserve(mp_queue *q, size_t len, int64_t timeout, mp_cancel *c) {
    void *data = NULL;
    mp_reservation *out = NULL;
    mp_status s = obey(c);
    if (MP_SUCCEEDED(s))
        s = mp_queue_reserve(q, len, timeout, &data, &out);
    cmp_ret r = disobey(c, answer_ptr(s, out));
    r.data = data;
    return r;
}

cmp_ret cmp_queue_commit(mp_reservation *r) { return answer(mp_queue_commit(r)); }

cmp_ret cmp_queue_commit_len(mp_reservation *r, size_t len) { return answer(mp_queue_commit_len(r, len)); }

cmp_ret cmp_queue_task_done(mp_queue *q) { return answer(mp_queue_task_done(q)); }

cmp_ret cmp_queue_ack(mp_queue *q, const mp_buffer *buffer) { return answer(mp_queue_ack(q, buffer)); }

cmp_ret cmp_queue_redelivers(mp_queue *q) {
    // No call says it, but this one has an error of its own for a queue that does not: a buffer that is none is the
    // next thing that it refuses.
    mp_buffer *none = NULL;
    mp_status s = mp_buffer_new(0, &none);
    if (MP_FAILED(s))
        return answer(s);
    s = mp_queue_ack(q, none);
    mp_buffer_free(none);
    return answer_num(MP_OK, s != MP_ERR_UNSUPPORTED);
}

cmp_ret cmp_queue_join(mp_queue *q, int64_t timeout, mp_cancel *c) {
    mp_status s = obey(c);
    if (MP_SUCCEEDED(s))
        s = mp_queue_join(q, timeout);
    return disobey(c, answer(s));
}

cmp_ret cmp_queue_size(mp_queue *q) {
    size_t n = 0;
    mp_status s = mp_queue_size(q, &n);
    return answer_num(s, n);
}

cmp_ret cmp_queue_close(mp_queue *q) { return answer(mp_queue_close(q)); }
