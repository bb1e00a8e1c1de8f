/* Messages of 64 bytes from one process to another: one producer, one consumer, each on a processor of its own. */
#include "bench.h"

#include <fcntl.h>
#include <mqueue.h>
#include <sys/socket.h>

enum { SIZE = 64, ROOM = 1024 };

struct page {
    /* A block begins when its number is stored here, and ends when the consumer has stored it in `done`. */
    _Alignas(64) atomic_uint block;
    _Alignas(64) atomic_uint done;
    _Alignas(64) atomic_uint messages;
};

static struct page *page;
static mp_queue *queue;
static int ends[2];
static mqd_t posix;

static void make_queue(int64_t maxsize) {
    mp_queue_options options;
    ok(mp_queue_options_init(&options), "options");
    options.maxsize = maxsize;
    ok(mp_queue_new(&options, &queue), "queue");
}
static void open_bounded(void) { make_queue(ROOM); }
static void open_unbounded(void) { make_queue(0); }
static void put(const char *message) { ok(mp_queue_put(queue, message, SIZE, MP_FOREVER), "put"); }
static void get(char *message) {
    size_t length = 0;
    ok(mp_queue_get_into(queue, message, SIZE, &length, MP_FOREVER), "get");
}
static void free_queue(void) {
    mp_queue_free(queue);
    queue = NULL;
}

/* A pipe's default room is 64 KiB: 1024 of these messages. */
static void open_pipe(void) {
    if (pipe(ends) != 0) {
        fail("pipe");
    }
}
static void pipe_write(const char *message) {
    if (write(ends[1], message, SIZE) != SIZE) {
        fail("write");
    }
}
static void pipe_read(char *message) {
    if (read(ends[0], message, SIZE) != SIZE) {
        fail("read");
    }
}
static void close_ends(void) {
    close(ends[0]);
    close(ends[1]);
}

static void open_socket(void) {
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) != 0) {
        fail("socketpair");
    }
}
static void socket_send(const char *message) {
    if (send(ends[1], message, SIZE, 0) != SIZE) {
        fail("send");
    }
}
static void socket_receive(char *message) {
    if (recv(ends[0], message, SIZE, 0) != SIZE) {
        fail("recv");
    }
}

/* The name goes at once, so that nothing stays behind. Ten messages are what the system allows everybody. */
static void open_posix(void) {
    char name[64];
    struct mq_attr attributes = {.mq_maxmsg = 10, .mq_msgsize = SIZE};
    snprintf(name, sizeof name, "/libmp-bench-%d", (int)getpid());
    posix = mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &attributes);
    if (posix == (mqd_t)-1) {
        fail("mq_open");
    }
    mq_unlink(name);
}
static void posix_send(const char *message) {
    if (mq_send(posix, message, SIZE, 0) != 0) {
        fail("mq_send");
    }
}
static void posix_receive(char *message) {
    if (mq_receive(posix, message, SIZE, NULL) != SIZE) {
        fail("mq_receive");
    }
}
static void close_posix(void) { mq_close(posix); }

static const struct peer {
    const char *name;
    void (*open)(void);
    void (*send)(const char *);
    void (*receive)(char *);
    void (*close)(void);
} peers[] = {
    {"libmp", open_bounded, put, get, free_queue},
    {"pipe", open_pipe, pipe_write, pipe_read, close_ends},
    {"libmp, unbounded", open_unbounded, put, get, free_queue},
    {"AF_UNIX seqpacket", open_socket, socket_send, socket_receive, close_ends},
    {"POSIX mq", open_posix, posix_send, posix_receive, close_posix},
};
enum { PEERS = sizeof peers / sizeof *peers };

/* Checks the order, which costs the same for every peer. */
static void consume(const struct peer *peer) {
    uint64_t message[SIZE / 8], next = 0;
    pin(1);
    for (unsigned block = 1;; block++) {
        until(&page->block, block);
        unsigned messages = atomic_load(&page->messages);
        if (messages == 0) {
            _exit(0);
        }
        for (unsigned i = 0; i < messages; i++) {
            peer->receive((char *)message);
            if (message[0] != next++) {
                errno = 0;
                fail("a message is lost or out of order");
            }
        }
        atomic_store(&page->done, block);
    }
}

/* One block: as many messages in a millisecond as the answer says. */
static double send_block(const struct peer *peer, unsigned block, unsigned messages) {
    static uint64_t message[SIZE / 8];
    message[0] = block == 1 ? 0 : message[0];
    atomic_store(&page->messages, messages);
    uint64_t start = now_ns();
    atomic_store(&page->block, block);
    for (unsigned i = 0; i < messages; i++) {
        peer->send((const char *)message);
        message[0]++;
    }
    until(&page->done, block);
    return messages * 1e6 / (double)(now_ns() - start);
}

/* The first blocks only tell how many messages make a block of a few milliseconds. */
static void measure(const struct peer *peer, int share, struct samples *samples) {
    enum { TRIALS = 8, MILLISECONDS = 2 };
    double best = 0;
    unsigned messages = 200, block = 0;
    atomic_store(&page->block, 0);
    atomic_store(&page->done, 0);
    peer->open();
    pid_t consumer = helper();
    if (consumer == 0) {
        consume(peer);
    }
    pin(0);
    while (block < TRIALS) {
        double rate = send_block(peer, ++block, messages);
        best = rate > best ? rate : best;
        messages = (unsigned)(best * MILLISECONDS) + 1;
    }
    uint64_t end = now_ns() + 2000000U * (unsigned)share;
    while (now_ns() < end || samples->count < 4) {
        add(samples, send_block(peer, ++block, messages));
    }
    atomic_store(&page->messages, 0);
    atomic_store(&page->block, ++block);
    reap(consumer);
    peer->close();
}

int main(int argc, char **argv) {
    int share = percent(argc, argv);
    page = shared_page();
    for (int p = 0; p < PEERS; p++) {
        static struct samples samples;
        measure(&peers[p], share, &samples);
        tell("queue", peers[p].name, &samples);
    }
    return 0;
}
