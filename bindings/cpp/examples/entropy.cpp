// Tells how far data can be compressed: its entropy, in bits for each byte. Prints one line,
//
//     entropy [FILE [PROCESSES]]
//
// for a file of any size, or for the standard input if that is called -. It is a pipeline of three stages: this process
// reads, as many as PROCESSES count (by default one for each processor), and this process adds up what they counted.
//
//     read(2) --> blocks, at most 2 MiB --> counters --> counts --> sum
//
// A block is read from the file into the very memory in which its counter finds it: `reserve` gives room in the queue,
// `commit` puts as much as was read. The queue has a bound in bytes, so that the reader waits for slow counters, and a
// terabyte takes no more memory than a megabyte. Without arguments the program reads itself, and compares the counts
// with those of a plain loop. Exit codes: 0 fine, 1 something failed, 2 usage.

#include <mp.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <numeric>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

namespace {

constexpr std::size_t block_size = 128 << 10;
constexpr std::size_t most_in_flight = 2 << 20;

/// How often each byte occurs.
using counts = std::array<std::uint64_t, 256>;

void add(counts &sum, mp::bytes data) {
    for (const char c : data)
        ++sum[static_cast<unsigned char>(c)];
}

/// What a counter does: takes blocks until there are no more, then answers with what it has counted.
void count_blocks(mp::token blocks_token, mp::token out_token) {
    mp::queue blocks = mp::queue::from_token(blocks_token);
    mp::queue out = mp::queue::from_token(out_token);
    counts sum{};
    mp::buffer block;
    mp::status s = mp::status::ok;
    while ((s = blocks.try_get(block, mp::forever)) == mp::status::ok)
        add(sum, block.bytes());
    if (s != mp::status::closed)
        throw mp::error(s, mp::last_error());
    out.put(sum);
}

/// A file's descriptor, closed in the end.
class input {
  public:
    explicit input(const std::string &name)
        : fd_(name == "-" ? STDIN_FILENO : open(name.c_str(), O_RDONLY | O_CLOEXEC)), name_(name) {
        if (fd_ < 0)
            fail();
    }
    input(const input &) = delete;
    input &operator=(const input &) = delete;
    ~input() {
        if (fd_ != STDIN_FILENO)
            close(fd_);
    }

    /// How many bytes came; 0 at the end.
    std::size_t read_into(char *data, std::size_t room) const {
        ssize_t n = 0;
        do {
            n = read(fd_, data, room);
        } while (n < 0 && errno == EINTR);
        if (n < 0)
            fail();
        return static_cast<std::size_t>(n);
    }

  private:
    [[noreturn]] void fail() const { throw std::system_error(errno, std::generic_category(), name_); }

    int fd_;
    std::string name_;
};

/// Room for a block. Whoever waits for it in vain looks after the counters: only they can make any.
mp::reservation room_for_block(mp::queue &blocks, const std::vector<mp::process> &counters) {
    mp::reservation room;
    while (true) {
        const mp::status s = blocks.try_reserve(room, block_size, std::chrono::seconds(1));
        if (s == mp::status::ok)
            return room;
        if (s != mp::status::full)
            throw mp::error(s, mp::last_error());
        if (std::none_of(counters.begin(), counters.end(), [](const mp::process &c) { return c.is_alive(); }))
            throw std::runtime_error("all counters have died");
    }
}

counts count_all(const std::string &name, unsigned processes) {
    const input from(name);
    mp_queue_options bound = mp::queue_options();
    bound.max_bytes = most_in_flight;
    mp::queue blocks(bound);
    mp::queue out;
    mp::process_options with_us; // they end with this process, if it fails half-way
    with_us.daemon = true;
    std::vector<mp::process> counters;
    for (unsigned i = 0; i < processes; ++i) {
        counters.push_back(mp::process::with<&count_blocks>(with_us, blocks.token(), out.token()));
        counters.back().start();
    }
    while (true) {
        mp::reservation block = room_for_block(blocks, counters);
        const std::size_t n = from.read_into(block.data(), block.size());
        if (n == 0)
            break; // and `block` gives its room back
        block.commit(n);
    }
    blocks.close();
    counts sum{};
    for (mp::process &counter : counters) {
        counter.join();
        if (counter.exitcode() != 0)
            throw std::runtime_error("a counter has died, and the bytes that it had counted are lost");
        const counts part = out.get<counts>();
        std::transform(sum.begin(), sum.end(), part.begin(), sum.begin(), std::plus<>());
    }
    return sum;
}

/// The same without processes, for comparison.
counts count_alone(const std::string &name) {
    const input from(name);
    std::vector<char> room(block_size);
    counts sum{};
    while (const std::size_t n = from.read_into(room.data(), room.size()))
        add(sum, {room.data(), n});
    return sum;
}

std::uint64_t total(const counts &c) { return std::accumulate(c.begin(), c.end(), std::uint64_t(0)); }

double bits_per_byte(const counts &c) {
    const auto all = static_cast<double>(total(c));
    return std::accumulate(c.begin(), c.end(), 0.0, [&](double sum, std::uint64_t n) {
        const double share = static_cast<double>(n) / all;
        return n == 0 ? sum : sum - share * std::log2(share);
    });
}

} // namespace

int main(int argc, char **argv) try {
    mp::main_init(argc, argv);
    const bool check = argc == 1;
    const std::string name = check ? "/proc/self/exe" : argv[1];
    const unsigned long processes = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : mp::cpu_count();
    if (argc > 3 || processes == 0 || processes > 10000) {
        std::fprintf(stderr, "usage: %s [FILE [PROCESSES]]\n", argv[0]);
        return 2;
    }
    const counts sum = count_all(name, static_cast<unsigned>(processes));
    if (check && sum != count_alone(name))
        throw std::runtime_error("the pipeline and the loop have counted different things");
    std::printf("%s: %llu bytes, %.3f bits in each\n", name.c_str(), static_cast<unsigned long long>(total(sum)),
                bits_per_byte(sum));
    return 0;
} catch (const std::exception &e) {
    std::fprintf(stderr, "entropy: %s\n", e.what());
    return 1;
}
