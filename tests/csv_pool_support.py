"""What the tests of csv_pool share: the reference count by Python's csv module, running the program, watching processes."""

import collections
import csv
import io
import os
import re
import signal
import subprocess
import sys
import time
import uuid

WATCHDOG = 60  # seconds; no test asserts a duration, this only ends what hangs

PROGRAM = None  # set by the entry script
MARK = "CSV_POOL_TEST_MARK"

csv.field_size_limit(sys.maxsize)


class Reference:
    """The count that Python's csv.reader gives for one column; `column` is a latin-1 string, as the data is read."""

    def __init__(self, data, column):
        self.bad = []
        self.counts = collections.Counter()
        # Python before 3.11 refuses NUL bytes: a character that latin-1 does not have stands in for them.
        text = data.decode("latin-1").replace("\0", "\ue000")
        reader = csv.reader(io.StringIO(text, newline=""))
        header, start = None, 1
        for row in reader:
            row = [field.replace("\ue000", "\0") for field in row]
            if row and header is None:
                header = row
                index = header.index(column)
            elif row and len(row) != len(header):
                self.bad.append((start, len(row), len(header)))
            elif row:
                self.counts[row[index].encode("latin-1")] += 1
            start = reader.line_num + 1

    @property
    def stdout(self):
        ordered = sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))
        return b"".join(b"%d\t%s\n" % (count, value) for value, count in ordered)

    @property
    def code(self):
        return 1 if self.bad else 0


def bad_records(stderr):
    """(line, fields, header's fields) of each bad record that the program named."""
    found = re.findall(rb":(\d+): (\d+) fields?, the header has (\d+); skipped\n", stderr)
    return [tuple(map(int, numbers)) for numbers in found]


def command(path, column, *options):
    return [PROGRAM, path, "--column", column, *options]


def _default_interrupt():
    # A test started in the background of a shell inherits an ignored SIGINT.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Child:
    """csv_pool running in a session of its own; all its processes are known by a mark in their environment."""

    def __init__(self, args, stderr=subprocess.PIPE, prepare=_default_interrupt, **options):
        self.mark = f"{MARK}={uuid.uuid4()}".encode()
        environment = dict(os.environb)
        environment[MARK.encode()] = self.mark.split(b"=", 1)[1]
        self.process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr,
                                        env=environment, start_new_session=True, preexec_fn=prepare, **options)
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for pid in self.family():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait(WATCHDOG)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def family(self):
        """Parent of each living process of this run, by pid."""
        members = {}
        for name in os.listdir("/proc"):
            if not name.isdigit():
                continue
            try:
                with open(f"/proc/{name}/environ", "rb") as file:
                    marked = self.mark in file.read().split(b"\0")
                if marked:
                    members[int(name)] = int(stat_fields(int(name))[1])
            except OSError:
                pass
        return members

    def workers(self):
        """The processes that have no children: not the parent, and not what the workers come from."""
        members = self.family()
        parents = set(members.values())
        return [pid for pid in members if pid != self.pid and pid not in parents]

    def busy_workers(self, count):
        """Waits until so many workers have all worked for a while, and so have a task in their hands."""
        deadline = time.monotonic() + WATCHDOG
        while time.monotonic() < deadline:
            busy = [pid for pid in self.workers() if cpu_ticks(pid) >= 5]
            if len(busy) == count:
                return busy
            if self.process.poll() is not None:
                raise AssertionError(f"csv_pool ended early with {self.process.returncode}: {self.process.stderr.read()}")
            time.sleep(0.02)
        raise AssertionError(f"no {count} busy workers; family: {self.family()}")

    def finish(self):
        """(exit code, stdout, stderr); afterwards no process may be left."""
        stdout, stderr = self.process.communicate(timeout=WATCHDOG)
        self.expect_nobody()
        return self.process.returncode, stdout, stderr

    def expect_nobody(self):
        deadline = time.monotonic() + 10
        while self.family():
            if time.monotonic() > deadline:
                raise AssertionError(f"left behind: {self.family()}")
            time.sleep(0.01)


def stat_fields(pid):
    """The fields of /proc/PID/stat behind the name, from the state on."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()


def cpu_ticks(pid):
    try:
        fields = stat_fields(pid)
        return int(fields[11]) + int(fields[12])
    except OSError:
        return 0


def run(args, **options):
    with Child(args, **options) as child:
        return child.finish()
