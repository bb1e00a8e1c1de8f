/* libmp's calls for many messages at once and for messages made in place, and its connections. */
#include "channel.h"

static bool open_queue(struct channel *channel) {
    mp_queue_options options;
    ok(mp_queue_options_init(&options), "options");
    options.maxsize = channel->room;
    ok(mp_queue_new(&options, &channel->queue), "queue");
    return true;
}
static void close_queue(struct channel *channel) { mp_queue_free(channel->queue); }

static void produce_many(struct channel *channel, struct lane *lane, unsigned count) {
    mp_slice slices[BATCH];
    for (int i = 0; i < BATCH; i++) {
        slices[i] = (mp_slice){lane->buffer + (size_t)i * channel->size, channel->size};
    }
    while (count > 0) {
        unsigned batch = count < BATCH ? count : BATCH;
        size_t done = 0;
        for (unsigned i = 0; i < batch; i++) {
            write_message(lane->buffer + i * channel->size, channel->size, lane);
        }
        ok(mp_queue_put_many(channel->queue, slices, batch, MP_FOREVER, &done), "put many");
        count -= batch;
    }
}

static void consume_many(struct channel *channel, struct lane *lane, unsigned count) {
    mp_slice slices[BATCH];
    while (count > 0) {
        size_t got = 0, most = count < BATCH ? count : BATCH;
        ok(mp_queue_get_many_into(channel->queue, lane->buffer, BATCH * channel->size, slices, most, MP_FOREVER, &got),
           "get many");
        for (size_t i = 0; i < got; i++) {
            read_message(slices[i].data, channel->size, lane);
        }
        count -= (unsigned)got;
    }
}

static void produce_reserved(struct channel *channel, struct lane *lane, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        void *data = NULL;
        mp_reservation *reservation = NULL;
        ok(mp_queue_reserve(channel->queue, channel->size, MP_FOREVER, &data, &reservation), "reserve");
        write_message(data, channel->size, lane);
        ok(mp_queue_commit(reservation), "commit");
    }
}

static void consume_borrowed(struct channel *channel, struct lane *lane, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        mp_buffer *buffer = NULL;
        ok(mp_queue_get(channel->queue, MP_FOREVER, &buffer), "get");
        read_message(mp_buffer_data(buffer), channel->size, lane);
        mp_buffer_free(buffer);
    }
}

static bool open_connections(struct channel *channel) {
    mp_connection *receiver = NULL, *sender = NULL;
    ok(mp_pipe(false, &receiver, &sender), "pipe");
    channel->connections[0] = receiver;
    channel->connections[1] = sender;
    return true;
}
static void connection_send(struct channel *channel, UNUSED struct lane *lane, const void *message) {
    ok(mp_connection_send(channel->connections[1], message, channel->size, MP_FOREVER), "send");
}
static void connection_receive(struct channel *channel, UNUSED struct lane *lane, void *room) {
    size_t length = 0;
    ok(mp_connection_recv_into(channel->connections[0], room, channel->size, &length, MP_FOREVER), "receive");
}
static void close_connections(struct channel *channel) {
    mp_connection_free(channel->connections[0]);
    mp_connection_free(channel->connections[1]);
}
LOOPS(connection)

static const struct way ways[] = {
    {"libmp many", ONE_TO_ONE | TWO_TO_TWO, 0, KIB, open_queue, produce_many, consume_many, close_queue},
    {"libmp reserve, get", ONE_TO_ONE, LARGE, MIB, open_queue, produce_reserved, consume_borrowed, close_queue},
    {"libmp connection", ONE_TO_ONE | TRIP | SLEEPS, 0, 64, open_connections, connection_produce, connection_consume,
     close_connections},
};
WAYS(ways)
