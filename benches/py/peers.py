"""Python's multiprocessing, measured as the C programs measure libmp: peers.py {pool|queue} [PERCENT]"""

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


def consume(queue, block, done, messages):
    pin(1)
    number = 1
    while True:
        until(block, number)
        if messages.value == 0:
            return
        for _ in range(messages.value):
            queue.get()
        done.value = number
        number += 1


def measure_queue(percent):
    queue = context.Queue(1024)
    block, done, messages = (context.RawValue("i", 0) for _ in range(3))
    consumer = context.Process(target=consume, args=(queue, block, done, messages), daemon=True)
    consumer.start()
    pin(0)
    message, rates, best = b"x" * 64, [], 0
    messages.value = 100
    end = now() + 4_000_000 * percent
    while now() < end or len(rates) < 6:
        start = now()
        block.value += 1
        for _ in range(messages.value):
            queue.put(message)
        until(done, block.value)
        rates.append(messages.value * 1e6 / (now() - start))
        if block.value <= 3:
            # Blocks of about 10 ms from here on.
            best = max(best, rates.pop())
            messages.value = int(best * 10) + 1
    messages.value = 0
    block.value += 1
    consumer.join()
    tell("queue", "Python Queue", rates)


if __name__ == "__main__":
    {"pool": measure_pool, "queue": measure_queue}[sys.argv[1]](int(sys.argv[2]) if len(sys.argv) > 2 else 100)
