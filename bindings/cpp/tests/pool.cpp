// The pool: raw and typed tasks, errors, callbacks, death.

#include "check.hpp"

#include <atomic>
#include <chrono>
#include <csignal>
#include <numeric>
#include <stdexcept>
#include <thread>

using namespace std::chrono_literals;

extern "C" {
static int32_t shout(mp_call *c) {
    mp::call call(c);
    if (call[0].empty()) {
        call.fail(17, "nothing to shout");
        return 17;
    }
    call.result(std::string(call[0]) + "!");
    return 0;
}
}

namespace {

long square(int x) { return static_cast<long>(x) * x; }
std::string reversed(const std::string &s) { return {s.rbegin(), s.rend()}; }
double mean(const std::vector<double> &v) { return std::accumulate(v.begin(), v.end(), 0.0) / double(v.size()); }
std::string join(std::string_view a, int n, const std::string &b) { return std::string(a) + std::to_string(n) + b; }
bool negate(bool b) { return !b; }

int picky(int x) {
    if (x == 3)
        throw std::out_of_range("three is too many");
    if (x == 4)
        throw mp::task_exit(44, "four");
    if (x == 5)
        throw 5;
    return x;
}

int suicidal(int x) {
    if (x == 2)
        std::raise(SIGKILL);
    return x;
}

void nap(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

mp::pool make(mp::start_method m) {
    mp_pool_options o = mp::pool_options();
    o.processes = 2;
    o.start_method = static_cast<std::int32_t>(m);
    return mp::pool(o);
}

void raw(mp::start_method m) {
    mp::pool pool = make(m);
    const std::vector<mp_slice> slices{{"a", 1}, {"bc", 2}};
    const mp::result out = pool.map(shout, slices);
    CHECK(out.size() == 2);
    CHECK(out[0].size() == 2 && std::string(out[0].data(), out[0].size()) == "a!" && out[1] == "bc!");
    CHECK(pool.map(shout, std::vector<std::string>{"x", "y", "z"}).item<std::string>(2) == "z!");
    CHECK(pool.map(shout, {"x", "y"}).size() == 2);
    CHECK(pool.map(shout, std::vector<std::string_view>()).size() == 0);
    CHECK(pool.apply(shout, {"hey"}).item<std::string>(0) == "hey!");
    try {
        const mp::result none = pool.map(shout, {"x", ""});
        FAIL("a failed item");
    } catch (const mp::task_error &e) {
        CHECK(e.code() == mp::status::task_failed && e.task_code() == 17 && e.index() == 1);
        CHECK(check::contains(e.what(), "nothing to shout"));
    }
    mp::result partial;
    CHECK(pool.try_map(shout, std::vector<std::string>{"x", "", "z"}, partial) == mp::status::task_failed);
    CHECK(partial[0] == "x!" && partial[2] == "z!");
    CHECK_FAILS(mp::status::task_failed, partial[1]);
    CHECK(partial.failure(1).code == 17 && !partial.successful());
    CHECK_FAILS(mp::status::invalid, partial[3]);
}

void typed(mp::start_method m) {
    mp::pool pool = make(m);
    std::vector<int> numbers(1000);
    std::iota(numbers.begin(), numbers.end(), -500);
    const std::vector<long> squares = pool.map<&square>(numbers);
    CHECK(squares.size() == numbers.size());
    for (std::size_t i = 0; i < numbers.size(); ++i)
        CHECK(squares[i] == long(numbers[i]) * numbers[i]);
    const std::vector<std::string> words{"abc", "", "xy"};
    CHECK((pool.map<&reversed>(words) == std::vector<std::string>{"cba", "", "yx"}));
    CHECK((pool.map<&reversed>(std::vector<const char *>{"abc"}) == std::vector<std::string>{"cba"}));
    CHECK((pool.map<&mean>(std::vector<std::vector<double>>{{1, 2, 3}, {5}}, 1) == std::vector<double>{2, 5}));
    CHECK((pool.map<&negate>(std::vector<bool>{true, false}) == std::vector<bool>{false, true}));
    CHECK((pool.map<&square>(std::vector<short>{3}) == std::vector<long>{9}));
    CHECK(pool.apply<&join>("a", 1, std::string("b")) == "a1b");
    pool.map<&nap>(std::vector<int>{1, 1});
    auto later = pool.apply_async<&square>(12);
    auto many = pool.map_async<&square>(std::vector<int>{1, 2});
    CHECK(later.get() == 144 && (many.get() == std::vector<long>{1, 4}));
    CHECK((many.raw().progress() == std::pair<std::size_t, std::size_t>(2, 2)));
}

void exceptions(mp::start_method m) {
    mp::pool pool = make(m);
    const auto thrown = [&](int x) {
        try {
            pool.apply<&picky>(x);
        } catch (const mp::task_error &e) {
            CHECK(e.code() == mp::status::task_failed);
            return std::to_string(e.task_code()) + " " + e.what();
        }
        return std::string();
    };
    CHECK(thrown(1).empty());
    CHECK(check::contains(thrown(3), "three is too many"));
    CHECK(check::contains(thrown(4), "44 ") && check::contains(thrown(4), "four"));
    CHECK(check::contains(thrown(5), "not a std::exception"));
    // The first failure by index, whatever the order of the workers.
    try {
        pool.map<&picky>(std::vector<int>{1, 4, 3, 2}, 1);
        FAIL("failed items");
    } catch (const mp::task_error &e) {
        CHECK(e.index() == 1 && e.task_code() == 44);
    }
    // Arguments that are not what the function takes.
    CHECK_FAILS(mp::status::task_failed, pool.apply(mp::target<&square>, {"xyz"}));
    CHECK_FAILS(mp::status::task_failed, pool.apply(mp::target<&square>));
}

void death(mp::start_method m) {
    mp::pool pool = make(m);
    auto outcome = pool.map_async<&suicidal>(std::vector<int>{1, 2, 3}, {}, 3);
    try {
        outcome.get();
        FAIL("a dead worker");
    } catch (const mp::task_error &e) {
        CHECK(e.code() == mp::status::worker_died && e.index() == 1 && e.pid() > 0 && e.signal() == SIGKILL);
    }
    CHECK(outcome.raw().item<int>(0) == 1 && outcome.raw().item<int>(2) == 3);
    CHECK(pool.apply<&suicidal>(1) == 1);
}

void callbacks(mp::start_method m) {
    mp::pool pool = make(m);
    int results = 0;
    int errors = 0;
    std::size_t done = 0;
    mp::task_options options;
    options.callbacks.on_result = [&](const mp::result_view &r) { results += static_cast<int>(r.size()); };
    options.callbacks.on_error = [&](const mp::task_failure &f) { errors += f.code; };
    options.callbacks.on_progress = [&](std::size_t n, std::size_t) { done = n; };
    pool.map_async<&square>(std::vector<int>{1, 2, 3}, options).get();
    CHECK(results == 3 && errors == 0);
    CHECK_FAILS(mp::status::task_failed, pool.apply_with<&picky>(options, 4).get());
    CHECK(results == 3 && errors == 44);
    // What a callback throws comes out of get.
    options.callbacks.on_result = [](const mp::result_view &) { throw std::logic_error("from the callback"); };
    auto r = pool.apply_with<&square>(options, 4);
    try {
        r.get();
        FAIL("the callback's exception");
    } catch (const std::logic_error &e) {
        CHECK(std::string(e.what()) == "from the callback");
    }
}

void waiting(mp::start_method m) {
    mp::pool pool = make(m);
    auto slow = pool.apply_async<&nap>(600000);
    CHECK(!slow.raw().ready());
    CHECK(slow.raw().try_wait(1ms) == mp::status::timeout);
    CHECK_FAILS(mp::status::timeout, slow.get(1ms));
    CHECK_FAILS(mp::status::state, slow.raw().successful());
    const mp::cancel stop;
    stop.fire();
    {
        const mp::cancel_scope scope(stop);
        CHECK_FAILS(mp::status::cancelled, slow.get());
    }
    CHECK_FAILS(mp::status::state, pool.join());
    pool.terminate();
    pool.join();
    CHECK(slow.raw().ready() && !slow.raw().successful());
}

void closing(mp::start_method m) {
    mp::pool pool = make(m);
    auto last = pool.map_async<&square>(std::vector<int>{5, 6});
    pool.close();
    pool.close();
    CHECK_FAILS(mp::status::closed, pool.apply<&square>(1));
    pool.join();
    CHECK((last.get() == std::vector<long>{25, 36}));
    const mp::task_options with_callback = [] {
        mp::task_options o;
        o.callbacks.on_result = [](const mp::result_view &) { FAIL("a callback of a refused submission"); };
        o.callbacks.on_error = [](const mp::task_failure &) { FAIL("a callback of a refused submission"); };
        return o;
    }();
    CHECK_FAILS(mp::status::closed, pool.apply_with<&square>(with_callback, 1));
}

// Workers that are threads: a task sees this process's memory, and terminating waits for it, not for what it gives.
std::atomic<int> begun{0};
std::atomic<int> ended{0};
std::atomic<bool> open{false};

int wait_until_open(int x) {
    ++begun;
    while (!open)
        std::this_thread::sleep_for(1ms);
    ++ended;
    return x;
}

void threads() {
    mp::pool pool = make(mp::start_method::thread);
    auto cancelled = pool.map_async<&wait_until_open>(std::vector<int>{1, 2, 3}, {}, 1);
    while (begun < 2)
        std::this_thread::sleep_for(1ms);
    pool.terminate();
    CHECK_FAILS(mp::status::cancelled, cancelled.get());
    CHECK(pool.try_join(1ms) == mp::status::timeout && ended == 0);
    open = true;
    pool.join();
    CHECK(ended == 2);
    CHECK_FAILS(mp::status::cancelled, cancelled.raw()[0]);
}

} // namespace

int main(int argc, char **argv) {
    check::begin(argc, argv);
    check::each_start_and_thread("raw", raw);
    check::each_start_and_thread("typed", typed);
    check::each_start_and_thread("exceptions", exceptions);
    check::each_start("death", death);
    check::each_start_and_thread("callbacks", callbacks);
    check::each_start("waiting", waiting);
    check::each_start_and_thread("closing", closing);
    threads();
    return 0;
}
