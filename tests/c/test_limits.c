/* check: unsanitized, check: alone
 * Under every limit that a system may set, libmp works, or answers MP_ERR_NO_MEMORY and names the limit; and it never
 * leads to a signal or to the kernel's killer. Each case is a process with an arena of its own. */
#include "queue.h"
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define MIB ((size_t)1 << 20)

static void limit(int which, rlim_t bytes) {
    struct rlimit limit = {bytes, bytes};
    CHECK_EQ(0, setrlimit(which, &limit));
}

/* The number beside a word in a file of words and numbers; 0 if there is none. */
static size_t number_in(const char *path, const char *word) {
    char line[512];
    size_t number = 0;
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, word, strlen(word)) == 0)
            sscanf(line + strlen(word), "%zu", &number);
    if (file)
        fclose(file);
    return number;
}

/* Puts messages of so many bytes until there is no room for more; how many. */
static size_t put_until_refused(mp_queue *queue, size_t length) {
    char *bytes = calloc(1, length);
    CHECK(bytes);
    mp_status status;
    size_t count = 0;
    while ((status = mp_queue_put(queue, bytes, length, 0)) == MP_OK)
        count++;
    CHECK_STATUS(MP_ERR_NO_MEMORY, status);
    free(bytes);
    return count;
}

static void get_all(mp_queue *queue) {
    mp_buffer *buffer;
    while (size_of(queue) != 0) {
        CHECK_OK(mp_queue_get(queue, 0, &buffer));
        mp_buffer_free(buffer);
    }
}

/* All that a small program does with an arena, between two processes. */
static mp_queue *use_arena(void) {
    mp_lock *lock;
    mp_queue *queue = queue_of(0), *back = queue_of(0);
    CHECK_OK(mp_lock_new(&lock));
    pid_t child = fork();
    if (child == 0) {
        mp_buffer *message;
        CHECK_OK(mp_queue_get(queue, MP_FOREVER, &message));
        check_filled(mp_buffer_data(message), mp_buffer_len(message), 3);
        CHECK_OK(mp_lock_acquire(lock, MP_FOREVER));
        put_number(back, mp_buffer_len(message));
        _exit(0);
    }
    unsigned char *bytes = malloc(3 * MIB);
    CHECK(bytes);
    fill(bytes, 3 * MIB, 3);
    CHECK_OK(mp_queue_put(queue, bytes, 3 * MIB, MP_FOREVER));
    free(bytes);
    CHECK_EQ(3 * MIB, get_number(back));
    CHECK_EQ(0, check_wait(child));
    CHECK_STATUS(MP_OWNER_DEAD, mp_lock_acquire(lock, MP_FOREVER));
    mp_lock_free(lock);
    mp_queue_free(back);
    return queue;
}

static void address_space(void) {
    limit(RLIMIT_AS, (number_in("/proc/self/status", "VmSize:") << 10) + 400 * MIB);
    mp_queue *queue = use_arena();
    CHECK(put_until_refused(queue, MIB) >= 40);
    CHECK_ERROR_HAS("RLIMIT_AS");
    CHECK_ERROR_HAS("1048576");
    get_all(queue);
    mp_queue_free(use_arena());
    void *rest = malloc(100 * MIB);
    CHECK(rest);
    free(rest);
}

static void file_size(void) {
    limit(RLIMIT_FSIZE, 100 * MIB);
    mp_queue *queue = use_arena();
    CHECK(put_until_refused(queue, MIB) >= 40);
    CHECK_ERROR_HAS("RLIMIT_FSIZE");
    get_all(queue);
    CHECK(put_until_refused(queue, 20 * MIB) >= 1);
}

static void tiny_file_size(void) {
    mp_lock *lock;
    limit(RLIMIT_FSIZE, MIB);
    CHECK_STATUS(MP_ERR_NO_MEMORY, mp_lock_new(&lock));
    CHECK(lock == NULL);
    CHECK_ERROR_HAS("RLIMIT_FSIZE");
}

static int count_descriptors(void) {
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    CHECK(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

/* Bytes of the arena's file that are in memory. */
static size_t arena_bytes(void) {
    size_t found = 0;
    for (int fd = 0; fd < 64; fd++) {
        char path[40], name[64] = "";
        struct stat stat;
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        if (readlink(path, name, sizeof name - 1) > 0 && strstr(name, "memfd:libmp") && fstat(fd, &stat) == 0)
            found = (size_t)stat.st_blocks * 512;
    }
    CHECK(found);
    return found;
}

/* This process's own memory and the arena's. */
static size_t all_bytes(void) {
    size_t resident = number_in("/proc/self/status", "VmRSS:"), shared = number_in("/proc/self/status", "RssShmem:");
    return ((resident - shared) << 10) + arena_bytes();
}

enum { LOCKS = 100000, QUEUES = 10000 };

static void many_objects(void) {
    static mp_lock *locks[LOCKS];
    static mp_queue *queues[QUEUES];
    limit(RLIMIT_NOFILE, 64);
    CHECK_OK(mp_lock_new(&locks[0]));
    memset(locks + 1, 1, sizeof locks - sizeof locks[0]);
    int descriptors = count_descriptors();
    size_t before = all_bytes();
    for (int i = 1; i < LOCKS; i++)
        CHECK_OK(mp_lock_new(&locks[i]));
    size_t each = (all_bytes() - before) / LOCKS;
    printf("%zu bytes for each lock\n", each);
    CHECK(each > 64 && each < 256);
    queues[0] = queue_of(0);
    before = all_bytes();
    for (int i = 1; i < QUEUES; i++) {
        mp_queue_options options = queue_options(i % 3, i % 5);
        options.redeliver = i % 7 == 0;
        queues[i] = queue_with(&options);
    }
    each = (all_bytes() - before) / QUEUES;
    printf("%zu bytes for each queue\n", each);
    CHECK(each > 256 && each < 1024);
    for (int i = 0; i < QUEUES; i++) {
        mp_queue_free(queues[i]);
        queues[i] = queue_of(0);
        put_number(queues[i], (uint64_t)i);
    }
    CHECK_EQ(descriptors, count_descriptors());
    for (int i = 0; i < QUEUES; i++) {
        CHECK_EQ(i, get_number(queues[i]));
        mp_queue_free(queues[i]);
    }
    for (int i = 0; i < LOCKS; i += 17) {
        CHECK_OK(mp_lock_acquire(locks[i], 0));
        CHECK_OK(mp_lock_release(locks[i]));
    }
    for (int i = 0; i < LOCKS; i++)
        mp_lock_free(locks[i]);
    CHECK_EQ(descriptors, count_descriptors());
    /* Every descriptor taken: objects need none. */
    while (open("/dev/null", O_RDONLY) >= 0) {
    }
    CHECK_EQ(EMFILE, errno);
    CHECK_OK(mp_lock_new(&locks[0]));
    mp_queue *queue = queue_of(0);
    char *bytes = calloc(1, 8 * MIB);
    CHECK_OK(mp_queue_put(queue, bytes, 8 * MIB, 0));
    free(bytes);
    get_all(queue);
}

/* Handles are limited with the address space. A message that no handle can hold stays in the queue. */
static void no_handles(void) {
    mp_cancel *first = NULL, *cancel;
    mp_buffer *buffer;
    size_t count = 0;
    limit(RLIMIT_AS, (number_in("/proc/self/status", "VmSize:") << 10) + 300 * MIB);
    mp_queue *queue = queue_of(0);
    put_number(queue, 42);
    while (mp_cancel_new(&cancel) == MP_OK) {
        first = first ? first : cancel;
        count++;
    }
    CHECK(count > 10000);
    CHECK_ERROR_HAS("handles");
    CHECK_STATUS(MP_ERR_NO_MEMORY, mp_queue_get(queue, 0, &buffer));
    CHECK(buffer == NULL);
    CHECK_EQ(1, size_of(queue));
    mp_cancel_free(first);
    CHECK_OK(mp_queue_get(queue, 0, &buffer));
    CHECK_EQ(42, *(const uint64_t *)mp_buffer_data(buffer));
}

/* A message of more bytes than the machine has available, which are never looked at. */
static void more_than_there_is(void) {
    size_t length = (number_in("/proc/meminfo", "MemAvailable:") << 10) + 64 * MIB;
    void *bytes = mmap(NULL, length, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(bytes != MAP_FAILED);
    mp_queue *queue = queue_of(0);
    char number[40];
    CHECK_STATUS(MP_ERR_NO_MEMORY, mp_queue_put(queue, bytes, length, 0));
    snprintf(number, sizeof number, "%zu bytes", length);
    CHECK_ERROR_HAS(number);
    CHECK_ERROR_HAS("bytes are free");
    printf("%s\n", mp_last_error());
    put_number(queue, 1);
    CHECK_EQ(1, get_number(queue));
}

/* A named arena is a file there, which may be larger than its file system: that is an error in time, not a SIGBUS. */
static void named_in_small_shm(void) {
    mp_arena_options options;
    mp_queue_options defaults;
    mp_arena *arena;
    mp_queue *queue;
    CHECK_OK(mp_arena_options_init(&options));
    CHECK_OK(mp_queue_options_init(&defaults));
    options.capacity = 500 * MIB;
    CHECK_OK(mp_arena_open("limits", &options, &arena));
    CHECK_OK(mp_arena_queue(arena, "q", &defaults, &queue));
    for (int round = 0; round < 3; round++) {
        size_t count = put_until_refused(queue, MIB);
        printf("%zu messages of 1 MiB: %s\n", count, mp_last_error());
        CHECK(count > 40 && count < 64);
        CHECK_ERROR_HAS("file system");
        get_all(queue);
    }
    CHECK_OK(mp_arena_unlink("limits"));
}

/* Where processes may have file systems of their own, /dev/shm is one of 64 MB; everywhere nothing is taken of it. */
static void small_shm(void) {
    struct statvfs before, after;
    int own = unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0;
    if (own && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
        own = mount("none", "/dev/shm", "tmpfs", 0, "size=64m") == 0;
    printf("/dev/shm is %s\n", own ? "one of 64 MB" : "that of the machine");
    int has_shm = statvfs("/dev/shm", &before) == 0;
    mp_queue *queue = use_arena();
    char *bytes = calloc(1, 10 * MIB);
    for (int i = 0; i < 12; i++)
        CHECK_OK(mp_queue_put(queue, bytes, 10 * MIB, 0));
    CHECK(arena_bytes() >= 120 * MIB);
    free(bytes);
    if (has_shm && own) {
        CHECK_EQ(0, statvfs("/dev/shm", &after));
        CHECK_EQ(before.f_bfree, after.f_bfree);
        named_in_small_shm();
    }
    get_all(queue);
}

/* The arena is left out of core files. */
static void core(void) {
    char line[512], dir[] = "/tmp/mp-core-XXXXXX", path[64];
    mp_queue *queue = use_arena();
    char *bytes = malloc(100 * MIB);
    CHECK(bytes);
    memset(bytes, 1, 100 * MIB);
    CHECK_OK(mp_queue_put(queue, bytes, 100 * MIB, 0));
    free(bytes);
    int is_arena = 0, left_out = 0;
    FILE *maps = fopen("/proc/self/smaps", "r");
    CHECK(maps);
    while (fgets(line, sizeof line, maps)) {
        if (line[0] >= 'A' && line[0] <= 'Z') {
            if (is_arena && strncmp(line, "VmFlags:", 8) == 0)
                left_out += strstr(line, " dd") != NULL;
        } else {
            is_arena = strstr(line, "memfd:libmp") != NULL;
        }
    }
    fclose(maps);
    CHECK_EQ(1, left_out);
    /* A real one, where cores are files in the working directory. */
    CHECK(mkdtemp(dir));
    pid_t child = fork();
    if (child == 0) {
        struct rlimit most;
        CHECK_EQ(0, getrlimit(RLIMIT_CORE, &most));
        most.rlim_cur = most.rlim_max;
        CHECK_EQ(0, setrlimit(RLIMIT_CORE, &most));
        CHECK_EQ(0, chdir(dir));
        abort();
    }
    CHECK_EQ(-SIGABRT, check_wait(child));
    DIR *files = opendir(dir);
    CHECK(files);
    struct dirent *file;
    while ((file = readdir(files))) {
        struct stat stat;
        if (strncmp(file->d_name, "core", 4) == 0 && fstatat(dirfd(files), file->d_name, &stat, 0) == 0) {
            printf("a core of %lld bytes\n", (long long)stat.st_blocks * 512);
            CHECK(stat.st_blocks * 512 < (long long)(50 * MIB));
            CHECK(stat.st_blocks > 0);
            snprintf(path, sizeof path, "%s/%.40s", dir, file->d_name);
            unlink(path);
        }
    }
    closedir(files);
    CHECK_EQ(0, rmdir(dir));
}

static int write_file(const char *dir, const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_WRONLY), done = -1;
    if (fd >= 0) {
        done = write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
        close(fd);
    }
    return done;
}

/* Makes a control group with a limit of 96 MB and enters it, where that is allowed. */
static int enter_group(char *dir, size_t cap) {
    static const char *const places[][2] = {{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"},
                                            {"/sys/fs/cgroup", "memory.max"}};
    char pid[20];
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    for (int i = 0; i < 2; i++) {
        snprintf(dir, cap, "%s/mp-test-%s", places[i][0], pid);
        if (mkdir(dir, 0700) != 0)
            continue;
        if (write_file(dir, places[i][1], "100663296") == 0 && write_file(dir, "cgroup.procs", pid) == 0)
            return 1;
        rmdir(dir);
    }
    return 0;
}

static void control_group(void) {
    char dir[128];
    if (!enter_group(dir, sizeof dir)) {
        printf("no control group can be made here\n");
        return;
    }
    pid_t child = fork();
    if (child == 0) {
        mp_queue *queue = use_arena();
        for (size_t length = 50000; length < 60 * MIB; length *= 6) {
            size_t count = put_until_refused(queue, length);
            printf("%zu messages of %zu bytes: %s\n", count, length, mp_last_error());
            CHECK(count * length > 30 * MIB);
            CHECK_ERROR_HAS("control group");
            CHECK_ERROR_HAS("mp-test-");
            CHECK_ERROR_HAS("100663296");
            get_all(queue);
        }
        /* With memory of its own that is not in the arena. */
        char *bytes = malloc(60 * MIB);
        CHECK(bytes);
        for (size_t i = 0; i < 60 * MIB; i += 1024)
            ((volatile char *)bytes)[i] = 1;
        size_t beside = put_until_refused(queue, MIB);
        printf("beside 60 MB: %zu messages: %s\n", beside, mp_last_error());
        CHECK(beside < 40);
        free(bytes);
        get_all(queue);
        exit(0);
    }
    int ended = check_wait(child);
    char above[160];
    snprintf(above, sizeof above, "%s/..", dir);
    char pid[20];
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    CHECK_EQ(0, write_file(above, "cgroup.procs", pid));
    for (int i = 0; rmdir(dir) != 0 && i < 1000; i++)
        check_sleep(CHECK_SECOND / 1000);
    CHECK_EQ(0, ended);
}

/* What children of the host's own forks leave goes when others are forked, or large blocks taken: none of it piles up.
 */
static void forked_children(void) {
    enum { HELD = 5000, CHILDREN = 200 };
    static mp_lock *locks[HELD];
    mp_array *array = NULL;
    for (int i = 0; i < HELD; i++)
        CHECK_OK(mp_lock_new(&locks[i]));
    size_t before = arena_bytes();
    for (int i = 0; i < CHILDREN; i++) {
        pid_t child = fork();
        if (child == 0) {
            CHECK_OK(mp_array_new(1, MIB, NULL, MP_LOCK_NONE, &array));
            _exit(0);
        }
        CHECK_EQ(0, check_wait(child));
    }
    size_t more = arena_bytes() - before;
    printf("%zu bytes after %d children\n", more, CHILDREN);
    CHECK(more < 100 * MIB);
    for (int i = 0; i < HELD; i++)
        mp_lock_free(locks[i]);
}

static void run(const char *name, void (*body)(void)) {
    int64_t begun = check_now();
    printf("%s\n", name);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        body();
        exit(0);
    }
    CHECK_EQ(0, check_wait(child));
    printf("    ok, %lld ms\n", (long long)((check_now() - begun) / 1000000));
}

int main(void) {
    check_begin();
    run("address space", address_space);
    run("file size", file_size);
    run("tiny file size", tiny_file_size);
    run("many objects, few descriptors", many_objects);
    run("no handles", no_handles);
    run("more than there is", more_than_there_is);
    run("small /dev/shm", small_shm);
    run("core file", core);
    run("control group", control_group);
    run("forked children", forked_children);
    return 0;
}
