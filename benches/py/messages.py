"""Python's queues and pipes, and faster-fifo where it is installed, measured as the C programs measure libmp:
messages.py {message|trip|create} [PERCENT]. The environment's CHANNEL is the C programs' channel.c as a library."""

import ctypes
import os
import signal
import sys

from peers import context, now, pin, tell, until

try:
    import faster_fifo
except ImportError:
    faster_fifo = None

LARGE = 64 << 10
TESTS = (("8 B", 8, 1), ("64 B", 64, 1), ("1 KiB", 1024, 1), ("64 KiB", LARGE, 1), ("1 MiB", 1 << 20, 1))
TESTS += (("8 B, 2P2C", 8, 2), ("64 B, 2P2C", 64, 2), ("1 KiB, 2P2C", 1024, 2))
BATCH = 64
# No wait is longer, where a peer wants to know.
LONGEST = 10
REST = {size: b"x" * (size - 8) for _, size, _ in TESTS}


class Bytes:
    """Writes and reads every byte of large messages, by the code that the C programs use."""

    def __init__(self):
        self.library = ctypes.CDLL(os.environ["CHANNEL"])
        for call in (self.library.write_all, self.library.read_all):
            call.argtypes, call.restype = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint64), None
        self.buffers = {}

    def write(self, size, number):
        buffer = self.buffers.setdefault(size, bytearray(size))
        self.library.write_all(ctypes.addressof(ctypes.c_char.from_buffer(buffer)), size, number)
        return buffer

    def read(self, message, number):
        self.library.read_all(ctypes.cast(ctypes.c_char_p(message), ctypes.c_void_p), len(message), number)


class Queue:
    name, crowds, most = "Python Queue", True, 1 << 20

    def __init__(self, size):
        self.queue = context.Queue(room_for(size))

    def put(self, message):
        self.queue.put(bytes(message))

    def get(self):
        return (self.queue.get(),)


class Pipe:
    """Its ends may be used by one process each."""

    name, crowds, most = "Python Pipe", False, 1 << 20

    def __init__(self, _):
        self.receiver, self.sender = context.Pipe(False)

    def put(self, message):
        self.sender.send_bytes(message)

    def get(self):
        return (self.receiver.recv_bytes(),)


class Fifo:
    name, crowds, most = "faster-fifo", True, 1 << 20

    def __init__(self, size):
        self.queue = faster_fifo.Queue(max_size_bytes=room_for(size) * (size + 100))

    def put(self, message):
        self.queue.put(bytes(message), timeout=LONGEST)

    def get(self):
        return (self.queue.get(timeout=LONGEST),)


class FifoMany(Fifo):
    """Takes as many as are there, which two consumers could not share evenly."""

    name, crowds, most = "faster-fifo, many", False, 1024

    def get(self):
        return self.queue.get_many(timeout=LONGEST, max_messages_to_get=BATCH)


PEERS = (Queue, Pipe) + ((Fifo, FifoMany) if faster_fifo else ())


def room_for(size):
    """As libmp's queues have."""
    return 1024 if size < LARGE else 16 if size == LARGE else 4


class Lane:
    """One process's end of a channel, with the numbers of its messages."""

    def __init__(self, channel, size, producer):
        self.channel, self.size, self.next, self.last, self.sum = channel, size, (producer << 56) + 1, [0, 0], 0
        self.bytes = Bytes() if size >= LARGE else None

    def produce(self, count):
        put, size, number = self.channel.put, self.size, self.next
        for number in range(number, number + count):
            if size < LARGE:
                put(number.to_bytes(8, "little") + REST[size])
            else:
                put(self.bytes.write(size, number))
        self.next += count

    def consume(self, count):
        self.sum = 0
        while count > 0:
            for message in self.channel.get():
                number = int.from_bytes(message[:8], "little")
                producer = number >> 56
                if number <= self.last[producer]:
                    raise ValueError("a message is lost or out of order")
                self.last[producer] = number
                self.sum += number
                if self.size >= LARGE:
                    self.bytes.read(message, number)
                count -= 1


class Board:
    """What the processes of a measurement share."""

    def __init__(self):
        self.block, self.messages = context.RawValue("i", 0), context.RawValue("q", 0)
        self.done, self.sums = context.RawArray("i", 4), context.RawArray("Q", 4)


def die_with_parent():
    set_death_signal = 1
    ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)


def take_part(board, lane, place, consumer):
    die_with_parent()
    pin(place % 2 ^ consumer)
    block = 0
    while True:
        block += 1
        until(board.block, block)
        if board.messages.value == 0:
            return
        (lane.consume if consumer else lane.produce)(board.messages.value)
        board.sums[place], board.done[place] = lane.sum % 2**64, block


def measure_pair(peer, case, size, sides, percent):
    """Blocks of about 10 ms. The first producer is this process."""
    trials, board, channel = 4, Board(), peer(size)
    others = [(2 + side, True) for side in range(sides)] + [(side, False) for side in range(1, sides)]
    processes = []
    for place, consumer in others:
        lane = Lane(channel, size, place % 2)
        processes.append(context.Process(target=take_part, args=(board, lane, place, consumer), daemon=True))
        processes[-1].start()
    pin(0)
    lane, best, values = Lane(channel, size, 0), 0, []
    for block in range(1, trials + 4 + 20 * percent // 100):
        first, count = lane.next, int(best * 10_000 / sides) + (50 if size < LARGE else 2)
        board.messages.value = count
        start = now()
        board.block.value = block
        lane.produce(count)
        for place, _ in others:
            while board.done[place] != block:
                os.sched_yield()
        rate = count * sides * 1e3 / (now() - start)
        wanted = sum(count * ((side << 56) + first) + count * (count - 1) // 2 for side in range(sides))
        if sum(board.sums) % 2**64 != wanted % 2**64:
            raise ValueError("messages are lost")
        if block > trials:
            values.append(rate * (1e3 if size < LARGE else size))
        best = max(best, rate)
    board.messages.value = 0
    board.block.value += 1
    for process in processes:
        process.join()
    tell(case, peer.name, values)


def measure_messages(percent):
    for case, size, sides in TESTS:
        for peer in PEERS:
            if size <= peer.most and (sides == 1 or peer.crowds):
                measure_pair(peer, case, size, sides, percent)


def answer(there, back, trips, place):
    die_with_parent()
    pin(place)
    for _ in range(trips):
        for message in there.get():
            back.put(message)


def round_trips(peer, place, percent):
    """Of eight bytes between two processes, in ns each."""
    trips, blocks, message, values = 40, 3 + percent // 10, b"x" * 8, []
    there, back = peer(8), peer(8)
    other = context.Process(target=answer, args=(there, back, trips * blocks, place), daemon=True)
    other.start()
    pin(0)
    for _ in range(blocks):
        start = now()
        for _ in range(trips):
            there.put(message)
            back.get()
        values.append((now() - start) / trips)
    other.join()
    # The first block brings both to the point.
    return values[1:]


def measure_trips(percent):
    for case, place in (("trip", 1), ("trip, one core", 0)):
        for peer in PEERS:
            if peer is not FifoMany:
                tell(case, peer.name, round_trips(peer, place, percent))


def memory():
    """As the C program for creation counts it."""
    keys = {"/proc/self/status": ("RssAnon:", "RssShmem:"), "/proc/meminfo": ("Slab:",)}
    total = 0
    for path, wanted in keys.items():
        with open(path) as lines:
            total += sum(1024 * int(line.split()[1]) for line in lines if line.startswith(wanted))
    return total


def create(count, figures):
    before, start_memory, start = len(os.listdir("/proc/self/fd")), memory(), now()
    made = [context.Queue() for _ in range(count)]
    figures[0] = (now() - start) / 1e3 / count
    figures[1] = (memory() - start_memory) / count
    figures[2] = (len(os.listdir("/proc/self/fd")) - before) / count
    del made


def measure_creation(percent):
    """A thousand, since each has two descriptors and three semaphores."""
    cases = ("create", "create, bytes", "create, descriptors")
    values = [[] for _ in cases]
    for _ in range(1 + percent // 50):
        figures = context.RawArray("d", 3)
        process = context.Process(target=create, args=(1000, figures), daemon=True)
        process.start()
        process.join()
        for found, figure in zip(values, figures):
            found.append(figure)
    for case, found in zip(cases, values):
        tell(case, Queue.name, found)


GROUPS = {"message": measure_messages, "trip": measure_trips, "create": measure_creation}

if __name__ == "__main__":
    GROUPS[sys.argv[1]](int(sys.argv[2]) if len(sys.argv) > 2 else 100)
