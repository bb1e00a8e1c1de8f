/* Boost's message_queue: linked where Boost is. */
#include "boost.h"
#include "channel.h"

static bool open_queue(struct channel *channel) {
    static int number;
    char name[64];
    snprintf(name, sizeof name, "libmp-bench-%d-%d", (int)getpid(), number++);
    channel->boost = boost_queue_open(name, channel->room, channel->size);
    return true;
}
static void queue_send(struct channel *channel, UNUSED struct lane *lane, const void *message) {
    boost_queue_send(channel->boost, message, channel->size);
}
static void queue_receive(struct channel *channel, UNUSED struct lane *lane, void *room) {
    boost_queue_receive(channel->boost, room, channel->size);
}
static void close_queue(struct channel *channel) { boost_queue_close(channel->boost); }
LOOPS(queue)

static const struct way ways[] = {
    {"Boost message_queue", EVERYWHERE, 0, MIB, open_queue, queue_produce, queue_consume, close_queue},
};
WAYS(ways)
