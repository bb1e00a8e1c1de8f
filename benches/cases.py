"""What is compared, in which tables it is shown, and what libmp has to reach."""

MESSAGES = (
    "libmp",
    "libmp many",
    "libmp put, get",
    "libmp reserve, get",
    "libmp, unbounded",
    "libmp connection",
    "polled ring, two copies",
    "polled ring, in place",
    "pipe",
    "AF_UNIX seqpacket",
    "POSIX mq",
    "Boost message_queue",
    "iceoryx2, polled",
    "iceoryx2, event",
    "ipc-channel",
    "Go channel (in process)",
    "Python Queue",
    "Python Pipe",
    "faster-fifo",
    "faster-fifo, many",
)
CONTENDED = (
    "libmp",
    "pthread mutex",
    "pthread robust mutex",
    "sem_t",
    "Boost mutex",
    "Boost semaphore",
    "Rust Mutex (threads)",
    "Python Lock",
    "libmp rlock",
    "libmp semaphore",
)
CONDITIONS = ("libmp", "pthread cond", "Boost condition", "Rust Condvar (threads)", "Python Condition")
SEMAPHORES = ("libmp", "pure spin", "sem_t", "Boost semaphore", "Python Semaphore")
# What passes messages between processes, as those do that target the best of them.
BETWEEN_PROCESSES = tuple(
    peer for peer in MESSAGES if not peer.startswith(("libmp", "polled ring")) and "in process" not in peer
)


def message(size, sides="one producer, one consumer", unit="kmsg/s"):
    return f"Messages of {size}, {sides}", unit, False, MESSAGES


BARE_FORK = "fork and waitpid"
SERVED_LARGE = "libmp, 1 GiB in the parent"
TWO = "two producers, two consumers"
# case: title, unit, whether less is better, and the peers in the order in which they are shown.
COMPARED = {
    "map": (
        "Pool: map of 100,000 empty tasks, chunksize 1, 2 workers",
        "ktask/s",
        False,
        ("libmp", "Python Pool"),
    ),
    "apply": ("Pool: one task there and back", "us", True, ("libmp", "Python Pool")),
    "8 B": message("8 bytes"),
    "64 B": message("64 bytes"),
    "1 KiB": message("1 KiB"),
    "64 KiB": message("64 KiB", unit="MB/s"),
    "1 MiB": message("1 MiB", unit="MB/s"),
    "8 B, 2P2C": message("8 bytes", TWO),
    "64 B, 2P2C": message("64 bytes", TWO),
    "1 KiB, 2P2C": message("1 KiB", TWO),
    "trip": ("Messages of 8 bytes: round trip between two cores", "ns", True, MESSAGES),
    "trip, one core": ("Messages of 8 bytes: round trip on one core", "ns", True, MESSAGES),
    "lock": (
        "Lock and unlock, uncontended",
        "ns",
        True,
        (
            "libmp",
            "bare CAS pair",
            "pthread mutex",
            "pthread robust mutex",
            "pthread recursive mutex",
            "sem_t",
            "Boost mutex",
            "Boost semaphore",
            "Rust Mutex (threads)",
            "Python Lock",
            "Python RLock",
            "Python Semaphore",
            "libmp rlock",
            "libmp semaphore",
        ),
    ),
    "contended": ("Lock and unlock, two processes at once", "kpair/s", False, CONTENDED),
    "contended, 1 us": (
        "Lock and unlock, two processes at once, 1 us within and 1 us without the lock",
        "kpair/s",
        False,
        CONTENDED,
    ),
    "handoff": ("Hand-off between two cores: round trip by two semaphores", "ns", True, SEMAPHORES),
    "handoff, one core": ("Hand-off on one core: round trip by two semaphores", "ns", True, SEMAPHORES),
    "condition": ("Hand-off between two cores: round trip by two conditions", "ns", True, CONDITIONS),
    "condition, one core": ("Hand-off on one core: round trip by two conditions", "ns", True, CONDITIONS),
    "fork": (
        "Process: start and join, by fork",
        "us",
        True,
        ("libmp", BARE_FORK, "fork and waitpid, before libmp is used", "Python fork"),
    ),
    "forkserver": (
        "Process: start and join, by a fork server",
        "us",
        True,
        ("libmp", SERVED_LARGE, BARE_FORK, "fork and waitpid, 1 GiB in the parent", "Python forkserver"),
    ),
    "spawn": (
        "Process: start and join, by spawn",
        "us",
        True,
        ("libmp", "posix_spawn, the same program", "posix_spawn /bin/true", "Python spawn"),
    ),
    "thread": ("Process: start and join, as a thread", "us", True, ("libmp", "pthread_create and join")),
    "idle memory": ("An idle forked worker: memory of its own", "KiB", True, ("libmp", "forked C child")),
    "orphans": (
        "The parent is killed: until 9 daemons, 3 pools and the fork server have ended",
        "ms",
        True,
        ("libmp",),
    ),
}
# The most, of every sample.
LIMITS = {"orphans": ("libmp", 1000, "ms")}
LOCKS = ("pthread mutex", "pthread robust mutex", "sem_t", "Boost mutex", "Boost semaphore")
# case, libmp's row, the peers each of which it has to be better than, and by how many times at least.
TARGETS = (
    ("map", "libmp", ("Python Pool",), 20),
    ("64 B", "libmp", ("Boost message_queue",), 3),
    ("64 B", "libmp", ("pipe",), 4),
    ("64 B", "libmp", ("Python Queue",), 20),
    ("64 B", "libmp many", ("polled ring, two copies",), 0.5),
    ("1 MiB", "libmp put, get", ("polled ring, in place",), 0.85),
    ("1 MiB", "libmp reserve, get", ("polled ring, in place",), 0.95),
    ("trip", "libmp", ("polled ring, two copies",), 1 / 3),
    ("trip, one core", "libmp", ("pipe",), 1 / 1.3),
    ("lock", "libmp", ("bare CAS pair",), 1 / 1.5),
    ("lock", "libmp", ("pthread mutex",), 1),
    ("contended", "libmp", LOCKS, 1),
    ("contended, 1 us", "libmp", LOCKS, 1),
    ("fork", "libmp", (BARE_FORK,), 1 / 1.2),
    ("forkserver", SERVED_LARGE, (BARE_FORK,), 1 / 1.5),
    ("spawn", "libmp", ("posix_spawn, the same program",), 1 / 1.3),
    ("idle memory", "libmp", ("forked C child",), 1 / 2),
    ("handoff", "libmp", ("pure spin",), 1 / 2),
    ("handoff, one core", "libmp", ("sem_t",), 1 / 1.3),
)
# The same, against the best of those that are there.
AGAINST_BEST = (("64 B, 2P2C", "libmp", BETWEEN_PROCESSES, 2.5),)
CREATION = "Creating 10,000 queues (Python: 1,000; POSIX mq: 200)"
# The figures of one, and what libmp's is to be under. The family's memory has a descriptor, once.
FIGURES = {
    "create": ("us each", 5),
    "create, bytes": ("bytes each", 1024),
    "create, descriptors": ("descriptors each", 0.001),
}
DEATH = "The owner is killed: ms until the next one has the lock"
# The longest that the one who waits may wait, in ms.
BOUNDS = {"its children": 5, "own forks": 100}
KERNEL = "pthread robust mutex"
IDLE = "64 idle waiters on each object: wake-ups a second of each"
# The most; a held lock's watchman looks after its owner.
WAKES = {"watchman": 20, "others": 2}
SHARES = (0, 0.5, 0.9, 0.99, 1)
