/*
 * Descriptors of processes: what a child has under which number, and that nothing else of it changes.
 */
#include "process.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum { MOST = 250 };

/* -- what is behind a number -- */

/* A file, or none. */
typedef struct file {
    bool open;
    dev_t device;
    ino_t inode;
} file;

static file file_of(int fd) {
    struct stat stat;
    file found = {0};
    if (fstat(fd, &stat) == 0) {
        found.open = true;
        found.device = stat.st_dev;
        found.inode = stat.st_ino;
    }
    return found;
}

static bool same(file a, file b) {
    return a.open == b.open && (!a.open || (a.device == b.device && a.inode == b.inode));
}

/* The numbers of the open descriptors, in ascending order; the one that it takes to ask is not among them. */
static int list(int *numbers, int cap) {
    int count = 0;
    for (int fd = 0; fd < 1024; fd++)
        if (fcntl(fd, F_GETFD) >= 0 && count < cap)
            numbers[count++] = fd;
    return count;
}

/* A pipe's two ends, high enough to be in nobody's way. */
static void make_pipe(int ends[2]) {
    int low[2];
    CHECK_EQ(0, pipe2(low, O_CLOEXEC));
    for (int i = 0; i < 2; i++) {
        ends[i] = fcntl(low[i], F_DUPFD_CLOEXEC, 400);
        CHECK(ends[i] >= 400);
        close(low[i]);
    }
}

static void close_pipe(const int ends[2]) { CHECK_EQ(0, close(ends[0]) | close(ends[1])); }

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

static int32_t six(mp_call *call) {
    (void)call;
    return 6;
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

/* -- redirection -- */

static int32_t copy_a_line(mp_call *call) {
    char line[100];
    (void)call;
    CHECK(fgets(line, sizeof line, stdin) != NULL);
    printf("out %s", line);
    fprintf(stderr, "err %s", line);
    return 0;
}

static void expect_text(int fd, const char *text) {
    char found[200];
    ssize_t n, len = 0;
    while ((n = read(fd, found + len, sizeof found - 1 - (size_t)len)) > 0)
        len += n;
    found[len] = 0;
    CHECK_STRING(text, found);
}

static void standard_streams_are_redirected(int32_t method) {
    int in[2], out[2];
    make_pipe(in);
    make_pipe(out);
    FILE *file = tmpfile();
    const mp_fd_map map[] = {{in[0], 0}, {out[1], 1}, {fileno(file), 2}};
    mp_process_options options;
    CHECK_OK(mp_process_options_init(&options));
    options.fds = map;
    options.nfds = 3;
    CHECK_EQ(6, write(in[1], "hello\n", 6));
    CHECK_EQ(0, run_with(copy_a_line, "", 0, method, &options));
    CHECK_EQ(0, close(out[1]));
    expect_text(out[0], "out hello\n");
    CHECK_EQ(0, lseek(fileno(file), 0, SEEK_SET));
    expect_text(fileno(file), "err hello\n");
    fclose(file);
    close_pipe(in);
    CHECK_EQ(0, close(out[0]));
}

/* What this process has in its streams' buffers is neither read nor written by a child with others. */
static void buffers_stay_the_parents(int32_t method) {
    int out[2], in[2], childs[2];
    char line[100];
    make_pipe(out);
    make_pipe(in);
    make_pipe(childs);
    pid_t parent = fork();
    if (parent == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        const mp_fd_map map[] = {{childs[0], 0}, {childs[1], 1}, {MP_FD_NULL, 2}};
        mp_process_options options;
        CHECK_OK(mp_process_options_init(&options));
        options.fds = map;
        options.nfds = 3;
        CHECK_EQ(8, write(in[1], "one\ntwo\n", 8));
        CHECK(fgets(line, sizeof line, stdin) != NULL);
        CHECK_EQ(6, write(childs[1], "three\n", 6));
        printf("parent ");
        CHECK_EQ(0, run_with(copy_a_line, "", 0, method, &options));
        CHECK(fgets(line, sizeof line, stdin) != NULL);
        printf("%s", line);
        exit(0);
    }
    CHECK_EQ(0, check_wait(parent));
    CHECK_EQ(0, close(out[1]) | close(childs[1]));
    expect_text(out[0], "parent two\n");
    expect_text(childs[0], "out three\n");
    CHECK_EQ(0, close(out[0]) | close(childs[0]));
    close_pipe(in);
}

static int32_t use_null(mp_call *call) {
    char byte;
    struct stat stat;
    (void)call;
    for (int fd = 0; fd < 2; fd++) {
        CHECK_EQ(0, fstat(fd, &stat));
        CHECK(S_ISCHR(stat.st_mode) && major(stat.st_rdev) == 1 && minor(stat.st_rdev) == 3);
        CHECK_EQ(0, read(fd, &byte, 1));
        CHECK_EQ(1, write(fd, "x", 1));
    }
    return 0;
}

static void null_is_read_and_written(int32_t method) {
    const mp_fd_map map[] = {{MP_FD_NULL, 0}, {MP_FD_NULL, 1}};
    mp_process_options options;
    CHECK_OK(mp_process_options_init(&options));
    options.fds = map;
    options.nfds = 2;
    CHECK_EQ(0, run_with(use_null, "", 0, method, &options));
}

/* A child gives a pipe of its own to its child, and what it was given itself. */
static int32_t start_another(mp_call *call) {
    int32_t method = answer(call);
    int own[2];
    char text[20] = "";
    CHECK_EQ(0, pipe(own));
    const mp_fd_map map[] = {{9, 0}, {own[1], 1}, {own[0], 2}};
    mp_process_options options;
    CHECK_OK(mp_process_options_init(&options));
    options.fds = map;
    options.nfds = 2;
    CHECK_EQ(0, run_with(copy_a_line, "", 0, method, &options));
    CHECK_EQ(9, read(own[0], text, sizeof text));
    CHECK_STRING("out deep\n", text);
    return 0;
}

static void children_have_children_with_descriptors(int32_t outer, int32_t inner) {
    int in[2];
    make_pipe(in);
    const mp_fd_map map[] = {{in[0], 9}, {MP_FD_NULL, 2}};
    mp_process_options options;
    CHECK_OK(mp_process_options_init(&options));
    options.fds = map;
    options.nfds = 2;
    CHECK_EQ(5, write(in[1], "deep\n", 5));
    CHECK_EQ(0, run_with(start_another, &inner, sizeof inner, outer, &options));
    close_pipe(in);
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

/* -- hosts without standard streams -- */

static bool are_closed(unsigned which) {
    for (int fd = 0; fd < 3; fd++)
        if ((which >> fd & 1) != 0 && fcntl(fd, F_GETFD) >= 0)
            return false;
    return true;
}

/* Exit codes tell, for there may be no stderr. */
static int32_t find_them_closed(mp_call *call) {
    unsigned which = (unsigned)answer(call);
    if (!are_closed(which))
        return 10;
    mp_process *process = start(six, "", 0, MP_START_FORK, true);
    if (!are_closed(which))
        return 11;
    if (finish(process) != 6 || run(six, "", 0, MP_START_SPAWN) != 6)
        return 12;
    return are_closed(which) ? 13 : 14;
}

static int32_t read_from_three(mp_call *call) {
    (void)call;
    char byte = 0;
    return read(3, &byte, 1) == 1 && byte == 'x' && file_of(1).open && file_of(0).open ? 15 : 16;
}

/* A fresh process, in which libmp opens whatever it opens. */
static int without(unsigned which) {
    for (int fd = 0; fd < 3; fd++)
        if ((which >> fd & 1) != 0)
            close(fd);
    mp_process *sleepers[4];
    int32_t argument = (int32_t)which, fd;
    for (int i = 0; i < 4; i++) {
        sleepers[i] = start(sleep_for_ever, "", 0, METHODS[i % 2], i < 2);
        CHECK_OK(mp_process_sentinel(sleepers[i], &fd));
        if (fd < 3 || !are_closed(which))
            return 20;
    }
    for (int i = 0; i < 2; i++) {
        for (int daemon = 0; daemon < 2; daemon++)
            if (finish(start(find_them_closed, &argument, sizeof argument, METHODS[i], daemon)) != 13)
                return 21;
        int ends[2];
        make_pipe(ends);
        const mp_fd_map map[] = {{ends[1], 1}, {ends[0], 3}, {MP_FD_NULL, 0}};
        mp_process_options options;
        CHECK_OK(mp_process_options_init(&options));
        options.fds = map;
        options.nfds = 3;
        if (write(ends[1], "x", 1) != 1 || run_with(read_from_three, "", 0, METHODS[i], &options) != 15)
            return 22;
        close_pipe(ends);
    }
    for (int i = 0; i < 4; i++) {
        CHECK_OK(mp_process_kill(sleepers[i]));
        if (finish(sleepers[i]) != -SIGKILL)
            return 23;
    }
    return are_closed(which) ? 0 : 24;
}

static void standard_streams_may_be_closed(void) {
    const unsigned which[] = {2, 1, 3, 7};
    for (int i = 0; i < 4; i++) {
        pid_t host = fork();
        if (host == 0)
            exit(without(which[i]));
        CHECK_EQ(0, check_wait(host));
    }
}

int main(int argc, char **argv) {
    if (getenv("MP_CHILD") == NULL)
        check_begin();
    CHECK_OK(mp_main_init(argc, argv));
    /* First, while libmp has nothing open yet. */
    standard_streams_may_be_closed();
    for (int i = 0; i < 2; i++) {
        every_order_and_overlap_works(METHODS[i]);
        libmps_own_make_way(METHODS[i]);
        a_daemon_with_descriptors_dies_with_its_parent(METHODS[i]);
        standard_streams_are_redirected(METHODS[i]);
        buffers_stay_the_parents(METHODS[i]);
        null_is_read_and_written(METHODS[i]);
        for (int k = 0; k < 2; k++)
            children_have_children_with_descriptors(METHODS[i], METHODS[k]);
        maps_are_looked_up_at_the_start(METHODS[i]);
        nothing_of_the_parents_changes(METHODS[i]);
    }
    bad_maps_are_refused();
    return 0;
}
