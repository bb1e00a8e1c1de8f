/* What the kernel has for passing messages: pipes, sockets, message queues. */
#include "channel.h"

#include <fcntl.h>
#include <mqueue.h>
#include <sys/socket.h>

static bool open_pipe(struct channel *channel) {
    if (pipe(channel->ends) != 0) {
        fail("pipe");
    }
    return true;
}

/* Large messages come in parts. */
static void pipe_send(struct channel *channel, UNUSED struct lane *lane, const void *message) {
    const char *rest = message;
    for (size_t left = channel->size; left > 0;) {
        ssize_t count = write(channel->ends[1], rest, left);
        if (count <= 0) {
            fail("write");
        }
        rest += count;
        left -= (size_t)count;
    }
}
static void pipe_receive(struct channel *channel, UNUSED struct lane *lane, void *room) {
    char *rest = room;
    for (size_t left = channel->size; left > 0;) {
        ssize_t count = read(channel->ends[0], rest, left);
        if (count <= 0) {
            fail("read");
        }
        rest += count;
        left -= (size_t)count;
    }
}
static void close_ends(struct channel *channel) {
    close(channel->ends[0]);
    close(channel->ends[1]);
}
LOOPS(pipe)

/* The sender's room decides how large a message may be. The kernel answers twice what was asked for. */
static bool open_socket(struct channel *channel) {
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, channel->ends) != 0) {
        fail("socketpair");
    }
    if (channel->size <= LARGE) {
        return true;
    }
    int room = (int)(2 * channel->size), got = 0;
    socklen_t length = sizeof got;
    setsockopt(channel->ends[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    getsockopt(channel->ends[1], SOL_SOCKET, SO_SNDBUF, &got, &length);
    if (got < room) {
        close_ends(channel);
        return false;
    }
    return true;
}
static void socket_send(struct channel *channel, UNUSED struct lane *lane, const void *message) {
    if (send(channel->ends[1], message, channel->size, 0) != (ssize_t)channel->size) {
        fail("send");
    }
}
static void socket_receive(struct channel *channel, UNUSED struct lane *lane, void *room) {
    if (recv(channel->ends[0], room, channel->size, 0) != (ssize_t)channel->size) {
        fail("recv");
    }
}
LOOPS(socket)

/* The name goes at once, so that nothing stays behind. Ten messages are what the system allows everybody. */
static bool open_posix(struct channel *channel) {
    static int number;
    char name[64];
    struct mq_attr attributes = {.mq_maxmsg = 10, .mq_msgsize = (long)channel->size};
    snprintf(name, sizeof name, "/libmp-bench-%d-%d", (int)getpid(), number++);
    mqd_t queue = mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &attributes);
    if (queue == (mqd_t)-1) {
        fail("mq_open");
    }
    mq_unlink(name);
    channel->ends[0] = queue;
    return true;
}
static void posix_send(struct channel *channel, UNUSED struct lane *lane, const void *message) {
    if (mq_send(channel->ends[0], message, channel->size, 0) != 0) {
        fail("mq_send");
    }
}
static void posix_receive(struct channel *channel, UNUSED struct lane *lane, void *room) {
    if (mq_receive(channel->ends[0], room, channel->size, NULL) != (ssize_t)channel->size) {
        fail("mq_receive");
    }
}
static void close_posix(struct channel *channel) { mq_close(channel->ends[0]); }
LOOPS(posix)

static const struct way ways[] = {
    {"pipe", EVERYWHERE, 0, MIB, open_pipe, pipe_produce, pipe_consume, close_ends},
    {"AF_UNIX seqpacket", EVERYWHERE, 0, MIB, open_socket, socket_produce, socket_consume, close_ends},
    {"POSIX mq", EVERYWHERE, 0, 8 * KIB, open_posix, posix_produce, posix_consume, close_posix},
};
WAYS(ways)
