#include "tally.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Makes room for one more element, and then for twice as many; NULL when memory is out. */
static void *grow(void *array, size_t *capacity, size_t need, size_t element) {
    size_t wanted = *capacity * 2 > need ? *capacity * 2 : need;
    if (wanted > SIZE_MAX / element)
        return NULL;
    array = realloc(array, wanted * element);
    if (array != NULL)
        *capacity = wanted;
    return array;
}

/* FNV-1a. */
static uint64_t hash_bytes(const unsigned char *p, size_t len) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static bool same(const struct tally *tally, const struct tally_value *v, uint64_t hash, const void *value, size_t len) {
    return v->hash == hash && v->len == len && memcmp(tally->bytes + v->start, value, len) == 0;
}

/* The slot of this value, or the free one where it belongs. */
static size_t *find_slot(struct tally *tally, uint64_t hash, const void *value, size_t len) {
    size_t mask = tally->slot_count - 1;
    for (size_t i = (size_t)hash & mask;; i = (i + 1) & mask) {
        size_t *slot = &tally->slots[i];
        if (*slot == 0 || same(tally, &tally->values[*slot - 1], hash, value, len))
            return slot;
    }
}

/* Keeps at least half of the slots free. */
static bool reserve_slot(struct tally *tally) {
    if (tally->used * 2 < tally->slot_count)
        return true;
    size_t count = 64;
    while (count <= tally->used * 2)
        count *= 2;
    size_t *slots = calloc(count, sizeof *slots);
    if (slots == NULL)
        return false;
    for (size_t v = 0; v < tally->used; v++) {
        size_t i = (size_t)tally->values[v].hash & (count - 1);
        while (slots[i] != 0)
            i = (i + 1) & (count - 1);
        slots[i] = v + 1;
    }
    free(tally->slots);
    tally->slots = slots;
    tally->slot_count = count;
    return true;
}

static bool reserve_value(struct tally *tally, size_t len) {
    if (tally->used == tally->capacity) {
        void *values = grow(tally->values, &tally->capacity, 64, sizeof *tally->values);
        if (values == NULL)
            return false;
        tally->values = values;
    }
    if (tally->bytes == NULL || len > tally->bytes_capacity - tally->bytes_len) {
        void *bytes = grow(tally->bytes, &tally->bytes_capacity, tally->bytes_len + len + 1024, 1);
        if (bytes == NULL)
            return false;
        tally->bytes = bytes;
    }
    return true;
}

int tally_add(struct tally *tally, const void *value, size_t len, uint64_t count) {
    if (!reserve_slot(tally) || !reserve_value(tally, len))
        return ENOMEM;
    uint64_t hash = hash_bytes(value, len);
    size_t *slot = find_slot(tally, hash, value, len);
    if (*slot == 0) {
        memcpy(tally->bytes + tally->bytes_len, value, len);
        tally->values[tally->used] = (struct tally_value){.hash = hash, .start = tally->bytes_len, .len = len};
        tally->bytes_len += len;
        *slot = ++tally->used;
    }
    tally->values[*slot - 1].count += count;
    tally->records += count;
    return 0;
}

static int keep_bad(struct tally *tally, struct tally_bad bad) {
    if (tally->bad_len == tally->bad_capacity) {
        void *list = grow(tally->bad, &tally->bad_capacity, 16, sizeof bad);
        if (list == NULL)
            return ENOMEM;
        tally->bad = list;
    }
    tally->bad[tally->bad_len++] = bad;
    return 0;
}

int tally_add_bad(struct tally *tally, uint64_t line, uint64_t fields) {
    tally->bad_total++;
    if (tally->bad_len >= TALLY_BAD_KEPT)
        return 0;
    return keep_bad(tally, (struct tally_bad){line, fields});
}

/* A packed tally: this, the bad records, a count and a length for each value, the values' bytes. */
struct packed_head {
    uint64_t checksum, bad_total, bad_len, used, bytes_len;
};

struct packed_value {
    uint64_t count, len;
};

void *tally_pack(const struct tally *tally, size_t *len) {
    struct packed_head head = {tally->checksum, tally->bad_total, tally->bad_len, tally->used, tally->bytes_len};
    size_t bad_size = tally->bad_len * sizeof *tally->bad;
    *len = sizeof head + bad_size + tally->used * sizeof(struct packed_value) + tally->bytes_len;
    unsigned char *packed = malloc(*len), *p = packed;
    if (packed == NULL)
        return NULL;
    memcpy(p, &head, sizeof head);
    p += sizeof head;
    if (bad_size > 0)
        memcpy(p, tally->bad, bad_size);
    p += bad_size;
    for (size_t i = 0; i < tally->used; i++) {
        struct packed_value value = {tally->values[i].count, tally->values[i].len};
        memcpy(p, &value, sizeof value);
        p += sizeof value;
    }
    if (tally->bytes_len > 0)
        memcpy(p, tally->bytes, tally->bytes_len);
    return packed;
}

/* Copies `size` bytes out of what is left, or says that there are not so many. */
static bool take(const unsigned char **p, size_t *left, void *out, size_t size) {
    if (size > *left)
        return false;
    memcpy(out, *p, size);
    *p += size;
    *left -= size;
    return true;
}

static int merge_values(struct tally *tally, const struct packed_head *head, const unsigned char *p, size_t left) {
    if (head->used > left / sizeof(struct packed_value))
        return EBADMSG;
    size_t table = (size_t)head->used * sizeof(struct packed_value);
    const unsigned char *bytes = p + table;
    size_t bytes_left = left - table;
    if (bytes_left != head->bytes_len)
        return EBADMSG;
    for (uint64_t i = 0; i < head->used; i++) {
        struct packed_value value;
        take(&p, &left, &value, sizeof value);
        if (value.len > bytes_left)
            return EBADMSG;
        int error = tally_add(tally, bytes, (size_t)value.len, value.count);
        if (error != 0)
            return error;
        bytes += value.len;
        bytes_left -= (size_t)value.len;
    }
    return 0;
}

int tally_merge(struct tally *tally, const void *packed, size_t len) {
    const unsigned char *p = packed;
    struct packed_head head;
    if (!take(&p, &len, &head, sizeof head))
        return EBADMSG;
    tally->checksum += head.checksum;
    tally->bad_total += head.bad_total;
    for (uint64_t i = 0; i < head.bad_len; i++) {
        struct tally_bad bad;
        if (!take(&p, &len, &bad, sizeof bad))
            return EBADMSG;
        int error = keep_bad(tally, bad);
        if (error != 0)
            return error;
    }
    return merge_values(tally, &head, p, len);
}

/* qsort takes no context, and the values' bytes are the tally's: while it sorts, they are here. */
static const unsigned char *sorted_bytes;

static int by_count_then_bytes(const void *left, const void *right) {
    const struct tally_value *a = left, *b = right;
    if (a->count != b->count)
        return a->count < b->count ? 1 : -1;
    int order = memcmp(sorted_bytes + a->start, sorted_bytes + b->start, a->len < b->len ? a->len : b->len);
    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

static int by_line(const void *left, const void *right) {
    const struct tally_bad *a = left, *b = right;
    return (a->line > b->line) - (a->line < b->line);
}

void tally_sort(struct tally *tally) {
    sorted_bytes = tally->bytes;
    if (tally->used > 0)
        qsort(tally->values, tally->used, sizeof *tally->values, by_count_then_bytes);
    if (tally->bad_len > 0)
        qsort(tally->bad, tally->bad_len, sizeof *tally->bad, by_line);
    free(tally->slots); /* they name the values by their places before */
    tally->slots = NULL;
    tally->slot_count = 0;
}

void tally_print(const struct tally *tally, FILE *out) {
    for (size_t i = 0; i < tally->used; i++) {
        fprintf(out, "%" PRIu64 "\t", tally->values[i].count);
        fwrite(tally->bytes + tally->values[i].start, 1, tally->values[i].len, out);
        putc('\n', out);
    }
}

void tally_free(struct tally *tally) {
    free(tally->values);
    free(tally->slots);
    free(tally->bytes);
    free(tally->bad);
    *tally = (struct tally){0};
}
