// Value, array and shared memory, within a process and between processes.

#include "check.hpp"

#include <sys/types.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <mutex>
#include <numeric>
#include <type_traits>

namespace {

struct point {
    double x, y;
    char name[60];
};

static_assert(!std::is_copy_constructible_v<mp::value<int>> && std::is_nothrow_move_constructible_v<mp::value<int>>);
static_assert(!std::is_copy_constructible_v<mp::array<int>> && std::is_nothrow_move_assignable_v<mp::array<int>>);

mp::process start(mp::process p) {
    p.start();
    return p;
}

mp::process_options by(mp::start_method m) {
    mp::process_options o;
    o.method = m;
    return o;
}

void values() {
    mp::value<point> p(point{1, 2, "here"}, mp::lock_kind::plain);
    CHECK(p->x == 1 && (*p).y == 2 && std::strcmp(p->name, "here") == 0);
    p.set({3, 4, "there"});
    CHECK(p.get().x == 3 && p.data()->y == 4);
    {
        const std::lock_guard guard(p);
        CHECK(p.try_acquire() == mp::status::timeout);
    }
    CHECK(p.try_lock());
    p.unlock();
    CHECK_FAILS(mp::status::overflow, p.unlock());

    mp::value<point> moved = std::move(p);
    CHECK(moved->x == 3 && !p);
    CHECK_FAILS(mp::status::invalid, p.get());
    CHECK_FAILS(mp::status::invalid, p.acquire());
    CHECK_FAILS(mp::status::invalid, mp::value<int>::from_token(moved.token()));
    CHECK_FAILS(mp::status::invalid, mp::mutex::from_token(moved.token()));
    p = mp::value<point>::from_token(moved.token());
    p->x = 9;
    CHECK(moved->x == 9);

    mp::value<double> recursive(0.5);
    CHECK(recursive.acquire() == mp::status::ok && recursive.acquire() == mp::status::ok);
    recursive.unlock();
    recursive.unlock();
    CHECK_FAILS(mp::status::not_owner, recursive.unlock());

    mp::value<bool> flag(true, mp::lock_kind::none);
    CHECK(*flag);
    CHECK_FAILS(mp::status::unsupported, flag.acquire());
}

template <class T>
void atomic() {
    mp::value<T> v(5, mp::lock_kind::none);
    CHECK(v.load() == 5);
    v.store(6);
    CHECK(v.exchange(7) == 6 && v.fetch_add(5) == 7 && v.fetch_sub(2) == 12);
    CHECK(v.fetch_or(5) == 10 && v.fetch_and(6) == 15);
    T expected = 7;
    CHECK(!v.compare_exchange(expected, 1) && expected == 6);
    CHECK(v.compare_exchange(expected, static_cast<T>(-1)) && *v == static_cast<T>(-1));
}

void arrays() {
    mp::array<int> a(1000);
    CHECK(a.size() == 1000 && !a.empty() && reinterpret_cast<std::uintptr_t>(a.data()) % 64 == 0);
    CHECK(std::all_of(a.begin(), a.end(), [](int x) { return x == 0; }));
    std::iota(a.begin(), a.end(), 0);
    CHECK(a[999] == 999 && a.at(10) == 10);
    CHECK_FAILS(mp::status::invalid, a.at(1000));
    CHECK_FAILS(mp::status::invalid, mp::array<char>::from_token(a.token()));
    const double numbers[] = {1, 2, 3};
    mp::array<double> b(numbers, 3, mp::lock_kind::none);
    CHECK(b[2] == 3);
    CHECK_FAILS(mp::status::unsupported, b.lock());
    const mp::array<double> none(0);
    CHECK(none.empty() && none.begin() == none.end());
    mp_array_options options = mp::array_options(mp::lock_kind::plain);
    options.huge_pages = true;
    mp::array<std::uint64_t> huge(1 << 20, options);
    CHECK(huge[(1 << 20) - 1] == 0 && reinterpret_cast<std::uintptr_t>(huge.data()) % (2 << 20) == 0);
    const mp::array<int> moved = std::move(a);
    CHECK(moved[5] == 5 && a.empty());
    CHECK_FAILS(mp::status::invalid, a.begin());
    CHECK_FAILS(mp::status::too_large, mp::array<int>(SIZE_MAX / 2));
}

void memory() {
    const mp::shared_memory unnamed(100);
    CHECK(unnamed.size() == 100 && unnamed.name().empty());
    unnamed.as<point>()->x = 5;
    CHECK(mp::shared_memory::from_token(unnamed.token()).as<point>()->x == 5);
    CHECK_FAILS(mp::status::too_large, mp::shared_memory(8).as<point>());
    CHECK_FAILS(mp::status::invalid, mp::shared_memory(0));

    const std::string name = "libmp-test-cpp-" + std::to_string(getpid());
    mp::shared_memory named(name, 5000);
    CHECK(named.name() == name && named.size() == 5000);
    CHECK_FAILS(mp::status::exists, mp::shared_memory(name, 1));
    std::strcpy(static_cast<char *>(named.data()), "hello");
    CHECK(std::strcmp(static_cast<char *>(mp::shared_memory::open(name).data()), "hello") == 0);
    const mp::token t = named.token();
    mp::unlink_shared_memory(name);
    CHECK_FAILS(mp::status::not_found, mp::unlink_shared_memory(name));
    CHECK_FAILS(mp::status::not_found, mp::shared_memory::open(name));
    CHECK_FAILS(mp::status::stale, mp::shared_memory::from_token(t));
    CHECK_FAILS(mp::status::invalid, mp::shared_memory("a/b", 1));
    const mp::shared_memory moved = std::move(named);
    CHECK(moved.size() == 5000 && named.size() == 0);
    CHECK_FAILS(mp::status::invalid, named.data());
    CHECK_FAILS(mp::status::invalid, named.name());
}

void by_name() {
    const std::string name = "test-cpp-shared-" + std::to_string(getpid());
    {
        const mp::arena arena(name);
        arena.value<long>("counter", 40, mp::lock_kind::none).fetch_add(2);
        arena.array<double>("table", 100)[99] = 0.5;
        CHECK(*arena.value<long>("counter", 7, mp::lock_kind::none) == 42);
        CHECK(arena.array<double>("table", 100)[99] == 0.5);
        CHECK_FAILS(mp::status::exists, arena.value<int>("counter", 40, mp::lock_kind::none));
        CHECK_FAILS(mp::status::exists, arena.array<double>("table", 101));
    }
    mp::unlink_arena(name);
}

void count(mp::token counter_token, mp::token guarded_token, mp::token table_token) {
    auto counter = mp::value<std::int64_t>::from_token(counter_token);
    auto guarded = mp::value<int>::from_token(guarded_token);
    auto table = mp::array<unsigned>::from_token(table_token);
    for (int i = 0; i < 2000; ++i) {
        counter.fetch_add(2);
        const std::lock_guard guard(guarded);
        ++*guarded;
        for (unsigned &x : table)
            ++x;
    }
}

void counting(mp::start_method m) {
    const mp::value<std::int64_t> counter(100, mp::lock_kind::none);
    const mp::value<int> guarded;
    const mp::array<unsigned> table(50, mp::lock_kind::none);
    std::vector<mp::process> children;
    for (int i = 0; i < 3; ++i)
        children.push_back(start(mp::process::with<&count>(by(m), counter.token(), guarded.token(), table.token())));
    for (mp::process &child : children) {
        child.join();
        CHECK(child.exitcode() == 0);
    }
    CHECK(counter.load() == 100 + 3 * 2000 * 2 && *guarded == 3 * 2000);
    CHECK(std::all_of(table.begin(), table.end(), [](unsigned x) { return x == 3 * 2000; }));
}

void die_holding(mp::token t) {
    auto v = mp::value<int>::from_token(t);
    v.acquire();
    *v = 7;
    std::raise(SIGKILL);
}

void owner_death(mp::start_method m) {
    mp::value<int> v(1);
    mp::process child = start(mp::process::with<&die_holding>(by(m), v.token()));
    child.join();
    CHECK(child.exitcode() == -SIGKILL);
    CHECK(v.acquire() == mp::status::owner_dead && *v == 7);
    v.unlock();
    CHECK(v.acquire() == mp::status::ok);
    v.unlock();
}

} // namespace

int main(int argc, char **argv) {
    check::begin(argc, argv);
    values();
    atomic<int>();
    atomic<unsigned>();
    atomic<long>();
    atomic<unsigned long long>();
    arrays();
    memory();
    by_name();
    check::each_start("counting", counting);
    check::each_start("owner death", owner_death);
    return 0;
}
