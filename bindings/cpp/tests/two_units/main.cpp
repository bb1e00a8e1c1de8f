// The header in two translation units, twice in one: nothing in it may be defined twice. With other.cpp.

#include <mp.hpp>

int from_b(int x);
int twice(int x);
int twice(int x) { return 2 * x; }

int main(int argc, char **argv) {
    mp::main_init(argc, argv);
    mp::pool pool(1);
    return pool.apply<&twice>(4) == 8 && from_b(4) == 12 ? 0 : 1;
}
