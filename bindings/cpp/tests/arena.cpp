// Named arenas: the same objects by the same names, in processes that know nothing else of each other.

#include "check.hpp"

#include <csignal>
#include <mutex>
#include <string>

namespace {

/// A name that no other test has; its arena goes at the end.
class unique {
  public:
    explicit unique(const std::string &what) : name_("test-cpp-" + what + "-" + std::to_string(getpid())) {}
    ~unique() { static_cast<void>(mp_arena_unlink(name_.c_str())); }
    unique(const unique &) = delete;
    unique &operator=(const unique &) = delete;
    [[nodiscard]] const std::string &name() const { return name_; }

  private:
    std::string name_;
};

void objects() {
    const unique u("objects");
    const mp::arena a(u.name());
    const mp::arena same(u.name());
    CHECK_FAILS(mp::status::not_found, a.queue("jobs"));
    mp::queue jobs = a.queue("jobs", 3);
    jobs.put("first");
    CHECK(same.queue("jobs").get<std::string>() == "first");
    CHECK(same.queue("jobs", mp::queue_options(3)).size() == 0);
    CHECK_FAILS(mp::status::exists, same.queue("jobs", 4));
    CHECK_FAILS(mp::status::exists, same.lock("jobs"));

    mp::lock lock = a.lock("lock");
    lock.acquire();
    CHECK(same.lock("lock").owner_pid() == getpid());
    lock.unlock();

    mp::rlock rlock = a.rlock("rlock");
    rlock.lock();
    CHECK(same.rlock("rlock").try_lock());
    CHECK_FAILS(mp::status::exists, same.rlock("lock"));

    {
        mp::condition own = a.condition("own");
        const std::lock_guard<mp::condition> held(own);
        CHECK(same.condition("own").try_lock());
    }
    lock.acquire();
    same.condition("with lock", same.lock("lock")).notify_one();
    same.condition("with rlock", same.rlock("rlock")).notify_one();
    CHECK_FAILS(mp::status::exists, a.condition("with lock"));
    CHECK_FAILS(mp::status::exists, a.condition("with lock", rlock));
    CHECK_FAILS(mp::status::invalid, a.condition("not of the arena", mp::lock()));

    CHECK(a.barrier("barrier", 1).wait() == 0);
    CHECK_FAILS(mp::status::exists, same.barrier("barrier", 2));

    a.event("event").set();
    CHECK(same.event("event").is_set());

    CHECK(a.semaphore("permits", 1, 2).value() == 1);
    mp::semaphore permits = same.semaphore("permits", 1, mp::semaphore_options(2));
    permits.post();
    CHECK_FAILS(mp::status::overflow, permits.post());
    CHECK_FAILS(mp::status::exists, a.semaphore("permits", 2, 2));
}

void removing() {
    const unique u("removing");
    mp::arena a(u.name());
    mp::queue old = a.queue("jobs", 0);
    a.remove("jobs");
    CHECK_FAILS(mp::status::not_found, a.remove("jobs"));
    CHECK_FAILS(mp::status::not_found, a.queue("jobs"));
    old.put(1);
    CHECK(a.queue("jobs", 0).size() == 0 && old.get<int>() == 1);
    CHECK_FAILS(mp::status::invalid, a.remove(std::string("a\0b", 3)));
}

void opening() {
    const unique u("opening");
    mp_arena_options options = mp::arena_options();
    options.must_exist = true;
    CHECK_FAILS(mp::status::not_found, mp::arena(u.name(), options));
    CHECK_FAILS(mp::status::invalid, mp::arena(""));
    mp::queue outlives;
    {
        const mp::arena a(u.name());
        outlives = a.queue("jobs", 0);
    }
    outlives.put(1);
    CHECK(mp::arena(u.name(), options).queue("jobs").get<int>() == 1);
    options.uid = options.uid + 1;
    CHECK_FAILS(mp::status::access, mp::arena(u.name(), options));
    mp::unlink_arena(u.name());
    CHECK_FAILS(mp::status::not_found, mp::unlink_arena(u.name()));
    CHECK_FAILS(mp::status::not_found, mp::arena(u.name()).queue("jobs"));
}

/// Opens the arena as a stranger would, puts a message, and dies with the lock in its hands.
void put_and_die(const std::string &name) {
    const mp::arena a(name);
    mp::lock lock = a.lock("lock");
    lock.acquire();
    a.queue("jobs", 0).put(getpid());
    std::raise(SIGKILL);
}

void between_processes(mp::start_method m) {
    const unique u("between");
    mp::process child = check::start<&put_and_die>(m, u.name());
    const mp::arena a(u.name());
    CHECK(a.queue("jobs", 0).get<int>() == child.pid());
    child.join();
    CHECK(child.exitcode() == -SIGKILL);
    mp::lock lock = a.lock("lock");
    CHECK(lock.acquire() == mp::status::owner_dead);
    lock.unlock();
}

} // namespace

int main(int argc, char **argv) {
    check::begin(argc, argv);
    objects();
    removing();
    opening();
    check::each_start("between processes", between_processes);
    return 0;
}
