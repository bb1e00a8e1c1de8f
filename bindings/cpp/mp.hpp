/// \file
/// libmp for C++17: header-only, one namespace `mp`, nothing to link but libmp itself.
///
///     #include <mp.hpp>
///
///     int square(int x) { return x * x; }
///
///     int main(int argc, char **argv) {
///         mp::main_init(argc, argv);                 // first: a spawned child never returns from it
///         mp::pool pool(4);
///         std::vector<int> out = pool.map<&square>(std::vector<int>{1, 2, 3});
///     }
///
/// Owners. `mp::pool`, `mp::queue`, `mp::lock` and the others own one C handle each, like `std::unique_ptr`: they move
/// and do not copy; `native()` lends the C handle and `release()` gives it up. Destructors never throw. An empty owner
/// (moved from) may be destroyed, assigned to and tested; any other call on it throws `mp::error` with status
/// `invalid`.
///
/// Errors. A call that fails throws `mp::error`, a `std::system_error` whose code compares equal to an `mp::status` and
/// whose `what()` is the library's sentence. What a task did to fail arrives as `mp::task_error`. The `try_` forms
/// throw nothing that the library answers: they return the `mp::status`, whose sentence is then in `mp::last_error()`.
///
/// Sharing. `token()` names an object for processes of the same family, `from_token` gives a handle of it there;
/// programs that are not related find objects by their names in an `mp::arena`. What is acquired goes with
/// `std::lock_guard` and `std::unique_lock`; to be told that the last owner died, use `acquire`.
///
/// Time. Timeouts are any `std::chrono::duration`, or `mp::forever`; zero and negative mean "do not wait".
///
/// Functions. A task is an `mp_fn`, as in C, or any function of plain values named as a template argument,
/// `pool.map<&square>(items)`: see mp/codec.hpp for the types that travel and how to add one. An exception that leaves
/// such a function arrives at the caller with its text. Functions need no registration, except when the code lies in no
/// object that the child loads by itself.
///
/// Threads and processes. What mp.h says of a C call holds for the method that makes it.

#ifndef MP_HPP
#define MP_HPP

#include "mp/arena.hpp"
#include "mp/barrier.hpp"
#include "mp/codec.hpp"
#include "mp/condition.hpp"
#include "mp/connection.hpp"
#include "mp/core.hpp"
#include "mp/error.hpp"
#include "mp/event.hpp"
#include "mp/pool.hpp"
#include "mp/process.hpp"
#include "mp/queue.hpp"
#include "mp/result.hpp"
#include "mp/runtime.hpp"
#include "mp/shared.hpp"
#include "mp/sync.hpp"
#include "mp/target.hpp"
#include "mp/wait.hpp"

#endif
