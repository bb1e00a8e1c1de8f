/* Shared memory through mp.h: names, sizes, files that are not its own, limits, tokens, deaths. check: valgrind */
#include "check.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* Where named memory lies: its own folder in one part of the tests. */
static char folder[200] = "/dev/shm";

static const char *name_of(const char *what) {
    static char names[4][80];
    static int next;
    char *name = names[next++ % 4];
    snprintf(name, sizeof names[0], "libmp-test-%d-%s", (int)getpid(), what);
    return name;
}

static const char *path_of(const char *name) {
    static char path[400];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static mp_shared_memory *create(const char *name, size_t size) {
    mp_shared_memory *memory = NULL;
    CHECK_OK(mp_shared_memory_create(name, size, &memory));
    CHECK(memory != NULL && mp_shared_memory_data(memory) != NULL);
    CHECK_EQ(size, mp_shared_memory_size(memory));
    return memory;
}

static mp_shared_memory *open_memory(const char *name) {
    mp_shared_memory *memory = NULL;
    CHECK_OK(mp_shared_memory_open(name, &memory));
    return memory;
}

static void refused(mp_status expected, const char *name) {
    mp_shared_memory *memory = (mp_shared_memory *)1;
    CHECK_STATUS(expected, mp_shared_memory_open(name, &memory));
    CHECK(memory == NULL);
}

static bool is_zero(const mp_shared_memory *memory) {
    const unsigned char *bytes = mp_shared_memory_data(memory);
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, mp_shared_memory_size(memory) - 1) == 0;
}

static void without_a_name(void) {
    static const size_t SIZES[] = {1, 63, 64, 5000, 1 << 20};
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        for (int round = 0; round < 5; round++) {
            mp_shared_memory *memory = create(NULL, SIZES[i]);
            CHECK_STRING("", mp_shared_memory_name(memory));
            CHECK_EQ(0, (uintptr_t)mp_shared_memory_data(memory) % 64);
            CHECK(is_zero(memory));
            memset(mp_shared_memory_data(memory), 0x5a, SIZES[i]);
            mp_shared_memory_free(memory);
        }
    }
}

static void with_a_name(void) {
    const char *name = name_of("basic");
    mp_shared_memory *memory, *again = NULL, *third;
    struct stat stat_;
    errno = ENOTTY;
    memory = create(name, 10001);
    CHECK_EQ(ENOTTY, errno);
    CHECK_STRING(name, mp_shared_memory_name(memory));
    CHECK(mp_shared_memory_name(memory) != name);
    CHECK(is_zero(memory));
    CHECK_EQ(0, (uintptr_t)mp_shared_memory_data(memory) % 4096);
    CHECK_EQ(0, stat(path_of(name), &stat_));
    CHECK_EQ(10001, stat_.st_size);
    CHECK_EQ(S_IFREG | 0600, stat_.st_mode);
    CHECK(stat_.st_blocks * 512 >= 10001);
    CHECK_STATUS(MP_ERR_EXISTS, mp_shared_memory_create(name, 5, &again));
    CHECK_ERROR_HAS("exists already");
    CHECK(again == NULL);
    again = open_memory(name);
    CHECK_EQ(10001, mp_shared_memory_size(again));
    CHECK(mp_shared_memory_data(again) != mp_shared_memory_data(memory));
    strcpy(mp_shared_memory_data(memory), "hello");
    CHECK_STRING("hello", mp_shared_memory_data(again));
    /* To free is not to unlink. */
    mp_shared_memory_free(memory);
    mp_shared_memory_free(again);
    memory = open_memory(name);
    CHECK_STRING("hello", mp_shared_memory_data(memory));
    CHECK_OK(mp_shared_memory_unlink(name));
    CHECK_STATUS(MP_ERR_NOT_FOUND, mp_shared_memory_unlink(name));
    refused(MP_ERR_NOT_FOUND, name);
    CHECK_ERROR_HAS(name);
    /* What is mapped stays, and the name may be given anew. */
    third = create(name, 10);
    CHECK_STRING("hello", mp_shared_memory_data(memory));
    CHECK(is_zero(third));
    mp_shared_memory_free(memory);
    mp_shared_memory_free(third);
    CHECK_OK(mp_shared_memory_unlink(name));
}

static void names(void) {
    static const char *const BAD[] = {"", "/", ".", "..", "/..", "a/b", "//a", "a/", "\xff"};
    char longest[260], slashed[300];
    mp_shared_memory *memory = NULL;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        CHECK_STATUS(MP_ERR_INVALID, mp_shared_memory_create(BAD[i], 10, &memory));
        CHECK_STATUS(MP_ERR_INVALID, mp_shared_memory_unlink(BAD[i]));
        refused(MP_ERR_INVALID, BAD[i]);
    }
    memset(longest, 'x', sizeof longest);
    longest[256] = 0;
    CHECK_STATUS(MP_ERR_INVALID, mp_shared_memory_create(longest, 10, &memory));
    CHECK_ERROR_HAS("255");
    snprintf(longest, sizeof longest, "libmp-test-%d-%0220d", (int)getpid(), 7);
    CHECK(strlen(longest) <= 255);
    memory = create(longest, 10);
    CHECK_STRING(longest, mp_shared_memory_name(memory));
    mp_shared_memory_free(memory);
    snprintf(slashed, sizeof slashed, "/%s", longest);
    memory = open_memory(slashed);
    CHECK_STRING(longest, mp_shared_memory_name(memory));
    mp_shared_memory_free(memory);
    CHECK_OK(mp_shared_memory_unlink(slashed));
    refused(MP_ERR_NOT_FOUND, longest);
}

static void bad_arguments(void) {
    mp_shared_memory *memory = (mp_shared_memory *)1;
    mp_token token;
    const char *name = name_of("never");
    CHECK_STATUS(MP_ERR_INVALID, mp_shared_memory_create(NULL, 0, &memory));
    CHECK_ERROR_HAS("0 bytes");
    CHECK(memory == NULL);
    CHECK_STATUS(MP_ERR_INVALID, mp_shared_memory_create(name, 0, &memory));
    CHECK_STATUS(MP_ERR_INVALID, mp_shared_memory_create(name, 1, NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_shared_memory_open(NULL, &memory));
    CHECK_STATUS(MP_ERR_INVALID, mp_shared_memory_open(name, NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_shared_memory_unlink(NULL));
    CHECK(mp_shared_memory_data(NULL) == NULL);
    CHECK(mp_shared_memory_name(NULL) == NULL);
    CHECK_EQ(0, mp_shared_memory_size(NULL));
    CHECK_STATUS(MP_ERR_INVALID, mp_shared_memory_token(NULL, &token));
    CHECK_STATUS(MP_ERR_INVALID, mp_shared_memory_from_token(NULL, &memory));
    mp_shared_memory_free(NULL);
    CHECK_STATUS(MP_ERR_NO_MEMORY, mp_shared_memory_create(NULL, (size_t)1 << 50, &memory));
    /* More than there is: with both numbers, and nothing is left. */
    CHECK_STATUS(MP_ERR_NO_MEMORY, mp_shared_memory_create(name, (size_t)1 << 50, &memory));
    CHECK_ERROR_HAS("1125899906842624 bytes");
    CHECK_ERROR_HAS("free");
    CHECK_STATUS(MP_ERR_NO_MEMORY, mp_shared_memory_create(name, SIZE_MAX, &memory));
    refused(MP_ERR_NOT_FOUND, name);
}

/* Files that others have put there. */
static void foreign_files(void) {
    const char *name = name_of("foreign");
    char target[400];
    strcpy(target, path_of(name_of("target")));
    int fd = open(target, O_CREAT | O_RDWR, 0600);
    CHECK(fd >= 0 && ftruncate(fd, 5000) == 0);
    CHECK_EQ(0, symlink(target, path_of(name)));
    refused(MP_ERR_INVALID, name);
    CHECK_ERROR_HAS("not a regular file");
    CHECK_STATUS(MP_ERR_INVALID, mp_shared_memory_unlink(name));
    mp_shared_memory *memory = (mp_shared_memory *)1;
    CHECK_STATUS(MP_ERR_EXISTS, mp_shared_memory_create(name, 10, &memory));
    CHECK(memory == NULL);
    CHECK_EQ(0, unlink(path_of(name)));
    CHECK_EQ(0, mkdir(path_of(name), 0700));
    refused(MP_ERR_INVALID, name);
    CHECK_STATUS(MP_ERR_INVALID, mp_shared_memory_unlink(name));
    CHECK_EQ(0, rmdir(path_of(name)));
    CHECK_EQ(0, mkfifo(path_of(name), 0600));
    refused(MP_ERR_INVALID, name);
    CHECK_EQ(0, unlink(path_of(name)));
    /* Made, but not yet given a size. */
    CHECK(ftruncate(fd, 0) == 0 && rename(target, path_of(name)) == 0);
    refused(MP_ERR_STATE, name);
    CHECK_ERROR_HAS("size");
    /* With holes: they are filled. */
    struct stat stat_;
    CHECK_EQ(0, ftruncate(fd, 100001));
    CHECK(fstat(fd, &stat_) == 0 && stat_.st_blocks == 0);
    memory = open_memory(name);
    CHECK_EQ(100001, mp_shared_memory_size(memory));
    CHECK(fstat(fd, &stat_) == 0 && stat_.st_blocks * 512 >= 100001 && stat_.st_size == 100001);
    CHECK(is_zero(memory));
    mp_shared_memory_free(memory);
    if (geteuid() == 0) {
        CHECK_EQ(0, chown(path_of(name), 12345, 12345));
        refused(MP_ERR_ACCESS, name);
        CHECK_ERROR_HAS("belongs to user 12345");
        CHECK_STATUS(MP_ERR_ACCESS, mp_shared_memory_unlink(name));
        CHECK_EQ(0, chown(path_of(name), 0, 0));
    } else {
        CHECK_EQ(0, chmod(path_of(name), 0));
        refused(MP_ERR_ACCESS, name);
    }
    CHECK_OK(mp_shared_memory_unlink(name));
    close(fd);
}

static void with_shm_open(void) {
    const char *name = name_of("posix");
    char posix[100];
    snprintf(posix, sizeof posix, "/%s", name);
    if (strcmp(folder, "/dev/shm") != 0)
        return;
    mp_shared_memory *memory = create(posix, 5000);
    strcpy(mp_shared_memory_data(memory), "from libmp");
    int fd = shm_open(posix, O_RDWR, 0);
    CHECK(fd >= 0);
    char *mapped = mmap(NULL, 5000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(mapped != MAP_FAILED);
    CHECK_STRING("from libmp", mapped);
    strcpy(mapped, "from shm_open");
    CHECK_STRING("from shm_open", mp_shared_memory_data(memory));
    munmap(mapped, 5000);
    close(fd);
    mp_shared_memory_free(memory);
    CHECK_EQ(0, shm_unlink(posix));
    fd = shm_open(posix, O_RDWR | O_CREAT | O_EXCL, 0600);
    CHECK(fd >= 0 && ftruncate(fd, 77) == 0 && pwrite(fd, "other", 6, 0) == 6);
    memory = open_memory(name);
    CHECK_EQ(77, mp_shared_memory_size(memory));
    CHECK_STRING("other", mp_shared_memory_data(memory));
    mp_shared_memory_free(memory);
    close(fd);
    CHECK_OK(mp_shared_memory_unlink(posix));
}

static void with_python(void) {
    const char *name = name_of("python");
    char command[600];
    if (strcmp(folder, "/dev/shm") != 0 || system("python3 -c 'import multiprocessing.shared_memory' 2>&1") != 0)
        return;
    mp_shared_memory *memory = create(name, 5000);
    strcpy(mp_shared_memory_data(memory), "from C");
    /* Python's tracker would unlink what it attaches to. */
    snprintf(command, sizeof command,
             "python3 -c \"from multiprocessing import shared_memory, resource_tracker\n"
             "resource_tracker.register = lambda *a: None\n"
             "m = shared_memory.SharedMemory('%s')\n"
             "assert m.size == 5000 and bytes(m.buf[:7]) == b'from C\\0'\n"
             "m.buf[:12] = b'from Python\\0'\n"
             "m.close()\"",
             name);
    CHECK_EQ(0, system(command));
    CHECK_STRING("from Python", mp_shared_memory_data(memory));
    mp_shared_memory_free(memory);
    CHECK_OK(mp_shared_memory_unlink(name));
}

static void any_umask(void) {
    const char *name = name_of("umask");
    struct stat stat_;
    mode_t before = umask(0777);
    mp_shared_memory *memory = create(name, 100);
    umask(before);
    CHECK_EQ(0, stat(path_of(name), &stat_));
    CHECK_EQ(0600, stat_.st_mode & 07777);
    mp_shared_memory_free(memory);
    memory = open_memory(name);
    mp_shared_memory_free(memory);
    CHECK_OK(mp_shared_memory_unlink(name));
}

/* In a child: limits that would kill by SIGXFSZ or SIGBUS whoever does not ask first. */
static void limits(void) {
    const char *name = name_of("limits");
    pid_t child = fork();
    if (child == 0) {
        struct rlimit limit = {1 << 20, 1 << 20};
        mp_shared_memory *memory = NULL;
        CHECK_EQ(0, setrlimit(RLIMIT_FSIZE, &limit));
        CHECK_STATUS(MP_ERR_NO_MEMORY, mp_shared_memory_create(name, (1 << 20) + 1, &memory));
        CHECK_ERROR_HAS("RLIMIT_FSIZE");
        refused(MP_ERR_NOT_FOUND, name);
        memory = create(name, 1 << 20);
        memset(mp_shared_memory_data(memory), 1, 1 << 20);
        CHECK_OK(mp_shared_memory_unlink(name));
        mp_shared_memory_free(memory);
        _exit(0);
    }
    CHECK_EQ(0, check_wait(child));
}

static void no_descriptors(void) {
    const char *name = name_of("descriptors");
    mp_shared_memory *memory[40];
    int before = dup(0);
    CHECK(before >= 0);
    close(before);
    memory[0] = create(name, 100);
    for (int i = 1; i < 40; i++)
        memory[i] = open_memory(name);
    int after = dup(0);
    CHECK_EQ(before, after);
    close(after);
    for (int i = 0; i < 40; i++)
        mp_shared_memory_free(memory[i]);
    CHECK_OK(mp_shared_memory_unlink(name));
    pid_t child = fork();
    if (child == 0) {
        /* None left: an error, and nothing is there. */
        struct rlimit limit;
        mp_shared_memory *none = NULL;
        CHECK_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
        limit.rlim_cur = 3;
        CHECK_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
        CHECK_STATUS(MP_ERR_SYSTEM, mp_shared_memory_create(name, 100, &none));
        CHECK_STATUS(MP_ERR_SYSTEM, mp_shared_memory_open(name, &none));
        CHECK(none == NULL);
        _exit(0);
    }
    CHECK_EQ(0, check_wait(child));
    refused(MP_ERR_NOT_FOUND, name);
}

static void tokens_without_a_name(void) {
    mp_shared_memory *memory = create(NULL, 5000), *again = NULL;
    mp_token token;
    CHECK_STATUS(MP_ERR_INVALID, mp_shared_memory_token(memory, NULL));
    CHECK_OK(mp_shared_memory_token(memory, &token));
    pid_t child = fork();
    if (child == 0) {
        strcpy(mp_shared_memory_data(memory), "by the pointer");
        mp_shared_memory_free(memory);
        CHECK_OK(mp_shared_memory_from_token(&token, &again));
        CHECK_STRING("by the pointer", mp_shared_memory_data(again));
        strcpy(mp_shared_memory_data(again), "by the token");
        kill(getpid(), SIGKILL);
    }
    CHECK_EQ(-SIGKILL, check_wait(child));
    CHECK_STRING("by the token", mp_shared_memory_data(memory));
    /* The dead one's handle goes when somebody looks. */
    for (int i = 0; i < 3; i++) {
        CHECK_OK(mp_shared_memory_from_token(&token, &again));
        mp_shared_memory_free(again);
    }
    mp_shared_memory_free(memory);
}

static void tokens_with_a_name(void) {
    const char *name = name_of("token");
    mp_shared_memory *memory = create(name, 5000), *again = NULL, *other;
    mp_token token, second;
    CHECK_OK(mp_shared_memory_token(memory, &token));
    strcpy(mp_shared_memory_data(memory), "hello");
    CHECK_OK(mp_shared_memory_from_token(&token, &again));
    CHECK_STRING("hello", mp_shared_memory_data(again));
    CHECK_STRING(name, mp_shared_memory_name(again));
    CHECK_EQ(5000, mp_shared_memory_size(again));
    /* The same object, and the same token. */
    CHECK_OK(mp_shared_memory_token(again, &second));
    CHECK(memcmp(&token, &second, sizeof token) == 0);
    mp_shared_memory_free(again);

    CHECK_OK(mp_shared_memory_unlink(name));
    CHECK_STATUS(MP_ERR_STALE, mp_shared_memory_from_token(&token, &again));
    CHECK_ERROR_HAS("was unlinked");
    CHECK(again == NULL);
    other = create(name, 5000);
    CHECK_STATUS(MP_ERR_STALE, mp_shared_memory_from_token(&token, &again));
    CHECK_ERROR_HAS("another's");
    CHECK_OK(mp_shared_memory_token(other, &second));
    CHECK_EQ(0, truncate(path_of(name), 6000));
    CHECK_STATUS(MP_ERR_STALE, mp_shared_memory_from_token(&second, &again));
    CHECK_ERROR_HAS("6000");
    CHECK_STRING("hello", mp_shared_memory_data(memory));
    mp_shared_memory_free(memory);
    mp_shared_memory_free(other);
    CHECK_OK(mp_shared_memory_unlink(name));
    /* Without a handle there is no object, though there may be a file. */
    memory = create(name, 100);
    CHECK_OK(mp_shared_memory_token(memory, &token));
    mp_shared_memory_free(memory);
    CHECK_STATUS(MP_ERR_STALE, mp_shared_memory_from_token(&token, &again));
    CHECK_ERROR_HAS("destroyed");
    CHECK_OK(mp_shared_memory_unlink(name));
}

/* Nothing but unlink takes a name away: not the death of its maker, nor of who had it open. */
static void deaths(void) {
    const char *name = name_of("deaths");
    mp_shared_memory *memory;
    pid_t child = fork();
    if (child == 0) {
        memory = create(name, 100);
        strcpy(mp_shared_memory_data(memory), "left behind");
        kill(getpid(), SIGKILL);
    }
    CHECK_EQ(-SIGKILL, check_wait(child));
    for (int i = 0; i < 3; i++) {
        child = fork();
        if (child == 0) {
            memory = open_memory(name);
            CHECK_STRING("left behind", mp_shared_memory_data(memory));
            if (i == 0)
                kill(getpid(), SIGKILL);
            if (i == 1)
                mp_shared_memory_free(memory);
            exit(0);
        }
        CHECK_EQ(i == 0 ? -SIGKILL : 0, check_wait(child));
    }
    memory = open_memory(name);
    CHECK_STRING("left behind", mp_shared_memory_data(memory));
    child = fork();
    if (child == 0) {
        /* The parent's mapping is this one's too, and freeing it here takes nothing from the parent. */
        strcpy(mp_shared_memory_data(memory), "by a child");
        mp_shared_memory_free(memory);
        _exit(0);
    }
    CHECK_EQ(0, check_wait(child));
    CHECK_STRING("by a child", mp_shared_memory_data(memory));
    mp_shared_memory_free(memory);
    CHECK_OK(mp_shared_memory_unlink(name));
}

/* Of many that make the same name at once one succeeds, and the others find it whole. */
static void races(void) {
    enum { PROCESSES = 4, ROUNDS = 12 };
    pid_t children[PROCESSES];
    char name[100];
    int wins = 0;
    strcpy(name, name_of("race"));
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < PROCESSES; i++) {
            children[i] = fork();
            if (children[i] != 0)
                continue;
            mp_shared_memory *memory = NULL;
            mp_status status = mp_shared_memory_create(name, 100000, &memory);
            if (MP_FAILED(status)) {
                CHECK_EQ(MP_ERR_EXISTS, status);
                memory = open_memory(name);
            }
            CHECK_EQ(100000, mp_shared_memory_size(memory));
            CHECK(is_zero(memory));
            _exit(MP_SUCCEEDED(status));
        }
        for (int i = 0; i < PROCESSES; i++)
            wins += check_wait(children[i]);
        CHECK_OK(mp_shared_memory_unlink(name));
    }
    CHECK_EQ(ROUNDS, wins);
}

static void in_this_folder(void) {
    with_a_name();
    foreign_files();
    tokens_with_a_name();
}

static void elsewhere(void) {
    snprintf(folder, sizeof folder, "/dev/shm/libmp-test-%d-folder", (int)getpid());
    CHECK_EQ(0, mkdir(folder, 0700));
    CHECK_EQ(0, setenv("MP_ARENA_DIR", folder, 1));
    in_this_folder();
    mp_shared_memory *memory = NULL;
    CHECK_EQ(0, rmdir(folder));
    CHECK_STATUS(MP_ERR_NOT_FOUND, mp_shared_memory_create("x", 10, &memory));
    CHECK_ERROR_HAS(folder);
    CHECK_EQ(0, unsetenv("MP_ARENA_DIR"));
}

int main(void) {
    check_begin();
    without_a_name();
    tokens_without_a_name();
    names();
    bad_arguments();
    any_umask();
    limits();
    no_descriptors();
    deaths();
    races();
    in_this_folder();
    with_shm_open();
    with_python();
    elsewhere();
    return 0;
}
