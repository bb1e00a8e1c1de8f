/*
 * The conditions under which a process begins: environment, working directory, CPUs, limits, nice value. Descriptors
 * are in test_process_fds.c.
 */
#include "process.h"

#include <grp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

extern char **environ;

static char early_variable[32], early_directory[4096];

/* Before main, as a library like OpenMP's would look. */
__attribute__((constructor)) static void look_early(void) {
    const char *value = getenv("OMP_NUM_THREADS");
    snprintf(early_variable, sizeof early_variable, "%s", value ? value : "");
    if (!getcwd(early_directory, sizeof early_directory))
        early_directory[0] = 0;
}

static mp_process_options defaults(void) {
    mp_process_options options;
    CHECK_OK(mp_process_options_init(&options));
    return options;
}

/* No child is left, not even one that was only tried. */
static void no_child_is_left(void) {
    CHECK_OK(mp_forkserver_stop());
    CHECK_EQ(-1, waitpid(-1, NULL, WNOHANG | __WALL));
    CHECK_EQ(ECHILD, errno);
}

static void cannot_be_made(const mp_process_options *options, mp_status status, const char *part) {
    mp_process *process = (mp_process *)8;
    CHECK_STATUS(status, mp_process_new(answer, NULL, 0, options, &process));
    CHECK_ERROR_HAS(part);
    CHECK(process == NULL);
}

static void cannot_be_started(const mp_process_options *options, int32_t method, mp_status status, const char *part) {
    mp_process *process = make_with(answer, "", 0, method, options);
    CHECK_STATUS(status, mp_process_start(process));
    CHECK_ERROR_HAS(part);
    no_child_is_left();
    CHECK_STATUS(status, mp_process_start(process));
    mp_process_free(process);
}

/* -- environment -- */

/* The argument has every entry that there must be, each with its NUL. */
static int32_t compare_environment(mp_call *call) {
    mp_slice all = mp_call_arg(call, 0);
    const char *text = all.data;
    int expected = 0, found = 0;
    for (size_t at = 0; at < all.len; at += strlen(text + at) + 1, expected++) {
        int times = 0;
        for (char **entry = environ; *entry; entry++)
            times += strcmp(*entry, text + at) == 0;
        if (times != 1)
            check_fail(__FILE__, __LINE__, text + at, times ? "comes more than once" : "is missing");
    }
    for (char **entry = environ; *entry; entry++)
        found++;
    CHECK_EQ(expected, found);
    return 0;
}

static size_t append(char *all, size_t len, const char *entry) {
    CHECK(len + strlen(entry) < 1 << 16);
    return len + (size_t)sprintf(all + len, "%s", entry) + 1;
}

/* This process's environment without the variables that begin as these do. */
static size_t copy_environment(char *all, const char *const *without, size_t n) {
    size_t len = 0;
    for (char **entry = environ; *entry; entry++) {
        bool left_out = false;
        for (size_t i = 0; i < n; i++)
            left_out = left_out || strncmp(*entry, without[i], strlen(without[i])) == 0;
        if (!left_out)
            len = append(all, len, *entry);
    }
    return len;
}

static void an_environment_is_the_parents_with_changes(int32_t method) {
    static const char *const changed[] = {"MP_T_REPLACED=", "MP_T_REMOVED=", "MP_T_AWAY="};
    static const char *const changes[] = {
        "MP_T_NEW=1",  "MP_T_REPLACED=a=b", "MP_T_REMOVED", "MP_T_EMPTY=", "MP_T_TWICE=first", "MP_T_TWICE=last",
        "MP_T_AWAY=1", "MP_T_AWAY",         "MP_T_BACK",    "MP_T_BACK=1", "MP_T_NOTHING",     "MP_T_\xff=\xfe"};
    static const char *const added[] = {
        "MP_T_NEW=1", "MP_T_REPLACED=a=b", "MP_T_EMPTY=", "MP_T_TWICE=last", "MP_T_BACK=1", "MP_T_\xff=\xfe"};
    char *all = malloc(1 << 16);
    CHECK_EQ(0, setenv("MP_T_REPLACED", "old", 1) | setenv("MP_T_REMOVED", "old", 1) | setenv("MP_T_STAYS", "x", 1));
    mp_process_options options = defaults();
    size_t len = copy_environment(all, NULL, 0);
    /* The fork server has this process's of the moment when it is started. */
    CHECK_OK(mp_forkserver_stop());
    CHECK_EQ(0, run_with(compare_environment, all, len, method, &options));
    options.env = changes;
    options.nenv = sizeof changes / sizeof *changes;
    len = copy_environment(all, changed, sizeof changed / sizeof *changed);
    for (size_t i = 0; i < sizeof added / sizeof *added; i++)
        len = append(all, len, added[i]);
    CHECK_EQ(0, run_with(compare_environment, all, len, method, &options));
    /* Nothing of it is this process's. */
    CHECK(getenv("MP_T_NEW") == NULL && getenv("MP_T_REMOVED") != NULL);
    free(all);
}

/* What is set later does not count: the options were copied. The parent's own variables do. */
static void an_environment_is_copied_when_it_is_given(int32_t method) {
    static const char *const added[] = {"MP_T_LATE=", "MP_T_GIVEN="};
    char *all = malloc(1 << 16), given[] = "MP_T_GIVEN=1";
    const char *change = given;
    mp_process_options options = defaults();
    options.env = &change;
    options.nenv = 1;
    size_t len = copy_environment(all, added, 2);
    len = append(all, append(all, len, "MP_T_LATE=1"), "MP_T_GIVEN=1");
    mp_process *process = make_with(compare_environment, all, len, method, &options);
    memset(given, 'x', sizeof given - 1);
    change = NULL;
    CHECK_EQ(0, setenv("MP_T_LATE", "1", 1));
    CHECK_OK(mp_forkserver_stop());
    CHECK_OK(mp_process_start(process));
    CHECK_EQ(0, unsetenv("MP_T_LATE"));
    CHECK_EQ(0, finish(process));
    free(all);
}

static int32_t see_it_early(mp_call *call) {
    (void)call;
    CHECK_STRING("7", early_variable);
    CHECK_STRING("/", early_directory);
    return 0;
}

static void a_spawned_program_finds_it_from_the_first_instant(void) {
    const char *change = "OMP_NUM_THREADS=7";
    mp_process_options options = defaults();
    options.env = &change;
    options.nenv = 1;
    options.cwd = "/";
    CHECK_EQ(0, run_with(see_it_early, "", 0, MP_START_SPAWN, &options));
}

/* setenv and getenv work on what the child has got. */
static int32_t change_it_again(mp_call *call) {
    (void)call;
    CHECK_STRING("1", getenv("MP_T_A"));
    CHECK_EQ(0, setenv("MP_T_A", "2", 1) | setenv("MP_T_B", "3", 1) | unsetenv("PATH"));
    CHECK_STRING("2", getenv("MP_T_A"));
    CHECK(getenv("PATH") == NULL);
    mp_process_options options = defaults();
    const char *change = "MP_T_C=4";
    options.env = &change;
    options.nenv = 1;
    char *all = malloc(1 << 16);
    size_t len = append(all, copy_environment(all, NULL, 0), change);
    for (size_t i = 0; i < 2; i++)
        CHECK_EQ(0, run_with(compare_environment, all, len, METHODS[i], &options));
    free(all);
    return 0;
}

static void a_child_changes_its_own_and_its_childrens(int32_t method) {
    const char *change = "MP_T_A=1";
    mp_process_options options = defaults();
    options.env = &change;
    options.nenv = 1;
    CHECK_EQ(0, run_with(change_it_again, "", 0, method, &options));
}

static void bad_changes_are_refused(void) {
    const char *changes[] = {"A=1", "B=2"};
    mp_process_options options = defaults();
    options.nenv = 2;
    cannot_be_made(&options, MP_ERR_INVALID, "options.env is NULL");
    options.env = changes;
    changes[1] = NULL;
    cannot_be_made(&options, MP_ERR_INVALID, "options.env[1] is NULL");
    changes[1] = "=2";
    cannot_be_made(&options, MP_ERR_INVALID, "options.env[1] is \"=2\", which has no name");
    changes[1] = "";
    cannot_be_made(&options, MP_ERR_INVALID, "options.env[1] is \"\"");
    changes[1] = "MP_CHILD=1";
    cannot_be_made(&options, MP_ERR_INVALID, "options.env[1] is MP_CHILD");
    changes[1] = "MP_CHILD";
    cannot_be_made(&options, MP_ERR_INVALID, "options.env[1] is MP_CHILD");
}

/* -- working directory -- */

static int32_t compare_directory(mp_call *call) {
    char path[4096];
    CHECK(getcwd(path, sizeof path) != NULL);
    CHECK(strcmp(mp_call_arg(call, 0).data, path) == 0);
    return 0;
}

static void a_directory_is_entered(int32_t method, const char *directory) {
    char path[4096], here[4096];
    CHECK(getcwd(here, sizeof here) != NULL);
    mp_process_options options = defaults();
    CHECK_EQ(0, run_with(compare_directory, here, strlen(here) + 1, method, &options));
    options.cwd = "/";
    CHECK_EQ(0, run_with(compare_directory, "/", 2, method, &options));
    /* A relative path counts from where this process is at the start. */
    CHECK_EQ(0, chdir(directory) | mkdir("here", 0700) | mkdir("here/sub", 0700));
    options.cwd = "sub";
    size_t len = (size_t)snprintf(path, sizeof path, "%s/here/sub", directory) + 1;
    mp_process *process = make_with(compare_directory, path, len, method, &options);
    CHECK_STATUS(MP_ERR_NOT_FOUND, mp_process_start(process));
    CHECK_ERROR_HAS("options.cwd is \"sub\", which can't be entered");
    CHECK_EQ(0, chdir("here"));
    CHECK_OK(mp_process_start(process));
    CHECK_EQ(0, finish(process));
    CHECK_EQ(0, chdir(here));
    snprintf(path, sizeof path, "%s/here/sub", directory);
    CHECK_EQ(0, rmdir(path));
    *strrchr(path, '/') = 0;
    CHECK_EQ(0, rmdir(path));
    options.cwd = path;
    cannot_be_started(&options, method, MP_ERR_NOT_FOUND, "which can't be entered");
    options.cwd = "/dev/null";
    cannot_be_started(&options, method, MP_ERR_NOT_FOUND, "options.cwd is \"/dev/null\"");
    options.cwd = "";
    cannot_be_made(&options, MP_ERR_INVALID, "options.cwd is empty");
}

/* -- nice value -- */

static int32_t nice_value(mp_call *call) {
    (void)call;
    return 20 + getpriority(PRIO_PROCESS, 0);
}

static void a_nice_value_is_raised(int32_t method) {
    int now = 20 + getpriority(PRIO_PROCESS, 0);
    mp_process_options options = defaults();
    CHECK_EQ(now, run_with(nice_value, "", 0, method, &options));
    options.nice = 3;
    CHECK_EQ(now + 3 > 39 ? 39 : now + 3, run_with(nice_value, "", 0, method, &options));
    options.nice = INT32_MAX;
    CHECK_EQ(39, run_with(nice_value, "", 0, method, &options));
    CHECK_EQ(now, 20 + getpriority(PRIO_PROCESS, 0));
}

/* -- CPUs -- */

static int32_t compare_cpus(mp_call *call) {
    cpu_set_t now;
    CHECK_EQ(sizeof now, mp_call_arg(call, 0).len);
    CHECK_EQ(0, sched_getaffinity(0, sizeof now, &now));
    CHECK(memcmp(&now, mp_call_arg(call, 0).data, sizeof now) == 0);
    return 0;
}

static void only_given_cpus_are_used(int32_t method) {
    int32_t cpus[CPU_SETSIZE + 1];
    size_t count = 0;
    cpu_set_t all, first, last;
    CHECK_EQ(0, sched_getaffinity(0, sizeof all, &all));
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &all))
            cpus[count++] = cpu;
    CPU_ZERO(&first);
    CPU_ZERO(&last);
    CPU_SET(cpus[0], &first);
    CPU_SET(cpus[count - 1], &last);
    mp_process_options options = defaults();
    CHECK_EQ(0, run_with(compare_cpus, &all, sizeof all, method, &options));
    options.cpus = cpus;
    options.ncpus = 1;
    CHECK_EQ(0, run_with(compare_cpus, &first, sizeof first, method, &options));
    /* Also what the parent may not use at the moment; and one may be named twice. */
    CHECK_EQ(0, sched_setaffinity(0, sizeof first, &first));
    options.cpus = &cpus[count - 1];
    CHECK_EQ(0, run_with(compare_cpus, &last, sizeof last, method, &options));
    cpus[count] = cpus[0];
    options.cpus = cpus;
    options.ncpus = count + 1;
    CHECK_EQ(0, run_with(compare_cpus, &all, sizeof all, method, &options));
    CHECK_EQ(0, sched_setaffinity(0, sizeof all, &all));
    cpus[1] = 8191;
    options.ncpus = 2;
    cannot_be_started(&options, method, MP_ERR_INVALID, "options.cpus[1] is 8191");
    options.cpus = &cpus[1];
    options.ncpus = 1;
    cannot_be_started(&options, method, MP_ERR_INVALID, "options.cpus[0] is 8191");
    cpus[1] = -1;
    cannot_be_made(&options, MP_ERR_INVALID, "options.cpus[0] is -1");
    cpus[1] = 8192;
    cannot_be_made(&options, MP_ERR_INVALID, "options.cpus[0] is 8192");
    options.cpus = NULL;
    cannot_be_made(&options, MP_ERR_INVALID, "options.cpus is NULL");
}

/* -- limits -- */

static int32_t compare_limits(mp_call *call) {
    mp_slice arg = mp_call_arg(call, 0);
    const mp_rlimit *expected = arg.data;
    for (size_t i = 0; i < arg.len / sizeof *expected; i++) {
        struct rlimit now;
        CHECK_EQ(0, getrlimit((__rlimit_resource_t)expected[i].resource, &now));
        CHECK_EQ(expected[i].soft, now.rlim_cur);
        CHECK_EQ(expected[i].hard, now.rlim_max);
    }
    return 0;
}

static void limits_are_set(int32_t method) {
    struct rlimit files, cpu;
    CHECK_EQ(0, getrlimit(RLIMIT_NOFILE, &files) | getrlimit(RLIMIT_CPU, &cpu));
    mp_rlimit limits[] = {{RLIMIT_NOFILE, 40, 50}, {RLIMIT_CORE, 0, 0}, {RLIMIT_CPU, 5000, cpu.rlim_max}};
    mp_process_options options = defaults();
    options.rlimits = limits;
    options.nrlimits = 3;
    CHECK_EQ(RLIM_INFINITY, MP_NO_LIMIT);
    CHECK_EQ(0, run_with(compare_limits, limits, sizeof limits, method, &options));
    mp_rlimit same[] = {{RLIMIT_NOFILE, files.rlim_cur, files.rlim_max}, {RLIMIT_CPU, cpu.rlim_cur, cpu.rlim_max}};
    options = defaults();
    CHECK_EQ(0, run_with(compare_limits, same, sizeof same, method, &options));
    /* The kernel has a limit for the largest number of descriptors. */
    limits[0] = (mp_rlimit){RLIMIT_NOFILE, 64, MP_NO_LIMIT};
    options.rlimits = limits;
    options.nrlimits = 1;
    cannot_be_started(&options, method, MP_ERR_ACCESS, "options.rlimits[0] can't be set");
}

static void bad_limits_are_refused(void) {
    mp_rlimit limits[] = {{RLIMIT_CORE, 0, 0}, {RLIMIT_CORE, 0, 0}};
    mp_process_options options = defaults();
    options.nrlimits = 2;
    cannot_be_made(&options, MP_ERR_INVALID, "options.rlimits is NULL");
    options.rlimits = limits;
    cannot_be_made(&options, MP_ERR_INVALID, "options.rlimits[1].resource is 4, as that of options.rlimits[0] is");
    limits[1].resource = 16;
    cannot_be_made(&options, MP_ERR_INVALID, "options.rlimits[1].resource is 16");
    limits[1].resource = -1;
    cannot_be_made(&options, MP_ERR_INVALID, "options.rlimits[1].resource is -1");
    limits[1] = (mp_rlimit){RLIMIT_NOFILE, MP_NO_LIMIT, 100};
    cannot_be_made(&options, MP_ERR_INVALID, "options.rlimits[1].soft is 18446744073709551615");
}

/* -- rights -- */

/* In a process without rights: what it may not do fails the start. */
static void nobody_may_not(const char *closed_directory) {
    pid_t nobody = fork();
    if (nobody == 0) {
        if (geteuid() == 0)
            CHECK_EQ(0, setgroups(0, NULL) | setresgid(65534, 65534, 65534) | setresuid(65534, 65534, 65534));
        /* What /proc tells of a process that has changed its user is root's, else. */
        CHECK_EQ(0, prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
        struct rlimit none = {0, 0}, core = {100, 100};
        CHECK_EQ(0, setrlimit(RLIMIT_NICE, &none) | setrlimit(RLIMIT_CORE, &core));
        mp_rlimit limit = {RLIMIT_CORE, 100, 101};
        for (int i = 0; i < 2; i++) {
            mp_process_options options = defaults();
            options.cwd = closed_directory;
            cannot_be_started(&options, METHODS[i], MP_ERR_ACCESS, "which can't be entered");
            options = defaults();
            options.nice = -1;
            cannot_be_started(&options, METHODS[i], MP_ERR_ACCESS, "options.nice is -1, which is not allowed");
            options = defaults();
            options.rlimits = &limit;
            options.nrlimits = 1;
            cannot_be_started(&options, METHODS[i], MP_ERR_ACCESS, "options.rlimits[0] can't be set");
        }
        exit(0);
    }
    CHECK_EQ(0, check_wait(nobody));
}

/* -- all together -- */

static int32_t see_everything(mp_call *call) {
    char path[100];
    cpu_set_t cpus;
    (void)call;
    CHECK_STRING("1", getenv("MP_T_ALL"));
    CHECK_STRING("/", getcwd(path, sizeof path));
    CHECK_EQ(0, sched_getaffinity(0, sizeof cpus, &cpus));
    CHECK_EQ(1, CPU_COUNT(&cpus));
    struct rlimit limit;
    CHECK_EQ(0, getrlimit(RLIMIT_CORE, &limit));
    CHECK_EQ(0, limit.rlim_max);
    return 20 + getpriority(PRIO_PROCESS, 0);
}

static void all_go_together(int32_t method) {
    const char *change = "MP_T_ALL=1";
    mp_rlimit limit = {RLIMIT_CORE, 0, 0};
    cpu_set_t now;
    int32_t cpu = 0;
    CHECK_EQ(0, sched_getaffinity(0, sizeof now, &now));
    while (!CPU_ISSET(cpu, &now))
        cpu++;
    mp_process_options options = defaults();
    options.env = &change;
    options.cwd = "/";
    options.nice = 100;
    options.cpus = &cpu;
    options.rlimits = &limit;
    options.nenv = options.ncpus = options.nrlimits = 1;
    options.daemon = true;
    CHECK_EQ(39, run_with(see_everything, "", 0, method, &options));
}

/* Programs that know less have a shorter struct. */
static void an_older_struct_means_the_defaults(int32_t method) {
    mp_process_options options = defaults();
    int32_t four = 4;
    memset(&options.env, 0x5a, sizeof options - offsetof(mp_process_options, env));
    options.size = offsetof(mp_process_options, env);
    CHECK_EQ(4, run_with(answer, &four, sizeof four, method, &options));
}

int main(int argc, char **argv) {
    if (getenv("MP_CHILD") == NULL)
        check_begin();
    CHECK_OK(mp_main_init(argc, argv));
    char directory[] = "/tmp/mp-options-XXXXXX", closed[100];
    CHECK(mkdtemp(directory) != NULL);
    snprintf(closed, sizeof closed, "%s/closed", directory);
    CHECK_EQ(0, chmod(directory, 0755) | mkdir(closed, 0));
    for (int i = 0; i < 2; i++) {
        an_environment_is_the_parents_with_changes(METHODS[i]);
        an_environment_is_copied_when_it_is_given(METHODS[i]);
        a_child_changes_its_own_and_its_childrens(METHODS[i]);
        a_directory_is_entered(METHODS[i], directory);
        a_nice_value_is_raised(METHODS[i]);
        only_given_cpus_are_used(METHODS[i]);
        limits_are_set(METHODS[i]);
        all_go_together(METHODS[i]);
        an_older_struct_means_the_defaults(METHODS[i]);
    }
    a_spawned_program_finds_it_from_the_first_instant();
    bad_changes_are_refused();
    bad_limits_are_refused();
    nobody_may_not(closed);
    CHECK_EQ(0, rmdir(closed) | rmdir(directory));
    return 0;
}
