// What every shim does with what its call answered.

#ifndef CMP_ANSWER_H
#define CMP_ANSWER_H

#include "shims.h"

#include <string.h>

static inline char *copy_text(const char *text, mp_status status) {
    return strdup(text != NULL && *text != '\0' ? text : mp_status_name(status));
}

static inline cmp_ret answer(mp_status status) {
    cmp_ret r = {.status = status};
    if (MP_FAILED(status))
        r.text = copy_text(mp_last_error(), status);
    return r;
}

static inline cmp_ret answer_ptr(mp_status status, void *ptr) {
    cmp_ret r = answer(status);
    r.ptr = ptr;
    return r;
}

static inline cmp_ret answer_num(mp_status status, uint64_t num) {
    cmp_ret r = answer(status);
    r.num = num;
    return r;
}

// The thread's blocking calls obey `c` only inside one crossing: the next goroutine on the thread has its own.
static inline mp_status obey(mp_cancel *c) { return c == NULL ? MP_OK : mp_cancel_use(c); }

static inline cmp_ret disobey(mp_cancel *c, cmp_ret r) {
    if (c != NULL)
        mp_cancel_use(NULL);
    return r;
}

// With the bytes of the buffer, if there is one.
static inline cmp_ret answer_buffer(mp_cancel *c, mp_status s, mp_buffer *out) {
    cmp_ret r = disobey(c, answer_ptr(s, out));
    if (out != NULL) {
        r.data = mp_buffer_data(out);
        r.num = mp_buffer_len(out);
    }
    return r;
}

#endif
