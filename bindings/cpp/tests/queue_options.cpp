// Queues of all orders and bounds, and what is known to be done.

#include "check.hpp"

#include <chrono>
#include <csignal>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

namespace {

mp_queue_options redelivering(std::int64_t maxsize = 0, mp::queue_kind kind = mp::queue_kind::fifo) {
    mp_queue_options o = mp::queue_options(maxsize, kind);
    o.redeliver = true;
    return o;
}

std::string all(mp::queue &q) {
    std::string out;
    mp::buffer message;
    while (mp::succeeded(q.try_get(message)))
        out.append(message.bytes());
    return out;
}

void orders() {
    mp::queue fifo, lifo(mp::queue_options(0, mp::queue_kind::lifo));
    for (const char *text : {"a", "b", "c"}) {
        fifo.put(text);
        lifo.put(text);
    }
    CHECK(all(fifo) == "abc" && all(lifo) == "cba");
    mp::queue ranked(mp::queue_options(5, mp::queue_kind::priority));
    ranked.put_priority(3, "c");
    ranked.put_priority(-5, "a");
    ranked.put("b");
    ranked.put_priority(3, std::string("d"));
    CHECK(ranked.try_put_priority(9, "e") == mp::status::ok);
    CHECK(ranked.try_put_priority(1, "f") == mp::status::full);
    CHECK_FAILS(mp::status::full, ranked.put_priority(1, "f", 1ms));
    CHECK(all(ranked) == "abcde");
    ranked.put_priority(1, 77);
    CHECK(ranked.get<int>() == 77);
    CHECK_FAILS(mp::status::unsupported, fifo.put_priority(1, "x"));
    CHECK(lifo.try_put_priority(1, "x") == mp::status::unsupported && lifo.size() == 0);
}

void bounds() {
    mp_queue_options o = mp::queue_options();
    o.max_bytes = 10;
    mp::queue q(o);
    CHECK_FAILS(mp::status::too_large, q.put("eleven char"));
    q.put("1234567");
    CHECK(q.try_put("1234") == mp::status::full && q.try_put("123") == mp::status::ok);
    CHECK(q.get<std::string>() == "1234567" && q.try_put("1234567") == mp::status::ok);

    // Whatever its timeout, a put there does not wait; here it drops what is oldest.
    mp::queue fail(mp::queue_options(1, mp::queue_kind::fifo, mp::overflow_policy::fail));
    fail.put("a");
    CHECK_FAILS(mp::status::full, fail.put("b", mp::forever));
    CHECK(all(fail) == "a");
    mp::queue drop(mp::queue_options(2, mp::queue_kind::fifo, mp::overflow_policy::drop_oldest));
    for (const char *text : {"a", "b", "c", "d"})
        drop.put(text);
    CHECK(drop.size() == 2 && all(drop) == "cd");

    o.kind = 99;
    CHECK_FAILS(mp::status::invalid, mp::queue(o));
    o = mp::queue_options();
    o.overflow = -1;
    CHECK_FAILS(mp::status::invalid, mp::queue(o));
}

void done() {
    mp::queue q;
    q.join();
    CHECK_FAILS(mp::status::overflow, q.task_done());
    q.put_many(std::vector<int>{1, 2});
    CHECK(q.try_join() == mp::status::timeout);
    CHECK_FAILS(mp::status::timeout, q.join(1ms));
    std::thread worker([&] {
        for (int i = 0; i < 2; ++i) {
            CHECK(q.get<int>() == i + 1);
            std::this_thread::sleep_for(5ms);
            q.task_done();
        }
    });
    q.join();
    worker.join();
    CHECK(q.try_join() == mp::status::ok);
    // What is dropped is done.
    mp::queue drop(mp::queue_options(1, mp::queue_kind::fifo, mp::overflow_policy::drop_oldest));
    drop.put(1);
    drop.put(2);
    CHECK(drop.get<int>() == 2);
    drop.task_done();
    drop.join();
}

void acknowledged() {
    mp::queue q(redelivering(2));
    q.put("a");
    q.put("b");
    const mp::buffer a = q.get();
    std::vector<mp::buffer> rest = q.get_many(5);
    CHECK(rest.size() == 1 && rest[0].bytes() == "b");
    // What was taken has made room, but is not done.
    q.put("c");
    CHECK(q.try_join() == mp::status::timeout);
    q.ack(a);
    CHECK(a.bytes() == "a");
    CHECK_FAILS(mp::status::state, q.ack(a));
    q.ack(rest[0]);
    CHECK(q.try_join() == mp::status::timeout);
    const mp::buffer c = q.get();
    q.ack(c);
    q.join();
    // Only what this queue gave, and only where there is something to acknowledge.
    CHECK_FAILS(mp::status::invalid, q.ack(mp::buffer(1)));
    CHECK_FAILS(mp::status::invalid, q.ack(mp::buffer()));
    mp::queue plain;
    plain.put("x");
    CHECK_FAILS(mp::status::unsupported, plain.ack(plain.get()));
    q.put("x");
    char room[8];
    CHECK_FAILS(mp::status::unsupported, q.get_into(room, sizeof room));
    CHECK_FAILS(mp::status::unsupported, q.get_many_into(room, sizeof room, 1));
    CHECK(q.size() == 1);
}

/// Doubles numbers; is killed with one in its hands, which has not been answered.
void work_and_die(mp::token in_token, mp::token out_token, int dies_at) {
    mp::queue in = mp::queue::from_token(in_token);
    mp::queue out = mp::queue::from_token(out_token);
    mp::buffer message;
    for (int i = 0; mp::succeeded(in.try_get(message, mp::forever)); ++i) {
        if (i == dies_at)
            std::raise(SIGKILL);
        out.put(2 * mp::codec<int>::decode(message.bytes()));
        in.ack(message);
    }
}

/// Workers die with messages in their hands, and every message is worked on.
void nothing_is_lost(mp::start_method m) {
    const int count = 20;
    mp::queue in(redelivering());
    mp::queue out;
    for (int i = 0; i < count; ++i)
        in.put(i);
    in.close();
    int deaths = 0;
    for (bool at_end = false; !at_end;) {
        mp::process worker = check::start<&work_and_die>(m, in.token(), out.token(), 6);
        worker.join();
        at_end = worker.exitcode() == 0;
        deaths += worker.exitcode() == -SIGKILL;
    }
    in.join();
    CHECK(deaths == 3 && out.size() == count);
    for (int i = 0; i < count; ++i)
        CHECK(out.get<int>() == 2 * i);
    CHECK_FAILS(mp::status::closed, in.get());
}

void take_and_end(mp::token token) {
    mp::queue q = mp::queue::from_token(token);
    CHECK(q.get<int>() == 1);
}

/// In other queues, what a dead process has taken is done.
void the_dead_are_not_waited_for(mp::start_method m) {
    mp::queue q;
    q.put(1);
    mp::process child = check::start<&take_and_end>(m, q.token());
    q.join();
    child.join();
    CHECK(child.exitcode() == 0);
}

/// In an arena the options are the queue's, whoever opens it.
void in_an_arena() {
    const std::string name = "test-queue-options-" + std::to_string(getpid());
    {
        mp::arena arena(name);
        mp::queue q = arena.queue("q", redelivering(3, mp::queue_kind::priority));
        CHECK_FAILS(mp::status::exists, arena.queue("q", 3));
        mp::queue same = arena.queue("q");
        same.put_priority(2, "b");
        same.put_priority(1, "a");
        const mp::buffer a = q.get();
        CHECK(a.bytes() == "a");
        same.ack(a);
        CHECK(q.size() == 1);
    }
    mp::unlink_arena(name);
}

} // namespace

int main(int argc, char **argv) {
    check::begin(argc, argv);
    orders();
    bounds();
    done();
    acknowledged();
    check::each_start("nothing is lost", nothing_is_lost);
    check::each_start("the dead are not waited for", the_dead_are_not_waited_for);
    in_an_arena();
    return 0;
}
