// See main.cpp.

#include <mp.hpp>

int from_b(int x);
int thrice(int x);
int thrice(int x) { return 3 * x; }

int from_b(int x) {
    mp::pool pool(1);
    return pool.apply<&thrice>(x);
}
