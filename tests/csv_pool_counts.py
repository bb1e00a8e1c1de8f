"""What csv_pool prints: the counts, against Python's csv module; its messages and exit codes."""

import hashlib
import itertools
import os
import random
import tempfile
import threading
import unittest

import csv_pool_support as support
from csv_pool_support import Reference, bad_records, command, run

HERE = os.path.dirname(os.path.abspath(__file__))
DEMO = os.path.join(HERE, "..", "examples-c", "data", "countries.csv")

SETTINGS = [("--mode", mode, "--start", start, "--processes", processes)
            for mode, start, processes in itertools.product(("map", "stream"), ("fork", "spawn"), ("1", "4"))]

HEAD = b"id,name\n"
NASTY = {
    "quotes": HEAD + b'1,"a,b"\n2,"a,b"\n"3",c\n',
    "doubled quotes": HEAD + b'1,"say ""hi"""\n2,""""\n3,""\n4,""""""\n',
    "line breaks in quotes": HEAD + b'1,"a\nb"\n2,"a\r\nb"\n3,"a\rb"\n4,"\n\n\n"\n5\n6,"a\nb"\n',
    "CRLF": b"id,name\r\n1,a\r\n2,b\r\n3\r\n4,a\r\n",
    "lone CR": b"id,name\r1,a\r2,b\r\r3\r4,a",
    "mixed ends of line": b"id,name\r\n1,a\n2,b\r3,a\r\r\n\n\r4,c\n\r\n5\n",
    "NUL bytes": HEAD + b'1,a\0b\n\0,\0\n2,"\0"\n3,"\0""\0"\n',
    "latin-1 bytes": HEAD + bytes(range(128, 256)).join([b"1,", b"\n2,\xe9\n3,\xe9\n"]),
    "control bytes": HEAD + b"1,\x0b\x0c\x1c\x1d\x1e\x85\n2,\x1a\x04\x7f\n",
    "blank lines": b"\n\r\n\r" + HEAD + b"\n1,a\n\n\n2,b\n\r\n\n3,a\n\n",
    "no newline at the end": HEAD + b"1,a\n2,b",
    "ends in a comma": HEAD + b"1,a\n2,",
    "ends in quotes": HEAD + b'1,a\n2,"b"',
    "quotes left open": HEAD + b'1,a\n2,"b\n3,c\n',
    "quotes opened at the very end": HEAD + b'1,a\n2,"',
    "quote in an unquoted field": HEAD + b'1,a"b"c\n2, "x\n3,x"\n4,a""b\n',
    "text after a closing quote": HEAD + b'1,"a"b\n2,"a" ,x\n3,"a"b"c\n4,"a" "b"\n',
    "spaces": HEAD + b"1, a\n 2,a \n3,\t\n  \n",
    "very long fields": HEAD + b"1," + b"x" * 300000 + b'\n2,"' + b'y""\n' * 100000 + b'"\n3,z\n',
    "one column": b"name\na\n\nb\n\"\"\na\n",
    "empty names": b",name,\n1,a,2\n3,b\n4,a,\n",
    "only commas": b"name,\n,\n,\n,,\n",
    "wrong number of fields": HEAD + b'1\n2,a\n3,b,c\n"4\n",x,y\n5,a\n\n,\n,,\n',
    "quoted header": b'"id","na""me\n1",name\n1,x,a\n2,y,b\n',
    "a byte order mark in front": b"\xef\xbb\xbfid,name\n1,a\n2,a\n",
    "header only": HEAD,
    "header without newline": b"id,name",
    "values that differ at the end": HEAD + b"1,a\n2,ab\n3,\n4,a\xff\n5,a\0\n6,A\n",
    "two columns of one name": b"name,name\n1,2\n1,3\n",
}


class Files(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def file(self, data, name="file.csv"):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def check(self, path, column, settings, data=None):
        if data is None:
            with open(path, "rb") as file:
                data = file.read()
        reference = Reference(data, column)
        code, stdout, stderr = run(command(path, column.encode("latin-1"), *settings))
        self.assertEqual(stdout, reference.stdout, settings)
        self.assertEqual(bad_records(stderr), reference.bad, settings)
        self.assertEqual(code, reference.code, (settings, stderr))
        return stderr


class Counts(Files):
    def test_demo_data(self):
        for settings in SETTINGS:
            for column in ("Region", "Capital", "Note"):
                self.check(DEMO, column, settings)

    def test_given_files(self):
        for path in filter(None, os.environ.get("MP_CSV_FILES", "").split(":")):
            for settings, column in itertools.product(SETTINGS, ("Genre", "Year", "Artist")):
                self.check(path, column, settings)

    def test_nasty_files(self):
        for name, data in NASTY.items():
            path = self.file(data)
            for settings in SETTINGS:
                with self.subTest(name, settings=settings):
                    self.check(path, "name", settings)

    def test_random_bytes(self):
        choice = random.Random(4180)
        pieces = [b"a", b"b", b",", b",", b'"', b'"', b"\n", b"\r", b"\r\n", b"\0", b" ", b"\xe9"]
        for _ in range(150):
            body = b"".join(choice.choice(pieces) for _ in range(choice.randrange(400)))
            self.check(self.file(b"name,x\n" + body), "name", choice.choice(SETTINGS))

    def test_every_length_around_a_read(self):
        """An end of line, and a quote of two, lie across the border of what one read gives."""
        for tail, shift in itertools.product((b"\r\n", b'"",""""\r\n', b'""""\n,\n'), range(-3, 3)):
            first = b"name,x\n"
            padding = b"p" * (65536 - len(first) + shift)
            path = self.file(first + padding + b"," + tail + b"a,1\r\nb,2\n" * 5)
            self.check(path, "name", SETTINGS[0])
            self.check(path, "name", SETTINGS[4])

    def test_many_values(self):
        rows = b"".join(b"%d,value %d\n" % (i, i * i % 30011) for i in range(60000))
        path = self.file(HEAD + rows)
        for settings in SETTINGS:
            self.check(path, "name", settings)

    def test_many_bad_records(self):
        path = self.file(HEAD + b"1\n2,good\n3,,\n" * 6000)
        for settings in SETTINGS:
            code, stdout, stderr = run(command(path, "name", *settings))
            lines = [bad[0] for bad in bad_records(stderr)]
            self.assertEqual((code, stdout), (1, b"6000\tgood\n"))
            self.assertEqual(lines, [2 + i // 2 * 3 + i % 2 * 2 for i in range(10000)])
            self.assertIn(b": 2000 more bad records\n", stderr)

    def test_cost_changes_nothing_but_the_hashes(self):
        with open(DEMO, "rb") as file:
            records = file.read().splitlines()[1:]
        plain = run(command(DEMO, "Region"))[1]
        for settings, rounds in zip(SETTINGS, itertools.cycle((1, 2, 77, 1000))):
            total = 0
            for digest in records:
                for _ in range(rounds):
                    digest = hashlib.sha256(digest).digest()
                total += int.from_bytes(digest[:8], "big")
            code, stdout, stderr = run(command(DEMO, "Region", "--cost", str(rounds), *settings))
            self.assertEqual((code, stdout), (0, plain))
            self.assertIn(b"hashes add up to %016x\n" % (total % 2**64), stderr)

    def test_pipe_as_file(self):
        data = HEAD + b"".join(b"%d,%d\n" % (i, i % 7) for i in range(30000))
        path = os.path.join(self.folder, "pipe")
        os.mkfifo(path)
        for settings in SETTINGS:
            writer = threading.Thread(target=self.file, args=(data, "pipe"))
            writer.start()
            self.check(path, "name", settings, data=data)
            writer.join(support.WATCHDOG)


class Messages(Files):
    def expect(self, code, *texts, args):
        got, stdout, stderr = run(args)
        self.assertEqual((got, stdout), (code, b""), stderr)
        for text in texts:
            self.assertIn(text, stderr)

    def test_usage(self):
        good = self.file(HEAD)
        for args in ([], [good], ["--column", "name"], [good, good, "--column", "name"],
                     *([good, "--column", "name", *wrong] for wrong in (
                         ["--mode", "both"], ["--start", "thread"], ["--processes", "0"], ["--processes", "two"],
                         ["--processes", "-1"], ["--processes", "2x"], ["--processes", "99999999999999999999"],
                         ["--cost", "-1"], ["--cost", ""], ["--loud"], ["--mode"]))):
            self.expect(2, b"usage: csv_pool FILE --column NAME", args=[support.PROGRAM, *args])

    def test_help(self):
        code, stdout, stderr = run([support.PROGRAM, "--help"])
        self.assertEqual((code, stderr), (0, b""))
        self.assertIn(b"--mode stream", stdout)

    def test_unusable_files(self):
        missing = os.path.join(self.folder, "missing.csv")
        for settings in SETTINGS:
            self.expect(2, b"missing.csv: No such file", args=command(missing, "name", *settings))
            self.expect(2, b"Is a directory", args=command(self.folder, "name", *settings))
            self.expect(2, b"the file is empty", args=command(self.file(b""), "name", *settings))
            self.expect(2, b"the file is empty", args=command(self.file(b"\n\r\n\r"), "name", *settings))
            self.expect(2, b"Input/output error", args=command("/proc/self/mem", "name", *settings))
        if os.geteuid() != 0:  # root may read everything
            path = self.file(HEAD)
            os.chmod(path, 0)
            self.expect(2, b"Permission denied", args=command(path, "name"))

    def test_unknown_column(self):
        path = self.file(b'id,"first name",\x1b[31m\xe9\n1,2,3\n')
        for settings in SETTINGS:
            self.expect(2, b"no column 'nome'; there are: 'id', 'first name', '\\x1b[31m\xe9'\n",
                        args=command(path, "nome", *settings))

    def test_column_behind_a_byte_order_mark(self):
        path = self.file(b"\xef\xbb\xbfname,id\na,1\na,2\n")
        for name in (b"name", b"\xef\xbb\xbfname"):
            self.assertEqual(run(command(path, name))[:2], (0, b"2\ta\n"))

    def test_columns_of_one_name(self):
        stderr = self.check(self.file(b"name,x,name\n1,2,3\n"), "name", SETTINGS[0])
        self.assertIn(b"2 columns are called 'name'; counting the first", stderr)

    def test_full_disk(self):
        code, _, stderr = run(["sh", "-c", 'exec "$@" >/dev/full', "sh", *command(DEMO, "Name")])
        self.assertEqual(code, 4)
        self.assertIn(b"writing the result: No space left on device", stderr)

    def test_quiet(self):
        for settings in SETTINGS:
            code, stdout, stderr = run(command(DEMO, "Region", "--quiet", "--cost", "10", *settings))
            self.assertEqual((code, stderr), (0, b""))
            self.assertEqual(stdout, run(command(DEMO, "Region"))[1])

    def test_progress_elsewhere_is_sparing(self):
        for settings in SETTINGS:
            stderr = run(command(DEMO, "Region", *settings))[2]
            self.assertRegex(stderr, rb"\A(csv_pool: .*records, .*\n)*csv_pool: 100%  249 records, [0-9,]+/s, [0-9.]+ s\n\Z")
            self.assertNotIn(b"\r", stderr)
