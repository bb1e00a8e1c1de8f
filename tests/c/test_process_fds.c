/*
 * Descriptors of processes: what a child has under which number, and that nothing else of it changes. Standard streams
 * are in test_process_streams.c.
 */
#include "files.h"

#include <sys/resource.h>

enum { MOST = 250 };

/* The numbers of the open descriptors, in ascending order; the one that it takes to ask is not among them. */
static int list(int *numbers, int cap) {
    int count = 0;
    for (int fd = 0; fd < 1024; fd++)
        if (fcntl(fd, F_GETFD) >= 0 && count < cap)
            numbers[count++] = fd;
    return count;
}

/* -- checks in the child -- */

/* What a child is to find. */
typedef struct expected {
    bool spawned, nested;
    int own; /* how many descriptors of libmp's a spawned child has */
    int count;
    struct {
        int fd;
        file file;
    } entries[MOST];
} expected;

static void expect(expected *what, int fd, file found) {
    what->entries[what->count].fd = fd;
    what->entries[what->count++].file = found;
}

static int32_t find(mp_call *call) {
    static expected what;
    int numbers[1024], others = 0;
    CHECK_EQ(sizeof what, mp_call_arg(call, 0).len);
    memcpy(&what, mp_call_arg(call, 0).data, sizeof what);
    for (int i = 0; i < what.count; i++) {
        int fd = what.entries[i].fd, flags = fcntl(fd, F_GETFD);
        if (!same(what.entries[i].file, file_of(fd)))
            check_equal(__FILE__, __LINE__, "the file of a descriptor", -1, fd);
        CHECK_EQ(what.entries[i].file.open ? 0 : -1, flags);
    }
    int count = list(numbers, 1024);
    for (int i = 0; i < count; i++) {
        bool known = numbers[i] <= 2;
        for (int k = 0; k < what.count; k++)
            known = known || what.entries[k].fd == numbers[i];
        others += !known;
    }
    if (what.spawned)
        CHECK_EQ(what.own, others);
    /* libmp goes on with what is its own. */
    if (what.nested)
        for (int i = 0; i < 2; i++)
            CHECK_EQ(6, run(six, "", 0, METHODS[i]));
    return 0;
}

/* A child with this map finds what it should. */
static void check_map(const mp_fd_map *map, size_t n, int32_t method, bool daemon) {
    static expected what;
    mp_process_options options;
    memset(&what, 0, sizeof what);
    what.spawned = method == MP_START_SPAWN;
    what.own = daemon ? 2 : 1;
    what.nested = true;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    file closed = {0};
    for (size_t i = 0; i < n; i++)
        expect(&what, map[i].as,
               map[i].fd == MP_FD_NULL     ? file_of(null)
               : map[i].fd == MP_FD_CLOSED ? closed
                                           : file_of(map[i].fd));
    close(null);
    CHECK_OK(mp_process_options_init(&options));
    options.fds = map;
    options.nfds = n;
    options.daemon = daemon;
    CHECK_EQ(0, run_with(find, &what, sizeof what, method, &options));
}

/* -- places -- */

static void every_order_and_overlap_works(int32_t method) {
    int a[2], b[2], c[2];
    make_pipe(a);
    make_pipe(b);
    make_pipe(c);
    const mp_fd_map plain[] = {{a[0], 20}, {a[1], 10}, {a[0], 15}};
    const mp_fd_map itself[] = {{a[0], a[0]}, {b[0], b[0]}, {a[1], 30}};
    const mp_fd_map swap[] = {{a[0], a[1]}, {a[1], a[0]}};
    const mp_fd_map ring[] = {{a[0], b[0]}, {b[0], c[0]}, {c[0], c[1]}, {c[1], a[0]}};
    const mp_fd_map chain[] = {{a[0], b[0]}, {b[0], c[0]}, {c[0], 21}, {MP_FD_CLOSED, a[0]}, {MP_FD_NULL, b[1]}};
    const mp_fd_map late[] = {{MP_FD_CLOSED, a[0]}, {MP_FD_NULL, a[1]}, {a[0], 11}, {a[1], 12}};
    const mp_fd_map standard[] = {{a[0], 0}, {2, 3}, {1, 4}, {0, 5}};
    const mp_fd_map none[] = {{MP_FD_NULL, 0}, {MP_FD_NULL, 7}, {MP_FD_CLOSED, 1}, {MP_FD_CLOSED, 9}};
    for (int daemon = 0; daemon < 2; daemon++) {
        check_map(NULL, 0, method, daemon);
        check_map(plain, 3, method, daemon);
        check_map(itself, 3, method, daemon);
        check_map(swap, 2, method, daemon);
        check_map(ring, 4, method, daemon);
        check_map(chain, 5, method, daemon);
        check_map(late, 4, method, daemon);
        check_map(standard, 4, method, daemon);
        check_map(none, 4, method, daemon);
    }
    close_pipe(a);
    close_pipe(b);
    close_pipe(c);
}

/* All numbers that libmp has here, the arena's and the pipes', are given to another file. */
static void libmps_own_make_way(int32_t method) {
    int ends[2];
    mp_fd_map map[MOST];
    make_pipe(ends);
    for (int daemon = 0; daemon < 2; daemon++) {
        for (int i = 0; i < 60; i++)
            map[i] = (mp_fd_map){i % 3 == 2 ? MP_FD_NULL : ends[i % 3], 3 + i};
        check_map(map, 60, method, daemon);
        for (int i = 0; i < 60; i++)
            map[i].fd = MP_FD_CLOSED;
        check_map(map, 60, method, daemon);
        for (int i = 0; i < MOST; i++)
            map[i] = (mp_fd_map){ends[i % 2], i};
        map[2].fd = 2;
        check_map(map, MOST, method, daemon);
    }
    close_pipe(ends);
}

/* Says its pid into 5 and dies with its parent, though all of libmp's numbers are taken. */
static int32_t say_and_sleep(mp_call *call) {
    pid_t pid = getpid();
    CHECK_EQ(sizeof pid, write(5, &pid, sizeof pid));
    return sleep_for_ever(call);
}

static void a_daemon_with_descriptors_dies_with_its_parent(int32_t method) {
    int ends[2];
    char byte;
    pid_t child = 0;
    make_pipe(ends);
    pid_t parent = fork();
    if (parent == 0) {
        mp_fd_map map[40];
        mp_process_options options;
        CHECK_OK(mp_process_options_init(&options));
        for (int i = 0; i < 40; i++)
            map[i] = (mp_fd_map){i == 2 ? ends[1] : MP_FD_NULL, 3 + i};
        options.fds = map;
        options.nfds = 40;
        options.daemon = true;
        mp_process *process = make_with(say_and_sleep, "", 0, method, &options);
        CHECK_OK(mp_process_start(process));
        close_pipe(ends);
        for (;;)
            pause();
    }
    CHECK_EQ(0, close(ends[1]));
    CHECK_EQ(sizeof child, read(ends[0], &child, sizeof child));
    CHECK_EQ(0, kill(parent, SIGKILL));
    CHECK_EQ(-SIGKILL, check_wait(parent));
    /* The forked child has a copy of the other end under its own number, too: all are closed by its end. */
    CHECK_EQ(0, read(ends[0], &byte, 1));
    CHECK_EQ(0, close(ends[0]));
}

/* -- errors -- */

static void cannot_be_made(const mp_process_options *options, mp_status status, const char *part) {
    mp_process *process = NULL;
    CHECK_STATUS(status, mp_process_new(six, NULL, 0, options, &process));
    CHECK_ERROR_HAS(part);
}

static void bad_maps_are_refused(void) {
    mp_fd_map map[MOST + 1];
    mp_process_options options;
    for (int i = 0; i < MOST + 1; i++)
        map[i] = (mp_fd_map){1, 3 + i};
    CHECK_OK(mp_process_options_init(&options));
    options.nfds = 1;
    cannot_be_made(&options, MP_ERR_INVALID, "options.fds is NULL");
    options.fds = map;
    options.nfds = MOST + 1;
    cannot_be_made(&options, MP_ERR_TOO_LARGE, "options.nfds is 251, but at most 250 can be passed");
    options.nfds = 2;
    map[1].as = 3;
    cannot_be_made(&options, MP_ERR_INVALID, "options.fds[1].as is 3, as that of options.fds[0] is");
    map[1] = (mp_fd_map){1, -1};
    cannot_be_made(&options, MP_ERR_INVALID, "options.fds[1].as is -1");
    map[1] = (mp_fd_map){-3, 4};
    cannot_be_made(&options, MP_ERR_INVALID, "options.fds[1].fd is -3");
}

static void cannot_be_started(const mp_fd_map *map, int32_t method, const char *part) {
    mp_process_options options;
    CHECK_OK(mp_process_options_init(&options));
    options.fds = map;
    options.nfds = 2;
    mp_process *process = make_with(six, "", 0, method, &options);
    CHECK_STATUS(MP_ERR_INVALID, mp_process_start(process));
    CHECK_ERROR_HAS(part);
    CHECK_OK(mp_forkserver_stop());
    CHECK_EQ(-1, waitpid(-1, NULL, WNOHANG | __WALL));
    mp_process_free(process);
}

static void maps_are_looked_up_at_the_start(int32_t method) {
    struct rlimit limit;
    int ends[2];
    CHECK_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
    const mp_fd_map closed[] = {{1, 5}, {399, 6}}, itself[] = {{1, 5}, {399, 399}};
    const mp_fd_map beyond[] = {{1, 5}, {1, INT32_MAX}}, just_beyond[] = {{1, 5}, {1, (int)limit.rlim_cur}};
    cannot_be_started(closed, method, "options.fds[1].fd is 399, which is not open");
    cannot_be_started(itself, method, "options.fds[1].fd is 399, which is not open");
    cannot_be_started(beyond, method, "options.fds[1].as is 2147483647, but RLIMIT_NOFILE allows no number above");
    cannot_be_started(just_beyond, method, "options.fds[1].as is");
    make_pipe(ends);
    mp_process_options options;
    const mp_fd_map map = {399, 1};
    CHECK_OK(mp_process_options_init(&options));
    options.fds = &map;
    options.nfds = 1;
    mp_process *process = make_with(six, "", 0, method, &options);
    CHECK_STATUS(MP_ERR_INVALID, mp_process_start(process));
    CHECK_EQ(399, dup2(ends[1], 399));
    CHECK_OK(mp_process_start(process));
    CHECK_EQ(6, finish(process));
    CHECK_EQ(0, close(399));
    close_pipe(ends);
}

/* -- the parent -- */

static void nothing_of_the_parents_changes(int32_t method) {
    int before[1024], after[1024], ends[2];
    file files[1024];
    make_pipe(ends);
    const mp_fd_map map[] = {{ends[0], ends[1]}, {ends[1], ends[0]}, {MP_FD_NULL, 0}, {MP_FD_CLOSED, 1}, {2, 3}};
    const mp_fd_map wrong[] = {{ends[0], ends[1]}, {ends[1], ends[0]}, {MP_FD_NULL, 0}, {399, 1}};
    mp_process_options options;
    CHECK_OK(mp_process_options_init(&options));
    options.fds = map;
    options.nfds = 5;
    options.daemon = true;
    CHECK_EQ(6, run_with(six, "", 0, method, &options));
    int count = list(before, 1024);
    for (int i = 0; i < count; i++)
        files[i] = file_of(before[i]);
    int flags = fcntl(ends[0], F_GETFD);
    for (int i = 0; i < 100; i++) {
        options.fds = i % 4 == 3 ? wrong : map;
        options.nfds = i % 4 == 3 ? 4 : 5;
        mp_process *process = make_with(six, "", 0, method, &options);
        CHECK_STATUS(i % 4 == 3 ? MP_ERR_INVALID : MP_OK, mp_process_start(process));
        if (i % 4 == 3)
            mp_process_free(process);
        else
            CHECK_EQ(6, finish(process));
    }
    CHECK_EQ(count, list(after, 1024));
    for (int i = 0; i < count; i++)
        CHECK(before[i] == after[i] && same(files[i], file_of(after[i])));
    CHECK_EQ(FD_CLOEXEC, flags);
    CHECK_EQ(flags, fcntl(ends[0], F_GETFD));
    close_pipe(ends);
}

int main(int argc, char **argv) {
    if (getenv("MP_CHILD") == NULL)
        check_begin();
    CHECK_OK(mp_main_init(argc, argv));
    for (int i = 0; i < 2; i++) {
        every_order_and_overlap_works(METHODS[i]);
        libmps_own_make_way(METHODS[i]);
        a_daemon_with_descriptors_dies_with_its_parent(METHODS[i]);
        maps_are_looked_up_at_the_start(METHODS[i]);
        nothing_of_the_parents_changes(METHODS[i]);
    }
    bad_maps_are_refused();
    return 0;
}
