/*
 * The floors: a ring for one producer and one consumer in which nobody sleeps. Each side has a count that only it
 * writes, and looks at the other's only if what it knows of it is not enough.
 */
#include "channel.h"

struct ring {
    _Alignas(64) _Atomic uint64_t put;
    _Alignas(64) _Atomic uint64_t got;
    _Alignas(64) char slots[];
};

/* Small messages lie as close as they can, large ones on cache lines of their own. */
ALWAYS_INLINE static size_t stride(size_t size) { return size < 64 ? size : (size + 63) / 64 * 64; }

static size_t ring_bytes(const struct channel *channel) {
    return sizeof(struct ring) + channel->room * stride(channel->size);
}

static bool open_ring(struct channel *channel) {
    void *memory = mmap(NULL, ring_bytes(channel), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        fail("mmap");
    }
    memset(memory, 0, ring_bytes(channel));
    channel->ring = memory;
    return true;
}
static void close_ring(struct channel *channel) { munmap(channel->ring, ring_bytes(channel)); }

/* The next slot to be written. The room is a power of two. */
ALWAYS_INLINE static char *free_slot(struct channel *channel, struct lane *lane) {
    struct ring *ring = channel->ring;
    while (lane->mine - lane->seen >= channel->room) {
        lane->seen = atomic_load_explicit(&ring->got, memory_order_acquire);
        if (lane->mine - lane->seen >= channel->room) {
            relax();
        }
    }
    return ring->slots + (lane->mine & (channel->room - 1)) * stride(channel->size);
}
/* The next slot to be read. */
ALWAYS_INLINE static const char *full_slot(struct channel *channel, struct lane *lane) {
    struct ring *ring = channel->ring;
    while (lane->mine == lane->seen) {
        lane->seen = atomic_load_explicit(&ring->put, memory_order_acquire);
        if (lane->mine == lane->seen) {
            relax();
        }
    }
    return ring->slots + (lane->mine & (channel->room - 1)) * stride(channel->size);
}
ALWAYS_INLINE static void publish(_Atomic uint64_t *count, struct lane *lane) {
    atomic_store_explicit(count, ++lane->mine, memory_order_release);
}

ALWAYS_INLINE static void copies_send(struct channel *channel, struct lane *lane, const void *message) {
    memcpy(free_slot(channel, lane), message, channel->size);
    publish(&channel->ring->put, lane);
}
ALWAYS_INLINE static void copies_receive(struct channel *channel, struct lane *lane, void *room) {
    memcpy(room, full_slot(channel, lane), channel->size);
    publish(&channel->ring->got, lane);
}
LOOPS(copies)

static void produce_in_place(struct channel *channel, struct lane *lane, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        write_message(free_slot(channel, lane), channel->size, lane);
        publish(&channel->ring->put, lane);
    }
}
static void consume_in_place(struct channel *channel, struct lane *lane, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        read_message(full_slot(channel, lane), channel->size, lane);
        publish(&channel->ring->got, lane);
    }
}

static const struct way ways[] = {
    {"polled ring, two copies", ONE_TO_ONE | TRIP, 0, MIB, open_ring, copies_produce, copies_consume, close_ring},
    {"polled ring, in place", ONE_TO_ONE, LARGE, MIB, open_ring, produce_in_place, consume_in_place, close_ring},
};
WAYS(ways)
