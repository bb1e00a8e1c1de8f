"""What the samples say: medians, ratios, targets, and the tables that show them."""

import statistics

from cases import AGAINST_BEST, BOUNDS, COMPARED, CREATION, DEATH, FIGURES, IDLE, KERNEL, LIMITS, SHARES, TARGETS, WAKES

# Between these lines of a file its tables are replaced.
MARKS = ("<!-- figures: written by benches/run -->\n", "<!-- end of figures -->\n")


def judge(runs):
    """The tables: (title, head, rows), each row ending in what is said of the target. Several runs give ranges."""
    findings = []
    for case in COMPARED:
        if all(case in run for run in runs):
            findings.append(compare(case, [run[case] for run in runs]))
    if all("create" in run for run in runs):
        findings.append(creations(runs))
    if all("death" in run for run in runs):
        findings.append(deaths([run["death"] for run in runs]))
    if all("idle" in run for run in runs):
        findings.append(idlers([run["idle"] for run in runs]))
    return findings


def unjudged(runs):
    """The targets of the cases measured that miss libmp's row or the one that it is to be better than."""
    missing = []
    for case, row, peers, _ in TARGETS:
        lacking = [peer for peer in (row, *peers) if any(case in run and peer not in run[case] for run in runs)]
        missing += [f"{COMPARED[case][0]}: {peer}" for peer in lacking]
    return list(dict.fromkeys(missing))


def compare(case, runs):
    """The median over the rounds' medians decides: a single good round is luck."""
    title, unit, less, peers = COMPARED[case]
    middle, best = {}, {}
    for peer in (peer for peer in peers if all(peer in run for run in runs)):
        rounds = [[statistics.median(values) for values in run[peer]] for run in runs]
        middle[peer] = [statistics.median(medians) for medians in rounds]
        best[peer] = [(min if less else max)(medians) for medians in rounds]
    verdicts, rows = decide_all(case, middle, less), []
    if case in LIMITS:
        row, verdict = limit(case, runs)
        verdicts.setdefault(row, []).append(verdict)
    for peer, values in middle.items():
        shown = ""
        if peer != "libmp" and "libmp" in middle:
            shown = f"{span(ratio(middle, 'libmp', peer, less))} ({span(ratio(best, 'libmp', peer, less))})"
        rows.append([peer, span(values), span(best[peer]), shown, "; ".join(verdicts.get(peer, []))])
    return title, ["", unit, "best round", "libmp is better by (best round)", "target"], rows


def ratio(figures, row, peer, less):
    """By how many times libmp's row is better than the peer, run for run."""
    pairs = zip(figures[row], figures[peer])
    return [theirs / ours if less else ours / theirs for ours, theirs in pairs]


def decide_all(case, middle, less):
    """What is said of the targets, by the row in which it is said: the peer's, where that is one and libmp's first row
    is meant, and otherwise libmp's, with the ratio, which no other column shows."""
    verdicts = {}
    for wanted, row, peers, target in TARGETS:
        for peer in peers if wanted == case and row in middle else ():
            if peer not in middle:
                continue
            ratios = ratio(middle, row, peer, less)
            verdict = decide(target, min(ratios), less)
            if row == "libmp":
                verdicts.setdefault(peer, []).append(verdict)
            else:
                verdicts.setdefault(row, []).append(f"{span(ratios)} of {peer}; {verdict}")
    for wanted, row, peers, target in AGAINST_BEST:
        there = [ratio(middle, row, peer, less) for peer in peers if peer in middle]
        if wanted == case and row in middle and there:
            least = [min(ratios) for ratios in zip(*there)]
            said = f"{span(least)} times the best other; {decide(target, min(least), less)}"
            verdicts.setdefault(row, []).append(said)
    return verdicts


def limit(case, runs):
    """What is said of an absolute limit, and the row; none of the samples may be over it."""
    row, most, unit = LIMITS[case]
    worst = max(value for run in runs for values in run.get(row, []) for value in values)
    return row, f"{figure(worst)} {unit} at most, limit {most}: {'met' if worst <= most else 'NOT MET'}"


def decide(target, least, less):
    """In two digits after the point: a third would be noise."""
    verdict = "met" if round(least, 2) >= round(target, 2) else "NOT MET"
    if target >= 1:
        return f"{target} times: {verdict}" if target > 1 else f"no worse: {verdict}"
    if less:
        return f"at most {1 / target:.3g} times as long: {verdict}"
    return f"at least {target:g} of it: {verdict}"


def creations(runs):
    """The bounds of libmp are absolute."""
    rows = []
    for peer in runs[0]["create"]:
        found = [[statistics.median(map(statistics.median, run[case][peer])) for run in runs] for case in FIGURES]
        verdict = ""
        if peer == "libmp":
            over = [unit for values, (unit, bound) in zip(found, FIGURES.values()) if max(values) >= bound]
            verdict = "under 5 us, under 1 KiB, no descriptors: " + (f"NOT MET ({', '.join(over)})" if over else "met")
        rows.append([peer, *map(span, found), verdict])
    return CREATION, ["", *(unit for unit, _ in FIGURES.values()), "target"], rows


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


def text(machine, findings, open_targets):
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
    met = "all targets that could be judged are met" if open_targets else "all targets are met"
    lines.append(met if not failures else "not met: " + "; ".join(failures))
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
