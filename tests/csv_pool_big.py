"""A file of 300 MB as a stream: no process of csv_pool may need more than 64 MiB."""

import os
import tempfile
import threading
import unittest

from csv_pool_support import Child, command

FILE_BYTES = 300 * 1000 * 1000
LIMIT_KIB = 64 * 1024


def resident_kib(pid):
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            return next((int(line.split()[1]) for line in file if line.startswith("VmRSS:")), 0)
    except OSError:
        return 0


class Big(unittest.TestCase):
    def setUp(self):
        block = b"".join(b'%d,"value, %d",%s\r\n' % (i, i * i % 1009, b"x" * (i % 200)) for i in range(10000))
        self.times = -(-FILE_BYTES // len(block))
        file = tempfile.NamedTemporaryFile(suffix=".csv")
        self.addCleanup(file.close)
        self.path = file.name
        file.write(b"id,name,filler\r\n")
        for _ in range(self.times):
            file.write(block)
        file.flush()
        counts = {}
        for i in range(10000):
            counts[i * i % 1009] = counts.get(i * i % 1009, 0) + self.times
        lines = sorted((-count, b"value, %d" % value) for value, count in counts.items())
        self.expected = b"".join(b"%d\t%s\n" % (-count, value) for count, value in lines)

    def test_memory_stays_small(self):
        for start, processes in (("fork", 4), ("spawn", 4), ("fork", 1)):
            with self.subTest(start=start, processes=processes):
                args = command(self.path, "name", "--mode", "stream", "--start", start, "--processes", str(processes))
                with Child(args) as child:
                    peaks = {}
                    done = threading.Event()
                    watcher = threading.Thread(target=self.watch, args=(child, peaks, done))
                    watcher.start()
                    code, stdout, stderr = child.finish()
                    done.set()
                    watcher.join()
                self.assertEqual((code, stdout), (0, self.expected), stderr)
                self.assertGreater(len(peaks), processes, "the run was over before all its processes were seen")
                print(f"\n{os.path.getsize(self.path) >> 20} MiB, {start}, {processes} workers; peaks in MiB:",
                      ", ".join(f"{kib / 1024:.1f}" for kib in sorted(peaks.values(), reverse=True)))
                self.assertLess(max(peaks.values()), LIMIT_KIB, peaks)

    @staticmethod
    def watch(child, peaks, done):
        while not done.wait(0.01):
            for pid in child.family():
                peaks[pid] = max(peaks.get(pid, 0), resident_kib(pid))
