// Waiting for any of many, and the descriptors of queues and processes.

#include "check.hpp"

#include <poll.h>

#include <csignal>
#include <thread>

using namespace std::chrono_literals;

namespace {

using places = std::vector<std::size_t>;

void kinds() {
    mp::event e;
    mp::queue q;
    mp::semaphore s(0);
    int ends[2];
    CHECK(pipe(ends) == 0);
    CHECK(mp::wait({q, e, s, ends[0]}, 1ms).empty() && mp::wait({q, e, s}, mp::no_wait).empty());
    CHECK(mp::wait({}, 1ms).empty());
    q.put("one");
    s.post();
    CHECK(mp::wait({q, e, s}) == (places{0, 2}));
    CHECK(write(ends[1], "x", 1) == 1);
    CHECK(mp::wait({ends[0], e, s}) == (places{0, 2}));
    const std::vector<mp::waitable> many(300, e);
    std::thread setter([&] { e.set(); });
    CHECK(mp::wait(many).size() == 300);
    setter.join();
    close(ends[0]);
    close(ends[1]);
}

void mistakes() {
    mp::event e;
    mp::queue gone(mp::adopt, nullptr);
    CHECK_FAILS(mp::status::invalid, mp::wait({e, gone}, mp::no_wait));
    CHECK(check::contains(mp::last_error(), "items[1]"));
    CHECK_FAILS(mp::status::invalid, mp::wait({e, -1}, mp::no_wait));
    CHECK_FAILS(mp::status::invalid, mp::wait({}));
}

void answer(mp::token in, mp::token out) {
    mp::queue questions = mp::queue::from_token(in);
    mp::queue answers = mp::queue::from_token(out);
    mp::buffer message;
    for (;;) {
        CHECK(mp::wait({questions}) == places{0});
        const mp::status got = questions.try_get(message);
        if (got == mp::status::closed)
            return;
        answers.put(std::string(message.bytes()) + "!");
    }
}

void between_processes(mp::start_method m) {
    mp::queue questions;
    mp::queue answers;
    mp::process child = check::start<&answer>(m, questions.token(), answers.token());
    for (int i = 0; i < 100; ++i) {
        questions.put(std::to_string(i));
        CHECK(mp::wait({child, answers}) == places{1});
        CHECK(answers.get<std::string>() == std::to_string(i) + "!");
    }
    questions.close();
    CHECK(mp::wait({child, answers}) == places{0});
    CHECK(child.exitcode() == 0);
}

int nap(int milliseconds) {
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    return milliseconds;
}

void results() {
    mp::pool pool(2);
    auto slow = pool.apply_async<&nap>(200);
    auto quick = pool.apply_async<&nap>(0);
    CHECK(mp::wait({slow, quick}) == places{1});
    CHECK(mp::wait({slow}) == places{0} && slow.get() == 200 && quick.get() == 0);
}

bool readable(int fd, int milliseconds) {
    pollfd p = {fd, POLLIN, 0};
    return poll(&p, 1, milliseconds) == 1;
}

/// Waits until the descriptor says so: it may be late.
void becomes(int fd, bool wanted) {
    while (readable(fd, 0) != wanted)
        std::this_thread::sleep_for(1ms);
}

void sleep_on() {
    for (;;)
        pause();
}

void descriptors() {
    mp::queue q(1);
    CHECK(!readable(q.fd(), 0) && readable(q.put_fd(), 0));
    q.put("full");
    becomes(q.fd(), true);
    becomes(q.put_fd(), false);
    CHECK(q.get<std::string>() == "full");
    becomes(q.fd(), false);
    becomes(q.put_fd(), true);
    mp::process p = check::start<&sleep_on>(mp::start_method::fork);
    CHECK(!readable(p.sentinel(), 0));
    p.kill();
    becomes(p.sentinel(), true);
    CHECK(p.exitcode() == -SIGKILL);
}

} // namespace

int main(int argc, char **argv) {
    check::begin(argc, argv);
    kinds();
    mistakes();
    check::each_start("between processes", between_processes);
    results();
    descriptors();
    return 0;
}
