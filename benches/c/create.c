/*
 * What it takes to have many: the time to create one, its memory, and its descriptors. Memory is what this process has
 * more of, its own and shared. What has descriptors lies in the kernel's slabs, where anybody's things lie: so other
 * programs blur its figure.
 */
#include "bench.h"

#include <dirent.h>
#include <fcntl.h>
#include <mqueue.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum { MANY = 10000 };

/* What one peer has made, by its number. */
static union {
    mp_queue *queue;
    int ends[2];
    mqd_t posix;
} made[MANY];

static bool make_queue(int i) { return MP_SUCCEEDED(mp_queue_new(NULL, &made[i].queue)); }
static void free_queue(int i) { mp_queue_free(made[i].queue); }
static bool make_pipe(int i) { return pipe(made[i].ends) == 0; }
static bool make_sockets(int i) { return socketpair(AF_UNIX, SOCK_SEQPACKET, 0, made[i].ends) == 0; }
static void close_ends(int i) {
    close(made[i].ends[0]);
    close(made[i].ends[1]);
}
static bool make_posix(int i) {
    char name[64];
    struct mq_attr attributes = {.mq_maxmsg = 10, .mq_msgsize = 64};
    snprintf(name, sizeof name, "/libmp-bench-%d-%d", (int)getpid(), i);
    made[i].posix = mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &attributes);
    mq_unlink(name);
    return made[i].posix != (mqd_t)-1;
}
static void close_posix(int i) { mq_close(made[i].posix); }

static const struct peer {
    const char *name;
    /* Fewer where the system allows no more to everybody. */
    int count, descriptors;
    bool (*make)(int);
    void (*end)(int);
} peers[] = {
    {"libmp", MANY, 0, make_queue, free_queue},
    {"pipe", MANY, 2, make_pipe, close_ends},
    {"AF_UNIX seqpacket", MANY, 2, make_sockets, close_ends},
    {"POSIX mq", 200, 1, make_posix, close_posix},
};
enum { PEERS = sizeof peers / sizeof *peers };

/* The sum of the lines of a file of /proc that begin with one of the keys, which are in KiB. */
static double kibibytes(const char *path, const char *const *keys) {
    char line[256];
    double sum = 0;
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        fail(path);
    }
    while (fgets(line, sizeof line, file) != NULL) {
        for (const char *const *key = keys; *key != NULL; key++) {
            if (strncmp(line, *key, strlen(*key)) == 0) {
                sum += atof(line + strlen(*key));
            }
        }
    }
    fclose(file);
    return sum;
}

static double memory(const struct peer *peer) {
    static const char *const own[] = {"RssAnon:", "RssShmem:", NULL}, *const kernel[] = {"Slab:", NULL};
    double slabs = peer->descriptors > 0 ? kibibytes("/proc/meminfo", kernel) : 0;
    return 1024 * (kibibytes("/proc/self/status", own) + slabs);
}

static int descriptors(void) {
    int count = 0;
    DIR *list = opendir("/proc/self/fd");
    while (list != NULL && readdir(list) != NULL) {
        count++;
    }
    closedir(list);
    return count;
}

enum { TIME, BYTES, DESCRIPTORS, FIGURES };

/*
 * Makes them, in a process of its own: none finds memory that an earlier one has left. Where they are noted down has
 * been touched before, so that it is not counted.
 */
static void create(const struct peer *peer, int count, double *figures) {
    memset(made, 1, sizeof made);
    int before = descriptors();
    double bytes = memory(peer);
    uint64_t start = now_ns();
    for (int i = 0; i < count; i++) {
        if (!peer->make(i)) {
            fail(peer->name);
        }
    }
    figures[TIME] = (double)(now_ns() - start) / 1e3 / count;
    figures[BYTES] = (memory(peer) - bytes) / count;
    figures[DESCRIPTORS] = (double)(descriptors() - before) / count;
    for (int i = 0; i < count; i++) {
        peer->end(i);
    }
    _exit(0);
}

/* As many as there may be descriptors for. */
static int affordable(const struct peer *peer) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    rlim_t most = peer->descriptors > 0 ? (limit.rlim_max - 50) / (rlim_t)peer->descriptors : MANY;
    return most < (rlim_t)peer->count ? (int)most : peer->count;
}

int main(int argc, char **argv) {
    static const char *const names[FIGURES] = {"create", "create, bytes", "create, descriptors"};
    static struct samples samples[PEERS][FIGURES];
    int times = 2 + percent(argc, argv) / 25;
    double *figures = shared_page();
    for (int time = 0; time < times; time++) {
        for (int p = 0; p < PEERS; p++) {
            pid_t pid = helper();
            if (pid == 0) {
                pin(0);
                create(&peers[p], affordable(&peers[p]), figures);
            }
            int status = 0;
            if (waitpid(pid, &status, 0) != pid || status != 0) {
                errno = 0;
                fail("a helper");
            }
            for (int f = 0; f < FIGURES; f++) {
                add(&samples[p][f], figures[f]);
            }
        }
    }
    for (int p = 0; p < PEERS; p++) {
        for (int f = 0; f < FIGURES; f++) {
            tell(names[f], peers[p].name, &samples[p][f]);
        }
    }
    return 0;
}
