"""Python's multiprocessing, measured as the C programs measure libmp: peers.py {pool|lock|handoff|start} [PERCENT]"""

import json
import multiprocessing
import os
import sys
import time

# fork, as libmp does by default: newer versions of Python would choose another.
context = multiprocessing.get_context("fork")
now = time.perf_counter_ns
processors = sorted(os.sched_getaffinity(0))


def pin(which):
    os.sched_setaffinity(0, [processors[which % len(processors)]])


def tell(case, peer, values):
    print(json.dumps({"case": case, "peer": peer, "values": [float(f"{v:.6g}") for v in values]}), flush=True)


def nothing(_):
    pass


def measure_pool(percent):
    """Fewer tasks than libmp's 100,000, since the rate of Pool does not depend on their number."""
    tasks, rates, times = 4000, [], []
    with context.Pool(2) as pool:
        pool.map(nothing, range(400), chunksize=1)
        for _ in range(1 + percent // 50):
            start = now()
            pool.map(nothing, range(tasks), chunksize=1)
            rates.append(tasks * 1e6 / (now() - start))
        for _ in range(10 + percent):
            start = now()
            pool.apply(nothing, (1,))
            times.append((now() - start) / 1e3)
    tell("map", "Python Pool", rates)
    tell("apply", "Python Pool", times)


def until(word, value):
    while word.value != value:
        time.sleep(0)


def measure_lock(percent):
    locks = {"Python Lock": context.Lock(), "Python RLock": context.RLock(), "Python Semaphore": context.Semaphore()}
    pin(0)
    for peer, lock in locks.items():
        tell("lock", peer, [pairs(lock) for _ in range(2 + percent // 10)])
    for case, work in (("contended", 0), ("contended, 1 us", 1000)):
        tell(case, "Python Lock", [contend(locks["Python Lock"], work) for _ in range(1 + percent // 25)])


def pairs(lock):
    """A lock and its release by one process alone, in ns."""
    times = 2000
    start = now()
    for _ in range(times):
        lock.acquire()
        lock.release()
    return (now() - start) / times


def toil(work):
    end = now() + work
    while work and now() < end:
        pass


def grab(lock, work, end):
    turns = 0
    while now() < end:
        lock.acquire()
        toil(work)
        lock.release()
        toil(work)
        turns += 1
    return turns


def contend(lock, work):
    """Turns of two processes, in thousands a second."""
    length = 10_000_000
    ready, turns = context.RawValue("i", 0), context.RawValue("q", 0)

    def other_side():
        pin(1)
        ready.value = 1
        until(ready, 2)
        turns.value = grab(lock, work, now() + length)

    other = context.Process(target=other_side, daemon=True)
    other.start()
    until(ready, 1)
    ready.value = 2
    start = now()
    mine = grab(lock, work, start + length)
    took = now() - start
    other.join()
    return (mine + turns.value) * 1e6 / took


def measure_handoff(percent):
    for place, where in ((1, ""), (0, ", one core")):
        semaphores = [context.Semaphore(0) for _ in range(2)]
        signals = [Signal() for _ in range(2)]
        tell("handoff" + where, "Python Semaphore", round_trips([(s.release, s.acquire) for s in semaphores], place, percent))
        tell("condition" + where, "Python Condition", round_trips([(s.post, s.wait) for s in signals], place, percent))


class Signal:
    """A flag that one process sets and another awaits."""

    def __init__(self):
        self.condition, self.flag = context.Condition(), context.RawValue("b", 0)

    def post(self):
        with self.condition:
            self.flag.value = 1
            self.condition.notify()

    def wait(self):
        with self.condition:
            while not self.flag.value:
                self.condition.wait()
            self.flag.value = 0


def round_trips(ways, place, percent):
    """Between two processes, in ns each."""
    trips, blocks = 40, 3 + percent // 10
    (post, answered), (answer, wait) = (ways[0][0], ways[0][1]), (ways[1][0], ways[1][1])

    def other_side():
        pin(place)
        for _ in range(trips * blocks):
            answered()
            answer()

    other = context.Process(target=other_side, daemon=True)
    other.start()
    pin(0)
    times = []
    for _ in range(blocks):
        start = now()
        for _ in range(trips):
            post()
            wait()
        times.append((now() - start) / trips)
    other.join()
    return times


def measure_start(percent):
    """The three contexts; no other module is preloaded than those of the program."""
    for method, times in (("fork", 5 + percent), ("forkserver", 3 + percent // 4), ("spawn", 2 + percent // 12)):
        context = multiprocessing.get_context(method)
        found = []
        for i in range(1 + times):
            start = now()
            process = context.Process(target=nothing, args=(1,))
            process.start()
            process.join()
            if i > 0:
                found.append((now() - start) / 1e3)
        tell(method, f"Python {method}", found)


GROUPS = {"pool": measure_pool, "lock": measure_lock, "handoff": measure_handoff, "start": measure_start}

if __name__ == "__main__":
    GROUPS[sys.argv[1]](int(sys.argv[2]) if len(sys.argv) > 2 else 100)
