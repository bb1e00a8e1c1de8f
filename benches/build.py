"""Compiles the benchmarks' programs, and gets the peers that are not on every machine."""

import os
import shutil
import subprocess
import sys

from programs import run

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BENCHES = os.path.join(ROOT, "benches")
SOURCES = os.path.join(BENCHES, "c")
OUT = os.path.join(ROOT, "target", "benches")
HEADERS = os.path.join(ROOT, "include")
CHANNELS = ("channel.c", "channel_libmp.c", "channel_more.c", "channel_kernel.c", "channel_ring.c")
# Each with the sources that it has beside its own.
PROGRAMS = {
    **dict.fromkeys(("probe", "pool", "lock", "handoff", "start", "idle", "death", "create"), ()),
    **dict.fromkeys(("message", "trip"), CHANNELS),
}
# Those that Boost takes part in, where it is installed, and with which source of its own.
BOOSTED = {"lock": (), "handoff": (), "message": ("channel_boost.c",), "trip": ("channel_boost.c",)}
WARNINGS = "-std=c11 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Werror".split()


class Built:
    """Where the programs are, and what is missing: the name of each peer, or language, and why."""

    def __init__(self):
        self.missing = {}
        self.python = sys.executable
        self.environment = {**os.environ, "CHANNEL": os.path.join(OUT, "libchannel.so"), "PYTHONDONTWRITEBYTECODE": "1"}

    def command(self, group, language, percent):
        if language == "C":
            program = [os.path.join(OUT, group)]
        elif language == "Rust":
            program = [os.path.join(OUT, "std"), group]
        elif language == CRATES:
            program = [crates_program(), group]
        elif language == "Go":
            program = [os.path.join(OUT, "channels"), group]
        elif group in ("message", "trip", "create"):
            program = [self.python, os.path.join(BENCHES, "py", "messages.py"), group]
        else:
            program = [sys.executable, os.path.join(BENCHES, "py", "peers.py"), group]
        return [*program, str(percent)]

    def attempt(self, name, build, *arguments):
        """Builds what is not needed: `build` answers why it could not, if it knows before."""
        try:
            reason = build(*arguments)
        except FileNotFoundError as error:
            reason = f"there is no {error.filename}"
        except RuntimeError as error:
            print(f"without {name}: {error}", file=sys.stderr)
            reason = "could not be built"
        if reason:
            self.missing[name] = reason


CRATES = "iceoryx2 and ipc-channel"
FIFO = "faster-fifo"


def build(library, quick, groups):
    """Compiles the programs anew: it takes some seconds, and no old one can be measured by mistake. Of the other peers
    only those of the groups are made, and a quick run gets nothing that takes long to get."""
    os.makedirs(OUT, exist_ok=True)
    if not os.path.exists(os.path.join(library, "libmp.so")):
        sys.exit(f"there is no libmp.so in {library}: run make build")
    # The programs look for the library by its soname.
    shutil.copy(os.path.join(library, "libmp.so"), os.path.join(OUT, "libmp.so.0"))
    built = Built()
    boost = []
    built.attempt("Boost", build_boost, boost)
    build_programs(library, boost)
    built.attempt("Rust", build_std)
    if groups & {"message", "trip"}:
        built.attempt(CRATES, build_crates, quick)
        built.attempt("Go", build_go)
        built.attempt(FIFO, build_environment, built, quick)
    return built


def build_programs(library, boost):
    compiler = [os.environ.get("CC", "gcc"), *WARNINGS, "-I" + HEADERS]
    link = [f"-L{library}", "-lmp", "-pthread", "-lrt", f"-Wl,-rpath,{OUT}"]
    for name, more in PROGRAMS.items():
        sources = [name + ".c", *more]
        # What writes and reads large messages is to be as fast as a compiler makes it.
        command, libraries = [*compiler, "-O3" if more else "-O2"], link
        if boost and name in BOOSTED:
            sources += BOOSTED[name]
            command, libraries = [*command, *boost], ["-lstdc++", *link]
        paths = [os.path.join(SOURCES, source) for source in sources]
        run([*command, "-o", os.path.join(OUT, name), *paths, *libraries], 60)
    library = os.path.join(OUT, "libchannel.so")
    run([*compiler, "-O3", "-shared", "-fPIC", "-o", library, os.path.join(SOURCES, "channel.c")], 60)


def build_boost(found):
    """The peers from Boost, for the compiler of the C programs."""
    compiler = os.environ.get("CXX", "g++")
    test = [compiler, "-E", "-include", "boost/version.hpp", "-x", "c++", os.devnull]
    if subprocess.run(test, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0:
        return "not installed"
    peers = os.path.join(OUT, "boost.o")
    run([compiler, "-std=c++11", "-O2", "-c", "-o", peers, os.path.join(SOURCES, "boost.cpp")], 60)
    found += ["-DBOOST=1", peers]
    return None


def build_std():
    source = os.path.join(BENCHES, "rust", "std.rs")
    run(["rustc", "-O", "--edition", "2021", "-o", os.path.join(OUT, "std"), source], 60)


def crates_program():
    return os.path.join(OUT, "rust-peers", "release", "peers")


def build_crates(quick):
    if quick and not os.path.exists(crates_program()):
        return "not built yet, and a quick run does not"
    manifest = os.path.join(BENCHES, "rust-peers", "Cargo.toml")
    target = {**os.environ, "CARGO_TARGET_DIR": os.path.join(OUT, "rust-peers")}
    run(["cargo", "build", "-q", "--release", "--locked", "--manifest-path", manifest], 900, env=target)
    return None


def build_go():
    local = os.path.join(ROOT, ".venv", "bin", "go")
    go = local if os.path.exists(local) and not shutil.which("go") else "go"
    alone = {**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off", "GO111MODULE": "on", "GOFLAGS": ""}
    run([go, "build", "-o", os.path.join(OUT, "channels"), "."], 180, cwd=os.path.join(BENCHES, "go"), env=alone)


def build_environment(built, quick):
    """A virtual environment of Python for the packages that take part, made anew if another one is wanted."""
    folder = os.path.join(OUT, "venv")
    python, mark = os.path.join(folder, "bin", "python"), os.path.join(folder, "wanted")
    requirements = os.path.join(BENCHES, "py", "requirements.txt")
    with open(requirements) as file:
        wanted = f"{sys.executable} {sys.version}\n{file.read()}"
    if not os.path.exists(mark) or open(mark).read() != wanted:
        if quick:
            return "not installed yet, and a quick run does not"
        shutil.rmtree(folder, ignore_errors=True)
        run([sys.executable, "-m", "venv", folder], 60)
        pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--retries", "1"]
        run([*pip, "-r", requirements], 240)
        with open(mark, "w") as file:
            file.write(wanted)
    built.python = python
    return None
