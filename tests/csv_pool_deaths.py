"""How csv_pool ends: killed workers, Ctrl-C, a killed parent; and what its bar does to a terminal."""

import fcntl
import itertools
import os
import pty
import re
import signal
import struct
import tempfile
import termios
import threading
import time
import unittest

import csv_pool_support as support
from csv_pool_counts import DEMO
from csv_pool_support import Child, command

MODES = ("map", "stream")
STARTS = ("fork", "spawn")

LONG = "1000000"  # rounds for each record of the demo data: minutes of work
SHORT = "30000"  # a second or more of work
HEAVY = "2000000"  # for a few records only: each is in a worker's hands for long


def long_run(mode, start, processes, cost=LONG, path=DEMO):
    return command(path, "Region", "--mode", mode, "--start", start, "--processes", str(processes), "--cost", cost)


def few_records():
    """A file of eight records, so that a worker of a map is hardly ever between two of them."""
    file = tempfile.NamedTemporaryFile(suffix=".csv")
    file.write(b"Region\n" + b"a\n" * 8)
    file.flush()
    return file


class Deaths(unittest.TestCase):
    def expect_deaths(self, child, killed):
        code, stdout, stderr = child.finish()
        for pid in killed:
            self.assertIn(b"csv_pool: worker %d was killed by signal 9 (Killed)" % pid, stderr)
        self.assertIn(b"csv_pool: no result, since a part of it is missing\n", stderr)
        self.assertEqual((code, stdout), (3, b""), stderr)

    def test_all_consumers_killed(self):
        """Nobody is left to empty the queue: the parent must not wait for room in it."""
        for start, processes in itertools.product(STARTS, (1, 4)):
            with self.subTest(start=start, processes=processes):
                with Child(long_run("stream", start, processes)) as child:
                    killed = child.busy_workers(processes)
                    for pid in killed:
                        os.kill(pid, signal.SIGKILL)
                    since = time.monotonic()
                    self.expect_deaths(child, killed)
                    print(f"{start}, {processes}: ended {time.monotonic() - since:.3f} s after the last consumer", end="; ")

    def test_one_worker_killed(self):
        """The others go on, but the result would be wrong."""
        for mode, start in itertools.product(MODES, STARTS):
            with self.subTest(mode=mode, start=start), few_records() as file:
                with Child(long_run(mode, start, 4, HEAVY, file.name)) as child:
                    killed = child.busy_workers(4)[:1]
                    os.kill(killed[0], signal.SIGKILL)
                    self.expect_deaths(child, killed)

    def test_all_workers_of_a_map_killed(self):
        """They are replaced, and the batches that nobody had begun are counted."""
        for start in STARTS:
            with self.subTest(start=start), few_records() as file:
                with Child(long_run("map", start, 4, HEAVY, file.name)) as child:
                    killed = child.busy_workers(4)
                    for pid in killed:
                        os.kill(pid, signal.SIGKILL)
                    self.expect_deaths(child, killed)

    def test_interrupt(self):
        for mode, start, processes in itertools.product(MODES, STARTS, (1, 4)):
            with self.subTest(mode=mode, start=start, processes=processes):
                with Child(long_run(mode, start, processes)) as child:
                    child.busy_workers(processes)
                    os.killpg(child.pid, signal.SIGINT)
                    code, stdout, stderr = child.finish()
                self.assertEqual((code, stdout), (-signal.SIGINT, b""), stderr)
                self.assertTrue(stderr.endswith(b"csv_pool: interrupted\n"), stderr)

    def test_interrupt_while_reading(self):
        """The parent waits for a pipe that gives nothing more."""
        for mode in MODES:
            with self.subTest(mode=mode):
                read, write = os.pipe()
                os.write(write, b"id,name\n1,a\n")
                args = command(f"/proc/self/fd/{read}", "name", "--mode", mode)
                with Child(args, pass_fds=(read,)) as child:
                    self.wait_for_pool(child)
                    os.killpg(child.pid, signal.SIGINT)
                    code, stdout, _ = child.finish()
                os.close(read)
                os.close(write)
                self.assertEqual((code, stdout), (-signal.SIGINT, b""))

    def wait_for_pool(self, child):
        """Until there are workers; a moment later the parent sleeps in its read, which no test needs to rely on."""
        deadline = time.monotonic() + support.WATCHDOG
        while not child.workers():
            self.assertLess(time.monotonic(), deadline, "no workers")
            time.sleep(0.02)
        time.sleep(0.3)

    def test_ignored_interrupt_stays_ignored(self):
        """As with nohup, or in the background of a script."""
        def ignore():
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        with Child(long_run("stream", "fork", 2, SHORT), prepare=ignore) as child:
            child.busy_workers(2)
            os.killpg(child.pid, signal.SIGINT)
            code, stdout, _ = child.finish()
        self.assertEqual(code, 0)
        self.assertEqual(stdout, support.run(command(DEMO, "Region"))[1])

    def test_parent_killed(self):
        """Its workers go with it."""
        for mode, start, number in itertools.product(MODES, STARTS, (signal.SIGTERM, signal.SIGKILL)):
            with self.subTest(mode=mode, start=start, signal=number):
                with Child(long_run(mode, start, 2)) as child:
                    child.busy_workers(2)
                    os.kill(child.pid, number)
                    code, stdout, _ = child.finish()
                self.assertEqual((code, stdout), (-number, b""))


class Terminal(unittest.TestCase):
    """The program on a terminal of its own."""

    def run_on_terminal(self, args, columns, typed=None):
        """(exit code, stdout, what the terminal got); `typed` is typed when all work and the bar stands there."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

        def take_terminal():
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            fcntl.ioctl(2, termios.TIOCSCTTY, 0)

        screen = bytearray()
        with Child(args, stderr=slave, prepare=take_terminal) as child:
            os.close(slave)
            reader = threading.Thread(target=self.read_all, args=(master, screen))
            reader.start()
            if typed is not None:
                child.busy_workers(2)
                self.wait_for_bar(screen)
                os.write(master, typed)
            code, stdout, _ = child.finish()
            reader.join(support.WATCHDOG)
        os.close(master)
        return code, stdout, bytes(screen)

    def wait_for_bar(self, screen):
        deadline = time.monotonic() + support.WATCHDOG
        while b"records" not in screen:
            self.assertLess(time.monotonic(), deadline, "no bar")
            time.sleep(0.02)

    @staticmethod
    def read_all(master, screen):
        while True:
            try:
                screen += os.read(master, 65536)
            except OSError:  # EIO: nobody has the terminal open any more
                return

    def check_drawings(self, screen, columns):
        """One line that is drawn again and again, and never broken."""
        self.assertEqual(screen.count(b"\n"), 1, screen)
        self.assertTrue(screen.endswith(b"\r\n"), screen)
        drawings = screen.removesuffix(b"\r\n").split(b"\r")
        self.assertEqual(drawings[0], b"")
        for drawing in drawings[1:]:
            self.assertTrue(drawing.endswith(b"\x1b[K"), drawing)
            self.assertLess(len(drawing.removesuffix(b"\x1b[K")), columns)
        return drawings[1:]

    def test_bar_redraws_one_line(self):
        for mode, columns in itertools.product(MODES, (200, 80, 40, 10)):
            with self.subTest(mode=mode, columns=columns):
                code, stdout, screen = self.run_on_terminal(long_run(mode, "fork", 2, SHORT), columns)
                self.assertEqual(code, 0)
                self.assertEqual(stdout, support.run(command(DEMO, "Region"))[1])
                bar, _, hashes = screen.partition(b"csv_pool: hashes")
                self.assertRegex(hashes, rb"^ add up to [0-9a-f]{16}\r\n$")
                drawings = self.check_drawings(bar, columns)
                self.assertGreater(len(drawings), 2)
                if columns >= 80:
                    self.assertRegex(drawings[-1], rb"^\[#+\] 100%  249 records, [0-9,]+/s, [0-9.]+ s\x1b\[K$")
                    self.assertTrue(any(re.match(rb"\[#*-+\] +\d+%  \d+ records, [0-9,]+/s, [0-9:]+ left", drawing)
                                        for drawing in drawings), drawings)

    def test_quiet_draws_nothing(self):
        args = command(DEMO, "Region", "--quiet", "--cost", SHORT)
        self.assertEqual(self.run_on_terminal(args, 80)[0::2], (0, b""))

    def test_control_c(self):
        for mode, start in itertools.product(MODES, STARTS):
            with self.subTest(mode=mode, start=start):
                code, stdout, screen = self.run_on_terminal(long_run(mode, start, 2), 80, typed=b"\x03")
                self.assertEqual((code, stdout), (-signal.SIGINT, b""))
                self.assertTrue(screen.endswith(b"\r\x1b[Kcsv_pool: interrupted\r\n"), screen)
