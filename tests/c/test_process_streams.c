/*
 * Standard streams of processes: given to a child, and closed in its parent.
 */
#include "files.h"

#include <sys/sysmacros.h>

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
        standard_streams_are_redirected(METHODS[i]);
        buffers_stay_the_parents(METHODS[i]);
        null_is_read_and_written(METHODS[i]);
        for (int k = 0; k < 2; k++)
            children_have_children_with_descriptors(METHODS[i], METHODS[k]);
    }
    return 0;
}
