/*
 * What the tests of processes' descriptors share.
 */
#ifndef MP_TEST_FILES_H
#define MP_TEST_FILES_H

#include "process.h"

#include <fcntl.h>
#include <sys/stat.h>

/* A file, or none. */
typedef struct file {
    bool open;
    dev_t device;
    ino_t inode;
} file;

static inline file file_of(int fd) {
    struct stat stat;
    file found = {0};
    if (fstat(fd, &stat) == 0) {
        found.open = true;
        found.device = stat.st_dev;
        found.inode = stat.st_ino;
    }
    return found;
}

static inline bool same(file a, file b) {
    return a.open == b.open && (!a.open || (a.device == b.device && a.inode == b.inode));
}

/* A pipe's two ends, high enough to be in nobody's way. */
static inline void make_pipe(int ends[2]) {
    int low[2];
    CHECK_EQ(0, pipe2(low, O_CLOEXEC));
    for (int i = 0; i < 2; i++) {
        ends[i] = fcntl(low[i], F_DUPFD_CLOEXEC, 400);
        CHECK(ends[i] >= 400);
        close(low[i]);
    }
}

static inline void close_pipe(const int ends[2]) { CHECK_EQ(0, close(ends[0]) | close(ends[1])); }

static inline int32_t six(mp_call *call) {
    (void)call;
    return 6;
}

#endif
