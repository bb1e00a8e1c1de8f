/*
 * The program that a spawned child runs is the one that runs here, whatever has become of its file; and functions of
 * its libraries are found in it. check: once check: unsanitized
 */
#include "process.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/mount.h>

int32_t in_linked(mp_call *call);

static char own[PATH_MAX];

static int32_t here(mp_call *call) { return mp_call_return(call, "here", 4) == MP_OK ? 0 : 1; }

static void check_spawned(mp_fn fn, const char *expected) {
    mp_buffer *buffer;
    mp_process *process = start(fn, "", 0, MP_START_SPAWN, false);
    CHECK_OK(mp_process_join(process, MP_FOREVER));
    CHECK_OK(mp_process_result(process, &buffer));
    CHECK_EQ(strlen(expected), mp_buffer_len(buffer));
    CHECK_EQ(0, memcmp(expected, mp_buffer_data(buffer), strlen(expected)));
    mp_buffer_free(buffer);
    CHECK_EQ(0, exit_code(process));
    mp_process_free(process);
}

/* The path of a part of the test. */
static const char *part(const char *name) {
    static char path[PATH_MAX + 40];
    snprintf(path, sizeof path, "%.*s/test_program.parts/%s", (int)(strrchr(own, '/') - own), own, name);
    return path;
}

static void libraries_are_found(void) {
    union {
        void *data;
        mp_fn fn;
    } found;
    check_spawned(in_linked, "linked");
    void *library = dlopen(part("lib_loaded.so"), RTLD_NOW | RTLD_LOCAL);
    CHECK(library != NULL);
    found.data = dlsym(library, "in_loaded");
    CHECK(found.data != NULL);
    check_spawned(found.fn, "loaded");
}

static void copy(const char *from, const char *to) {
    static char bytes[1 << 16];
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_EXCL, 0755);
    CHECK(in >= 0 && out >= 0);
    for (ssize_t n; (n = read(in, bytes, sizeof bytes)) > 0;)
        CHECK_EQ(n, write(out, bytes, (size_t)n));
    CHECK_EQ(0, close(in));
    CHECK_EQ(0, close(out));
}

/* Gives this process mounts of its own, if it may have them. */
static bool own_mounts(void) {
    if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) == 0 &&
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
        return true;
    fprintf(stderr, "(no mounts of its own: %s)\n", strerror(errno));
    return false;
}

/* Runs a copy of this program, by its loader if that is named: the copy does what `what` says. */
static void run_copy(const char *folder, const char *loader, const char *what) {
    char path[100];
    snprintf(path, sizeof path, "%s/copy", folder);
    copy(own, path);
    pid_t pid = fork();
    if (pid == 0) {
        if (strcmp(what, "covered") == 0 && !own_mounts())
            _exit(0);
        if (loader != NULL)
            execl(loader, loader, path, what, path, own, (char *)NULL);
        else
            execl(path, path, what, path, own, (char *)NULL);
        _exit(97);
    }
    CHECK_EQ(0, check_wait(pid));
    CHECK(unlink(path) == 0 || strstr(what, "deleted") != NULL);
}

/* In the copy, which is about to lose its file. */
static void in_copy(const char *what, const char *path) {
    char new[120];
    snprintf(new, sizeof new, "%s.new", path);
    check_spawned(here, "here");
    if (strstr(what, "deleted") != NULL)
        CHECK_EQ(0, unlink(path));
    if (strstr(what, "replaced") != NULL) {
        copy(part("other"), new);
        CHECK_EQ(0, rename(new, path));
    }
    if (strcmp(what, "covered") == 0)
        CHECK_EQ(0, mount(part("other"), path, NULL, MS_BIND, NULL));
    if (strstr(what, "refused") == NULL) {
        check_spawned(here, "here");
        check_spawned(in_linked, "linked");
        return;
    }
    mp_process *process = make(here, NULL, 0, MP_START_SPAWN, false, NULL);
    CHECK_STATUS(MP_ERR_SYSTEM, mp_process_start(process));
    CHECK_ERROR_HAS(path);
    mp_process_free(process);
}

int main(int argc, char **argv) {
    char folder[] = "/tmp/mp-test-XXXXXX";
    Dl_info loader;
    if (getenv("MP_CHILD") == NULL && argc == 1)
        check_begin();
    CHECK_OK(mp_main_init(argc, argv));
    if (argc == 4) {
        snprintf(own, sizeof own, "%s", argv[3]);
        in_copy(argv[1], argv[2]);
        return 0;
    }
    CHECK_EQ(1, argc);
    CHECK(readlink("/proc/self/exe", own, sizeof own - 1) > 0);
    CHECK(mkdtemp(folder) != NULL);
    libraries_are_found();
    run_copy(folder, NULL, "as it is");
    run_copy(folder, NULL, "deleted");
    run_copy(folder, NULL, "replaced");
    run_copy(folder, NULL, "covered");
    /* By the loader, which the link in /proc then names: it must not be run with the program's arguments. */
    CHECK(dladdr((void *)getauxval(AT_BASE), &loader) != 0);
    run_copy(folder, loader.dli_fname, "as it is");
    run_copy(folder, loader.dli_fname, "deleted, refused");
    run_copy(folder, loader.dli_fname, "replaced, refused");
    CHECK_EQ(0, rmdir(folder));
    return 0;
}
