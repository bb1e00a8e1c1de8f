// Counts the primes below a limit and finds the largest gap between two of them, one segment of the number line per
// task:
//
//     primes [LIMIT] [PROCESSES]
//
// The default is ten million, on all processors. Prints one line; for powers of ten the count is compared with the
// published one. Exit codes: 0 fine, 1 something failed or the count is wrong, 2 usage.

#include <mp.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <vector>

namespace {

struct segment {
    std::uint64_t begin, end;
};

struct gap {
    std::uint64_t length, after;
};

struct found {
    std::uint64_t count, first, last;
    gap largest;
};

std::vector<std::uint64_t> primes_up_to(std::uint64_t n) {
    std::vector<bool> composite(n + 1);
    std::vector<std::uint64_t> out;
    for (std::uint64_t p = 2; p <= n; ++p) {
        if (composite[p])
            continue;
        out.push_back(p);
        for (std::uint64_t m = p * p; m <= n; m += p)
            composite[m] = true;
    }
    return out;
}

std::uint64_t root(std::uint64_t n) {
    std::uint64_t r = 0;
    while ((r + 1) * (r + 1) <= n)
        ++r;
    return r;
}

void add(found &all, std::uint64_t prime) {
    if (all.count == 0)
        all.first = prime;
    if (all.count > 0 && prime - all.last > all.largest.length)
        all.largest = {prime - all.last, all.last};
    all.last = prime;
    ++all.count;
}

/// The task: sieves one segment.
found sieve(segment s) {
    std::vector<bool> composite(s.end - s.begin);
    for (std::uint64_t p : primes_up_to(root(s.end))) {
        const std::uint64_t start = std::max(p * p, (s.begin + p - 1) / p * p);
        for (std::uint64_t m = start; m < s.end; m += p)
            composite[m - s.begin] = true;
    }
    found out{};
    for (std::uint64_t n = std::max<std::uint64_t>(s.begin, 2); n < s.end; ++n) {
        if (!composite[n - s.begin])
            add(out, n);
    }
    return out;
}

/// Joins what the segments found, in order; a gap may span their borders.
found merge(const std::vector<found> &parts) {
    found all{};
    for (const found &part : parts) {
        if (part.count == 0)
            continue;
        const std::uint64_t count = all.count;
        add(all, part.first);
        if (part.largest.length > all.largest.length)
            all.largest = part.largest;
        all.last = part.last;
        all.count = count + part.count;
    }
    return all;
}

std::vector<segment> split(std::uint64_t limit) {
    const std::uint64_t step = 1 << 18;
    std::vector<segment> out;
    for (std::uint64_t begin = 0; begin < limit; begin += step)
        out.push_back({begin, std::min(begin + step, limit)});
    return out;
}

/// How many primes there are below 10^k.
bool agrees_with_published(std::uint64_t limit, std::uint64_t count) {
    const std::uint64_t published[] = {0, 4, 25, 168, 1229, 9592, 78498, 664579, 5761455, 50847534};
    std::uint64_t power = 1;
    for (std::uint64_t expected : published) {
        if (limit == power)
            return count == expected;
        power *= 10;
    }
    return true;
}

bool parse(const char *text, std::uint64_t max, std::uint64_t &out) {
    char *end = nullptr;
    out = std::strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && out <= max;
}

} // namespace

int main(int argc, char **argv) try {
    mp::main_init(argc, argv);
    std::uint64_t limit = 10000000;
    std::uint64_t processes = 0;
    const bool understood =
        argc <= 3 && (argc < 2 || parse(argv[1], 100000000000, limit)) && (argc < 3 || parse(argv[2], 1024, processes));
    if (!understood) {
        std::fprintf(stderr, "usage: %s [LIMIT] [PROCESSES]\n", argv[0]);
        return 2;
    }
    mp::pool pool(static_cast<unsigned>(processes));
    const found all = merge(pool.map<&sieve>(split(limit)));
    pool.close();
    pool.join();
    std::cout << all.count << " primes below " << limit << "; the largest gap is " << all.largest.length << ", after "
              << all.largest.after << '\n';
    if (!agrees_with_published(limit, all.count)) {
        std::fprintf(stderr, "the published count is another\n");
        return 1;
    }
    return 0;
} catch (const std::exception &e) {
    std::fprintf(stderr, "primes: %s\n", e.what());
    return 1;
}
