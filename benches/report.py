"""What the samples say: medians, ratios, targets, and the tables that show them."""

import statistics

CONTENDED = {
    "libmp": None,
    "pthread mutex": 1,
    "pthread robust mutex": 1,
    "sem_t": 1,
    "Boost mutex": 1,
    "Boost semaphore": 1,
    "Rust Mutex (threads)": None,
    "Python Lock": None,
    "libmp rlock": None,
    "libmp semaphore": None,
}
CONDITIONS = {
    "libmp": None,
    "pthread cond": None,
    "Boost condition": None,
    "Rust Condvar (threads)": None,
    "Python Condition": None,
}
# case: title, unit, whether less is better, and the peers in the order in which they are shown; for each the least
# ratio by which libmp has to be better, None if it is only told.
COMPARED = {
    "map": (
        "Pool: map of 100,000 empty tasks, chunksize 1, 2 workers",
        "ktask/s",
        False,
        {"libmp": None, "Python Pool": 20},
    ),
    "apply": ("Pool: one task there and back", "us", True, {"libmp": None, "Python Pool": None}),
    "queue": (
        "Queue: 64 bytes, one producer, one consumer",
        "kmsg/s",
        False,
        {
            "libmp": None,
            "pipe": 2,
            "Python Queue": 20,
            "AF_UNIX seqpacket": None,
            "POSIX mq": None,
            "libmp, unbounded": None,
        },
    ),
    "lock": (
        "Lock and unlock, uncontended",
        "ns",
        True,
        {
            "libmp": None,
            "bare CAS pair": 1 / 1.5,
            "pthread mutex": 1,
            "pthread robust mutex": None,
            "pthread recursive mutex": None,
            "sem_t": None,
            "Boost mutex": None,
            "Boost semaphore": None,
            "Rust Mutex (threads)": None,
            "Python Lock": None,
            "Python RLock": None,
            "Python Semaphore": None,
            "libmp rlock": None,
            "libmp semaphore": None,
        },
    ),
    "contended": ("Lock and unlock, two processes at once", "kpair/s", False, CONTENDED),
    "contended, 1 us": (
        "Lock and unlock, two processes at once, 1 us within and 1 us without the lock",
        "kpair/s",
        False,
        CONTENDED,
    ),
    "handoff": (
        "Hand-off between two cores: round trip by two semaphores",
        "ns",
        True,
        {"libmp": None, "pure spin": 1 / 2, "sem_t": None, "Boost semaphore": None, "Python Semaphore": None},
    ),
    "handoff, one core": (
        "Hand-off on one core: round trip by two semaphores",
        "ns",
        True,
        {"libmp": None, "sem_t": 1 / 1.3, "Boost semaphore": None, "Python Semaphore": None},
    ),
    "condition": ("Hand-off between two cores: round trip by two conditions", "ns", True, CONDITIONS),
    "condition, one core": ("Hand-off on one core: round trip by two conditions", "ns", True, CONDITIONS),
    "fork": ("Process: start and join, by fork", "us", True, {"libmp": None, "fork and waitpid": None}),
    "spawn": ("Process: start and join, by spawn", "us", True, {"libmp": None, "posix_spawn /bin/true": None}),
}
DEATH = "The owner is killed: ms until the next one has the lock"
# The longest that the one who waits may wait, in ms.
BOUNDS = {"its children": 5, "own forks": 100}
KERNEL = "pthread robust mutex"
IDLE = "64 idle waiters on each object: wake-ups a second of each"
# The most; a held lock's watchman looks after its owner.
WAKES = {"watchman": 20, "others": 2}
SHARES = (0, 0.5, 0.9, 0.99, 1)

# Between these lines of a file its tables are replaced.
MARKS = ("<!-- figures: written by benches/run -->\n", "<!-- end of figures -->\n")


def judge(runs):
    """The tables: (title, head, rows), each row ending in what is said of the target. Several runs give ranges."""
    findings = []
    for case, (title, unit, less, targets) in COMPARED.items():
        if all(case in run for run in runs):
            findings.append(compare(title, unit, less, targets, [run[case] for run in runs]))
    if all("death" in run for run in runs):
        findings.append(deaths([run["death"] for run in runs]))
    if all("idle" in run for run in runs):
        findings.append(idlers([run["idle"] for run in runs]))
    return findings


def compare(title, unit, less, targets, runs):
    """The median over the rounds' medians decides: a single good round is luck."""
    middle, best = {}, {}
    for peer in (peer for peer in targets if peer in runs[0]):
        rounds = [[statistics.median(values) for values in run[peer]] for run in runs]
        middle[peer] = [statistics.median(medians) for medians in rounds]
        best[peer] = [(min if less else max)(medians) for medians in rounds]
    rows = []
    for peer, values in middle.items():
        shown, verdict = "", ""
        if peer != "libmp" and "libmp" in middle:
            ratios = ratio(middle, peer, less)
            shown = f"{span(ratios)} ({span(ratio(best, peer, less))})"
            verdict = decide(targets[peer], min(ratios))
        rows.append([peer, span(values), span(best[peer]), shown, verdict])
    return title, ["", unit, "best round", "libmp is better by (best round)", "target"], rows


def ratio(figures, peer, less):
    """By how many times libmp is better than the peer, run for run."""
    pairs = zip(figures["libmp"], figures[peer])
    return [theirs / ours if less else ours / theirs for ours, theirs in pairs]


def decide(target, least):
    """In two digits after the point: a third would be noise."""
    if target is None:
        return ""
    verdict = "met" if round(least, 2) >= round(target, 2) else "NOT MET"
    if target >= 1:
        return f"{target} times: {verdict}" if target > 1 else f"no worse: {verdict}"
    return f"at most {1 / target:.3g} times as long: {verdict}"


def deaths(runs):
    """All count. As many may be late as of those whom the kernel itself wakes: that is the scheduler's doing."""
    rows = []
    for peer in runs[0]:
        bound = BOUNDS.get(peer.split(", ")[-1], min(BOUNDS.values()))
        found = [sorted(value for values in run.get(peer, []) for value in values) for run in runs]
        if not all(found):
            continue
        at = [[values[min(len(values) - 1, int(share * len(values)))] for values in found] for share in SHARES]
        late = [sum(value > bound for value in values) for values in found]
        verdict = f"later than {bound} ms: {span(late)} of {span(map(len, found))}"
        if peer != KERNEL:
            kernel = [sum(v > bound for values in run.get(KERNEL, []) for v in values) for run in runs]
            met = all(n <= k for n, k in zip(late, kernel))
            verdict += ", met" if met else ", NOT MET"
        rows.append([peer, *map(span, at), verdict])
    return DEATH, ["", "min", "median", "p90", "p99", "max", "target"], rows


def idlers(runs):
    rows = []
    for peer in runs[0]:
        bound = WAKES["watchman" if "watchman" in peer else "others"]
        found = [[value for values in run.get(peer, []) for value in values] for run in runs]
        if not all(found):
            continue
        # In whole ones: whether one more falls into the time that was measured is chance.
        met = all(round(max(values)) <= bound for values in found)
        middle, most = span(map(statistics.median, found)), span(map(max, found))
        rows.append([peer, middle, most, f"at most {bound}: {'met' if met else 'NOT MET'}"])
    return IDLE, ["", "median", "most", "target"], rows


def missed(findings):
    return [f"{title}: {row[0]}" for title, _, rows in findings for row in rows if "NOT MET" in row[-1]]


def figure(value):
    """Three digits; more of them would be noise."""
    if value >= 1000:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.3g}"


def span(values):
    """From the least to the largest, or the one figure that both are."""
    values = list(values)
    low, high = figure(min(values)), figure(max(values))
    return low if low == high else f"{low} to {high}"


def text(machine, findings):
    lines = [*machine, ""]
    for title, head, rows in findings:
        widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
        lines.append(title)
        for row in [head, *rows]:
            first, *middle, last = row
            cells = [f"{cell:>{width}}" for cell, width in zip(middle, widths[1:-1])]
            lines.append("  ".join(["", first.ljust(widths[0]), *cells, last]).rstrip())
        lines.append("")
    failures = missed(findings)
    lines.append("all targets are met" if not failures else "not met: " + "; ".join(failures))
    return "\n".join(lines)


def markdown(machine, findings):
    lines = [*(f"- {line}" for line in machine), ""]
    for title, head, rows in findings:
        lines += [f"**{title}**", "", "| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 2) + "|---|"]
        lines += ["| " + " | ".join(row) + " |" for row in rows]
        lines.append("")
    return "\n".join(lines) + "\n"



def put_markdown(path, tables):
    """Between the marks, if the file has them; otherwise the tables are all that is in it."""
    try:
        with open(path) as file:
            before, rest = file.read().split(MARKS[0])
            after = rest.split(MARKS[1])[1]
            tables = before + MARKS[0] + "\n" + tables + MARKS[1] + after
    except (FileNotFoundError, ValueError):
        pass  # no file yet, or one without marks
    with open(path, "w") as file:
        file.write(tables)
