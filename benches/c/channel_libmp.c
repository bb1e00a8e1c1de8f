/* libmp's queue, called message by message. */
#include "channel.h"

static bool make_queue(struct channel *channel, int64_t room) {
    mp_queue_options options;
    ok(mp_queue_options_init(&options), "options");
    options.maxsize = room;
    ok(mp_queue_new(&options, &channel->queue), "queue");
    return true;
}
static bool open_bounded(struct channel *channel) { return make_queue(channel, channel->room); }
static bool open_unbounded(struct channel *channel) { return make_queue(channel, 0); }

static void queue_send(struct channel *channel, UNUSED struct lane *lane, const void *message) {
    ok(mp_queue_put(channel->queue, message, channel->size, MP_FOREVER), "put");
}
static void queue_receive(struct channel *channel, UNUSED struct lane *lane, void *room) {
    size_t length = 0;
    ok(mp_queue_get_into(channel->queue, room, channel->size, &length, MP_FOREVER), "get");
}
LOOPS(queue)

/* A large message is read where it lies. */
static void consume_borrowed(struct channel *channel, struct lane *lane, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        mp_buffer *buffer = NULL;
        ok(mp_queue_get(channel->queue, MP_FOREVER, &buffer), "get");
        read_message(mp_buffer_data(buffer), channel->size, lane);
        mp_buffer_free(buffer);
    }
}

static void close_queue(struct channel *channel) { mp_queue_free(channel->queue); }

static const struct way ways[] = {
    {"libmp", EVERYWHERE, 0, MIB, open_bounded, queue_produce, queue_consume, close_queue},
    {"libmp, unbounded", ONE_TO_ONE, 64, 64, open_unbounded, queue_produce, queue_consume, close_queue},
    {"libmp put, get", ONE_TO_ONE, LARGE, MIB, open_bounded, queue_produce, consume_borrowed, close_queue},
};
WAYS(ways)
