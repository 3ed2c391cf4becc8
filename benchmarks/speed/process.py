"""Runs a program and tells how much memory it held, or how long it took to say something."""
import os
import re
import signal
import subprocess
import tempfile
import threading
import time

LIMIT = 900  # seconds


class Failed(Exception):
    """A program that did not do its work: the line that says why."""


def run(command, cwd=None, given=""):
    """Returns what a program printed and the most MiB it held."""
    with tempfile.TemporaryFile("w+") as source, tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+", errors="replace") as err:
        source.write(given)
        source.seek(0)
        process = subprocess.Popen(command, cwd=cwd, stdin=source, stdout=out, stderr=err, env=environment())
        late = threading.Event()
        timer = threading.Timer(LIMIT, lambda: (late.set(), os.kill(process.pid, signal.SIGKILL)))
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        for stream in (out, err):
            stream.seek(0)
        if late.is_set():
            raise Failed(f"not done after {LIMIT} s")
        if process.returncode != 0:
            raise Failed(reason(err.read()) or f"exit code {process.returncode}")
        return out.read(), usage.ru_maxrss / 1024


def first_line(command, begins, cwd=None, given=""):
    """Seconds until a program prints a line that begins so, and the line; the program is ended there."""
    with tempfile.TemporaryFile("w+") as source:
        source.write(given)
        source.seek(0)
        began, said = time.perf_counter(), []
        process = subprocess.Popen(command, cwd=cwd, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment(), text=True, errors="replace")
        timer = threading.Timer(LIMIT, process.kill)
        timer.start()
        try:
            for line in process.stdout:
                said.append(line)
                if line.startswith(begins):
                    return time.perf_counter() - began, line
        finally:
            timer.cancel()
            process.kill()
            process.wait()
            process.stdout.close()
        raise Failed(reason("".join(said)) or f"ended without a line that begins with {begins}")


def environment():
    """Tuned for other programs, these would decide the outcome of the products."""
    return {name: value for name, value in os.environ.items() if name not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}


def reason(text):
    """The last line that names an error, else the last line of all."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    named = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Invalid\w+|Fault)\b.*:", line)]
    return (named or lines or [""])[-1][:300]
