"""The simple rules once more, in plain Python, straight from their definitions: an oracle for `forestall replay`."""
import math
import statistics

GIB_H = 2**30 * 3600


def percentile_linear(values, share):
    values, rank = sorted(values), share * (len(values) - 1)
    low = int(rank)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (rank - low)


def percentile_disc(values, share):
    values = sorted(values)
    return values[max(math.ceil(share * len(values) - 1e-9), 1) - 1]


def tovar(history):
    highest = max(peak for peak, _, _ in history)

    def cost(a):
        return sum(t * (a - v if v <= a else a + highest - v) for v, t, _ in history)
    return min(sorted({peak for peak, _, _ in history}), key=lambda a: (cost(a), a))


def regression(history, value):
    known = [(x, v) for v, _, x in history if x is not None]
    if not known or value is None:
        known, value = [(0.0, v) for v, _, x in history if value is None or x is not None], 0.0
    mean_x, mean_y = (statistics.fmean(column) for column in zip(*known))
    spread = sum((x - mean_x)**2 for x, _ in known)
    slope = sum((x - mean_x) * (v - mean_y) for x, v in known) / spread if spread else 0.0
    errors = [(v - fit) / fit for x, v in known if (fit := mean_y + slope * (x - mean_x)) > 0]
    return (mean_y + slope * (value - mean_x)) * (1 + statistics.pstdev(errors))


# name: (next limit from [(peak, seconds, input)], limit after a failed one)
RULES = {
    "static": (None, lambda limit, history, node: 2 * limit),
    "headroom": (lambda history, x: history[-1][0] / 0.8, lambda limit, history, node: limit / 0.8),
    "last-size": (lambda history, x: history[-1][0] * 1.2, lambda limit, history, node: 2 * limit),
    "flotilla": (lambda history, x: percentile_disc([v for v, _, _ in history[-30:]], 0.99) * 1.25,
                 lambda limit, history, node: 2 * limit),
    "witt-percentile": (lambda history, x: percentile_linear([v for v, _, _ in history], 0.95),
                        lambda limit, history, node: 2 * limit),
    "witt-regression": (regression, lambda limit, history, node: 2 * limit),
    "tovar": (lambda history, x: tovar(history),
              lambda limit, history, node: highest if history and (highest := max(v for v, _, _ in history)) > limit
              else node),
}


def replay(name, rows, failure_at=1.0, node=None):
    """rows: dicts of code, runtime_s, peak, requested, input, evaluate. The figures that the command prints."""
    choose, again = RULES[name]
    out = {"executions": 0, "failures": 0, "retries": 0, "wastage_gib_h": 0.0}
    slack = seconds = 0.0
    codes = {}
    changes = 0
    for row in rows:
        history, last = codes.setdefault(row["code"], ([], [None]))
        peak, runtime = row["peak"], row["runtime_s"]
        if row["evaluate"]:
            out["executions"] += 1
            limit = choose(history, row["input"]) if choose and history else row["requested"]
            while True:
                limit = min(max(limit, 2**20), node)
                changes += last[0] is not None and limit != last[0]
                last[0] = limit
                if peak <= limit:
                    break
                out["failures"] += 1
                out["retries"] += 1
                out["wastage_gib_h"] += limit * runtime * failure_at / GIB_H
                limit = again(limit, history, node)
            out["wastage_gib_h"] += (limit - peak) * runtime / GIB_H
            slack += (limit - peak) / limit * runtime
            seconds += runtime
        history.append((peak, runtime, row["input"]))
    out["slack_mean"] = slack / seconds
    out["changes_per_execution"] = changes / out["executions"]
    return out
