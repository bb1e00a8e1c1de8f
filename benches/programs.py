"""Runs programs, each in a process group of its own, with a time limit, and so that nothing of them stays."""

import glob
import os
import shutil
import signal
import subprocess
import tempfile
import time

running = None


def run(command, limit, **options):
    """Answers what the program has written. All of its group goes if it takes too long."""
    global running
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True, **options)
    group = running.pid
    try:
        out, _ = running.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        stop_running()
        raise RuntimeError(f"{command[0]}: not done after {limit} s") from None
    finally:
        sweep(group)
    code, running = running.returncode, None
    if code != 0:
        raise RuntimeError(f"{' '.join(command)}: exit status {code}")
    if not gone(group):
        os.killpg(group, signal.SIGKILL)
        raise RuntimeError(f"{' '.join(command)}: left processes behind")
    return out


def sweep(program):
    """Removes what a peer has left in shared memory: its names have the program's number."""
    for folder in ("/dev/shm", tempfile.gettempdir()):
        for path in glob.glob(f"{folder}/libmp[-_]bench[-_]{program}[-_]*"):
            shutil.rmtree(path, ignore_errors=True) if os.path.isdir(path) else os.unlink(path)


def gone(group):
    """Whether the whole process group has ended, or does so within a second."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        if not alive(group):
            return True
        time.sleep(0.01)
    return False


def alive(group):
    """Whether more than orphans that nobody has collected are left of a process group."""
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path) as stat:
                state, _, its_group = stat.read().rsplit(")", 1)[1].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(its_group) == group and state not in "ZX":
            return True
    return False


def stop_running():
    if running is not None:
        try:
            os.killpg(running.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        running.wait()
        sweep(running.pid)


def on_signal(number, _):
    stop_running()
    os._exit(128 + number)
