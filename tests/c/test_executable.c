/*
 * A host that never calls mp_main_init names the program that its children run: which functions reach them, and which
 * do not. check: once
 */
#include "pool.h"
#include "process.h"

#include "parts/test_executable/lib_linked.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

static char own[PATH_MAX], folder[PATH_MAX], helper[PATH_MAX + 20];

static const mp_slice ARGS[] = {{"x", 1}, {"abc", 3}};

/* The path of a part of the test. */
static const char *part(const char *name) {
    static char path[PATH_MAX + 40];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void find_parts(void) {
    ssize_t n = readlink("/proc/self/exe", own, sizeof own - 1);
    CHECK(n > 0);
    snprintf(folder, sizeof folder, "%.*s/test_executable.parts", (int)(strrchr(own, '/') - own), own);
    snprintf(helper, sizeof helper, "%s/helper", folder);
}

/* A process that has ended. */
static mp_process *ended(mp_fn fn, int32_t method) {
    mp_process *process = make(fn, ARGS, 2, method, false, NULL);
    CHECK_OK(mp_process_start(process));
    CHECK_OK(mp_process_join(process, MP_FOREVER));
    return process;
}

static void check_returns_under(int32_t method, mp_fn fn, const char *expected) {
    mp_buffer *buffer;
    char found[500];
    mp_process *process = ended(fn, method);
    CHECK_OK(mp_process_result(process, &buffer));
    snprintf(found, sizeof found, "%.*s", (int)mp_buffer_len(buffer), (const char *)mp_buffer_data(buffer));
    CHECK_STRING(expected, found);
    mp_buffer_free(buffer);
    CHECK_EQ(0, exit_code(process));
    mp_process_free(process);
}

static void check_returns(mp_fn fn, const char *expected) { check_returns_under(MP_START_SPAWN, fn, expected); }

static void check_start(mp_status status, mp_fn fn, const char *text) {
    mp_process *process = make(fn, ARGS, 2, MP_START_SPAWN, false, NULL);
    CHECK_STATUS(status, mp_process_start(process));
    CHECK_ERROR_HAS(text);
    mp_process_free(process);
}

static int32_t by_name(mp_call *call) { return mp_call_return(call, "the host's", 10) == MP_OK ? 0 : 1; }

static int32_t in_the_host(mp_call *call) {
    (void)call;
    return 0;
}

static mp_fn find(void *library, const char *name) {
    union {
        void *data;
        mp_fn fn;
    } found = {.data = dlsym(library, name)};
    CHECK(found.data != NULL);
    return found.fn;
}

static void wrong_programs_are_refused(void) {
    check_start(MP_ERR_BOOTSTRAP, linked_program, "mp_set_executable");
    CHECK_STATUS(MP_ERR_NOT_FOUND, mp_set_executable("/nowhere/at all"));
    CHECK_ERROR_HAS("/nowhere/at all");
    CHECK_STATUS(MP_ERR_NOT_FOUND, mp_set_executable("/etc/passwd/x"));
    CHECK_STATUS(MP_ERR_ACCESS, mp_set_executable("/"));
    CHECK_STATUS(MP_ERR_ACCESS, mp_set_executable("/etc/passwd"));
    CHECK_STATUS(MP_ERR_INVALID, mp_set_executable(""));
    check_start(MP_ERR_BOOTSTRAP, linked_program, "mp_main_init");
}

static void functions_reach_the_program(void) {
    char back[PATH_MAX];
    /* A relative path means what it means now. */
    CHECK(getcwd(back, sizeof back) != NULL);
    CHECK_EQ(0, chdir(folder));
    CHECK_OK(mp_set_executable("./helper"));
    CHECK_EQ(0, chdir(back));
    check_returns(linked_program, helper);
    check_returns(linked_parent, helper);
    CHECK_OK(mp_register("by name", by_name));
    check_returns(by_name, "the helper's");
    void *library = dlopen(part("lib_loaded.so"), RTLD_NOW);
    CHECK(library != NULL);
    check_returns(find(library, "loaded_variant"), "\1");
    check_start(MP_ERR_INVALID, in_the_host, "shared library");
    /* What failed did not change anything. */
    CHECK_STATUS(MP_ERR_NOT_FOUND, mp_set_executable("/nowhere"));
    check_returns(linked_program, helper);
}

static void a_pool_runs_the_program(void) {
    mp_pool *pool = pool_new(MP_START_SPAWN, 1);
    mp_buffer *buffer;
    CHECK_OK(mp_pool_apply(pool, linked_program, ARGS, 2, &buffer));
    CHECK_EQ(strlen(helper), mp_buffer_len(buffer));
    CHECK_EQ(0, memcmp(helper, mp_buffer_data(buffer), strlen(helper)));
    mp_buffer_free(buffer);
    CHECK_STATUS(MP_ERR_INVALID, mp_pool_apply(pool, in_the_host, NULL, 0, &buffer));
    mp_pool_free(pool);
    /* A forked pool runs what lies here, also when something was loaded since. */
    pool = pool_new(MP_START_FORK, 1);
    CHECK(dlopen(part("lib_other.so"), RTLD_NOW) != NULL);
    CHECK_OK(mp_pool_apply(pool, in_the_host, NULL, 0, &buffer));
    mp_buffer_free(buffer);
    mp_pool_free(pool);
}

/* -- what was replaced -- */

static void copy(const char *from, const char *to) {
    static char bytes[1 << 20];
    struct stat about;
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_EXCL, 0755);
    CHECK(in >= 0 && out >= 0);
    CHECK_EQ(0, fstat(in, &about));
    for (ssize_t n; (n = read(in, bytes, sizeof bytes)) > 0;)
        CHECK_EQ(n, write(out, bytes, (size_t)n));
    CHECK_EQ(0, close(in));
    CHECK_EQ(0, close(out));
}

static void replace(const char *path, const char *by) {
    char new[PATH_MAX + 60];
    snprintf(new, sizeof new, "%s.new", path);
    copy(by, new);
    CHECK_EQ(0, rename(new, path));
}

/* A spawned child that can't run its function, and says why. */
static void check_fails(mp_fn fn, int32_t code, mp_status status, const char *text, const char *more) {
    mp_buffer *buffer;
    fprintf(stderr, "(one line about a child that can't run its function is expected:)\n");
    mp_process *process = ended(fn, MP_START_SPAWN);
    CHECK_EQ(code, exit_code(process));
    CHECK_STATUS(status, mp_process_result(process, &buffer));
    CHECK_ERROR_HAS(text);
    CHECK_ERROR_HAS(more);
    mp_process_free(process);
}

static void check_refused(mp_fn fn, const char *path) {
    check_fails(fn, 70, MP_ERR_TASK_FAILED, "is another build", path);
}

static void another_build_of_a_library_is_refused(const char *temporary) {
    char path[PATH_MAX + 60];
    snprintf(path, sizeof path, "%s/lib.so", temporary);
    copy(part("lib_loaded.so"), path);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    CHECK(library != NULL);
    mp_fn fn = find(library, "loaded_variant");
    check_returns(fn, "\1");
    replace(path, part("lib_other.so"));
    /* Nor does anything of the other build run in the child: there it would end it. */
    CHECK_EQ(0, setenv("MP_TEST_OTHER_EXITS", "1", 1));
    check_refused(fn, path);
    CHECK_EQ(0, unsetenv("MP_TEST_OTHER_EXITS"));
    CHECK_EQ(0, unlink(path));
    check_refused(fn, path);
    /* The same build again, in another file. */
    copy(part("lib_loaded.so"), path);
    check_returns(fn, "\1");
    CHECK_EQ(0, unlink(path));
}

/* Without a build id the file tells, and here it can be seen that it is another. */
static void another_file_is_refused(const char *temporary) {
    char path[PATH_MAX + 60];
    snprintf(path, sizeof path, "%s/bare.so", temporary);
    copy(part("lib_bare_loaded.so"), path);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    CHECK(library != NULL);
    mp_fn fn = find(library, "loaded_variant");
    check_returns(fn, "\1");
    mp_pool *pool = pool_new(MP_START_FORK, 1);
    replace(path, part("lib_bare_other.so"));
    check_start(MP_ERR_INVALID, fn, "has been replaced");
    CHECK_EQ(0, unlink(path));
    check_start(MP_ERR_INVALID, fn, "register it by name");
    /* The workers of a forked pool have it as it was, whatever is loaded since. */
    copy(part("lib_loaded.so"), path);
    CHECK(dlopen(path, RTLD_NOW | RTLD_LOCAL) != NULL);
    mp_buffer *buffer;
    CHECK_OK(mp_pool_apply(pool, fn, ARGS, 2, &buffer));
    CHECK_EQ(1, mp_buffer_len(buffer));
    CHECK_EQ(1, *(const char *)mp_buffer_data(buffer));
    mp_buffer_free(buffer);
    mp_pool_free(pool);
    CHECK_EQ(0, unlink(path));
}

/* The server runs the program that was named when it started; its children name for theirs what this process does. */
static void children_of_the_server_inherit_the_name(const char *temporary) {
    char path[PATH_MAX + 60];
    snprintf(path, sizeof path, "%s/helper", temporary);
    check_returns_under(MP_START_FORKSERVER, linked_program, helper);
    copy(helper, path);
    CHECK_OK(mp_set_executable(path));
    check_returns_under(MP_START_FORKSERVER, linked_program, helper);
    check_returns_under(MP_START_FORKSERVER, linked_parent, path);
    CHECK_OK(mp_set_executable(helper));
    check_returns_under(MP_START_FORKSERVER, linked_parent, helper);
    CHECK_OK(mp_forkserver_stop());
    CHECK_EQ(0, unlink(path));
}

/* A program that never calls mp_main_init, and ends: its code 0 is not one of the function's. */
static void ends_without_libmp(void) {
    static const char text[] = "without a call of mp_main_init";
    mp_buffer *buffer;
    CHECK_OK(mp_set_executable("/bin/true"));
    check_fails(linked_program, 70, MP_ERR_BOOTSTRAP, "/bin/true ended, with code 0", text);
    CHECK_OK(mp_set_executable("/bin/false"));
    check_fails(linked_program, 1, MP_ERR_BOOTSTRAP, "/bin/false ended, with code 1", text);
    mp_process *process = make(linked_program, ARGS, 2, MP_START_FORKSERVER, false, NULL);
    CHECK_STATUS(MP_ERR_BOOTSTRAP, mp_process_start(process));
    CHECK_ERROR_HAS("/bin/false ended, with code 1, without a call of mp_main_init");
    mp_process_free(process);
    CHECK_STATUS(MP_ERR_BOOTSTRAP, mp_forkserver_start(linked_program, NULL, 0));
    fprintf(stderr, "(one line about a pool is expected:)\n");
    mp_pool *pool = pool_new(MP_START_SPAWN, 1);
    CHECK_STATUS(MP_ERR_BROKEN, mp_pool_apply(pool, linked_program, ARGS, 2, &buffer));
    mp_pool_free(pool);
}

static size_t children(void) { return pool_children(getpid(), NULL, 0); }

/* A worker that dies while the program is not there is replaced when it is there again. */
static void a_lost_worker_comes_back(const char *temporary) {
    char path[PATH_MAX + 60];
    pid_t pids[2];
    mp_buffer *buffer;
    snprintf(path, sizeof path, "%s/helper", temporary);
    copy(helper, path);
    CHECK_OK(mp_set_executable(path));
    mp_pool *pool = pool_new(MP_START_SPAWN, 2);
    CHECK_EQ(2, pool_children(getpid(), pids, 2));
    CHECK_EQ(0, unlink(path));
    fprintf(stderr, "(one line about a worker that can't be replaced is expected:)\n");
    CHECK_EQ(0, kill(pids[0], SIGKILL));
    while (children() != 1)
        check_sleep(1000000);
    CHECK_OK(mp_pool_apply(pool, linked_program, ARGS, 2, &buffer));
    mp_buffer_free(buffer);
    copy(helper, path);
    while (children() != 2) {
        check_sleep(10000000);
        CHECK_OK(mp_pool_apply(pool, linked_program, ARGS, 2, &buffer));
        mp_buffer_free(buffer);
    }
    pool_end(pool);
    CHECK_EQ(0, children());
    CHECK_EQ(0, unlink(path));
}

static void a_program_that_has_gone(const char *temporary) {
    char path[PATH_MAX + 60];
    snprintf(path, sizeof path, "%s/helper", temporary);
    copy(helper, path);
    CHECK_OK(mp_set_executable(path));
    check_returns(linked_program, path);
    CHECK_EQ(0, unlink(path));
    check_start(MP_ERR_SYSTEM, linked_program, path);
    ends_without_libmp();
}

int main(void) {
    char temporary[] = "/tmp/mp-test-XXXXXX";
    check_begin();
    find_parts();
    CHECK(mkdtemp(temporary) != NULL);
    wrong_programs_are_refused();
    functions_reach_the_program();
    a_pool_runs_the_program();
    another_build_of_a_library_is_refused(temporary);
    another_file_is_refused(temporary);
    children_of_the_server_inherit_the_name(temporary);
    a_lost_worker_comes_back(temporary);
    a_program_that_has_gone(temporary);
    CHECK_OK(mp_set_executable(NULL));
    check_start(MP_ERR_BOOTSTRAP, linked_program, "mp_main_init");
    CHECK_EQ(0, rmdir(temporary));
    return 0;
}
