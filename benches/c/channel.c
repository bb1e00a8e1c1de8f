/* See channel.h. */
#include "channel.h"

static const struct way *ways[MOST_CHANNELS];
static int way_count;

void add_way(const struct way *way) {
    if (way_count == MOST_CHANNELS) {
        errno = 0;
        fail("too many ways");
    }
    ways[way_count++] = way;
}

/* As many messages as a pipe of the default size holds of 64 bytes; fewer large ones. */
static unsigned room_for(size_t size) { return size < LARGE ? 1024 : size < MIB ? 16 : 4; }

int open_channels(struct channel *channels, unsigned part, size_t size) {
    int count = 0;
    for (int i = 0; i < way_count; i++) {
        const struct way *way = ways[i];
        if ((way->parts & part) == part && way->least <= size && size <= way->most) {
            channels[count] = (struct channel){.way = way, .size = size, .room = room_for(size)};
            count += way->open(&channels[count]);
        }
    }
    return count;
}

void close_channels(struct channel *channels, int count) {
    for (int i = 0; i < count; i++) {
        channels[i].way->close(&channels[i]);
    }
}

void open_lanes(struct lane *lanes, int count, unsigned producer, size_t size) {
    size_t room = size < LARGE ? size * BATCH : size;
    char *buffer = aligned_alloc(64, (room + 63) / 64 * 64);
    if (buffer == NULL) {
        fail("aligned_alloc");
    }
    memset(buffer, 0, room);
    for (int i = 0; i < count; i++) {
        lanes[i] = (struct lane){.next = ((uint64_t)producer << 56) + 1, .buffer = buffer};
    }
}

void write_all(void *message, size_t size, uint64_t number) {
    uint64_t *words = message;
    for (size_t i = 0; i < size / sizeof *words; i++) {
        words[i] = number + i;
    }
}

void read_all(const void *message, size_t size, uint64_t number) {
    const uint64_t *words = message;
    uint64_t count = size / sizeof *words, sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += words[i];
    }
    if (sum != count * number + count * (count - 1) / 2) {
        errno = 0;
        fail("a message has been changed on the way");
    }
}
