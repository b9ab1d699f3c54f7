"""A corpus as bench-ticks writes it, and what is asked of a predictor on it: see the head of model.py for the rules.
The counting of alarms is that of model/score.c (tests/bench/test_model.py holds the two against each other)."""
import json
import pathlib

import numpy

LEADS_S = (1, 2, 5)
HORIZON_S = 10.0
LEVEL_S, LEVEL_MOST = 0.45, 12.0  # as in model/alarm_level.h


class Part:
    """One part of the corpus. rows: [ticks][columns]; series: start and end row of each example."""

    def __init__(self, directory, name, columns):
        self.examples = [json.loads(line) for line in open(directory / f"{name}.jsonl")]
        features, causes = len(columns["features"]), len(columns["causes"])
        width = features + 4 * causes + 1
        rows = numpy.fromfile(directory / f"{name}.rows", numpy.float32).reshape(-1, width)
        at = features
        self.features = rows[:, :features]
        self.label, self.mask, self.logit, self.probability = (
            rows[:, at + i * causes:at + (i + 1) * causes] for i in range(4))
        self.time_s = rows[:, -1].astype(float)
        self.known = self.features[:, columns["features"].index("has_profile")] > 0
        ticks = numpy.array([example["ticks"] for example in self.examples], dtype=int)
        self.start = numpy.concatenate([[0], numpy.cumsum(ticks)])
        self.example = numpy.repeat(numpy.arange(len(ticks)), ticks)
        self.weight = numpy.array([example["weight"] for example in self.examples])[self.example]
        names = sorted({example["program"] for example in self.examples})
        self.programs = names
        self.program = numpy.array([names.index(example["program"]) for example in self.examples], dtype=int)


def log_odds(probability, least=1e-9):
    p = numpy.clip(probability.astype(float), least, 1 - least)
    return numpy.log(p / (1 - p))


def levels(part, odds):
    """What alarms: the running average of log odds, of each example on its own, as model/alarm_level.h has it. It begins
    anew where what is known of the execution begins or ends, as predict has it."""
    out = numpy.clip(odds, -LEVEL_MOST, LEVEL_MOST).astype(float)
    passed_s = numpy.diff(part.time_s, prepend=0)
    keeps = numpy.where(passed_s >= 0, numpy.exp(-numpy.maximum(passed_s, 0) / LEVEL_S), 0)
    keeps[1:][part.known[1:] != part.known[:-1]] = 0
    for begin, end in zip(part.start[:-1], part.start[1:]):
        level = 0.0
        keeps[begin:begin + 1] = 0
        own = []
        for value, keep in zip(out[begin:end].tolist(), keeps[begin:end].tolist()):
            level = value + keep * (level - value)
            own.append(level)
        out[begin:end] = own
    return out


def load(directory, names=("train", "validation", "test")):
    directory = pathlib.Path(directory)
    columns = json.load(open(directory / "columns.json"))
    return columns, {name: Part(directory, name, columns) for name in names}


class Watch:
    """The examples of a part whose memory alarms count, in one row after the other.
    recorded: only what happened; else hypothetical limits as well."""

    def __init__(self, part, columns, recorded):
        self.names = part.programs
        chosen = [i for i, e in enumerate(part.examples) if e["counts"] and (e["recorded"] or not recorded)]
        rows = [numpy.arange(part.start[i], part.start[i + 1]) for i in chosen]
        self.rows = numpy.concatenate(rows) if rows else numpy.zeros(0, int)
        self.time_s = part.time_s[self.rows]
        self.label, self.counted = part.label[self.rows, 0] > 0.5, part.mask[self.rows, 0] > 0
        ticks = numpy.array([len(r) for r in rows], dtype=int)
        self.series = numpy.repeat(numpy.arange(len(chosen)), ticks)
        self.first = numpy.concatenate([[0], numpy.cumsum(ticks)])[:-1].astype(int)
        self.ticks = ticks
        self.program = part.program[chosen] if chosen else numpy.zeros(0, int)
        self.failure_s = numpy.array([part.examples[i]["failure_s"] if part.examples[i]["cause"] == "memory" else numpy.inf
                                      for i in chosen], dtype=float)
        last = self.time_s[self.first + ticks - 1] if len(chosen) else numpy.zeros(0)
        start = self.time_s[self.first] if len(chosen) else numpy.zeros(0)
        self.hours = numpy.maximum(numpy.minimum(last, self.failure_s) - start, 0) / 3600
        self.sudden = self._sudden(part.features[self.rows, columns["features"].index("memory_to_limit")])

    def _sudden(self, use):
        """True for an execution that crosses less than 1.5 s after its growth begins: it fails within 1.5 s of its start,
        or in the second that ends 1.5 s before it fails its memory grew by less than 1 % of the limit, with more than a
        tenth of the limit still free."""
        out = numpy.zeros(len(self.ticks), bool)
        for i in numpy.flatnonzero(numpy.isfinite(self.failure_s)):
            at = slice(self.first[i], self.first[i] + self.ticks[i])
            time_s, before = self.time_s[at], self.failure_s[i] - 1.5
            if before <= 0 or time_s[0] > before:
                out[i] = True
                continue
            window = use[at][(time_s <= before) & (time_s >= before - 1)]
            if len(window) == 0 or time_s[0] > before - 0.9:
                continue
            out[i] = window[-1] - window.min() < 0.01 and window[-1] < 0.9
        return out

    def alarms(self, scores, threshold):
        """Of every series: false alarms, true alarms, start of the first true one (inf: none)."""
        count = len(self.ticks)
        above = scores >= threshold
        above &= self.time_s < self.failure_s[self.series]
        begins = above.copy()
        begins[1:] &= ~(above[:-1] & (self.series[1:] == self.series[:-1]))
        ends = above.copy()
        ends[:-1] &= ~(above[1:] & (self.series[1:] == self.series[:-1]))
        starts, lasts = numpy.flatnonzero(begins), numpy.flatnonzero(ends)
        again = []
        for a, b in zip(starts, lasts):
            since = self.time_s[a]
            while self.time_s[b] - since >= HORIZON_S - 1e-4:
                a = a + int(numpy.searchsorted(self.time_s[a:b + 1], since + HORIZON_S - 1e-4))
                since = self.time_s[a]
                again.append(a)
        starts = numpy.sort(numpy.concatenate([starts, numpy.array(again, int)]))
        series, at = self.series[starts], self.time_s[starts]
        true = self.failure_s[series] - at <= HORIZON_S + 1e-4
        first = numpy.full(count, numpy.inf)
        numpy.minimum.at(first, series[true], at[true])
        return numpy.bincount(series[~true], minlength=count), numpy.bincount(series[true], minlength=count), first

    def threshold(self, scores, per_hour):
        """The lowest threshold, of 400 quantiles of the scores, with at most so many false alarms an hour."""
        ranks = 1 - numpy.geomspace(1e-6, 1, 400)
        candidates = numpy.unique(numpy.concatenate([numpy.quantile(scores, ranks, method="higher"), [scores.max()]]))
        allowed = per_hour * self.hours.sum()
        best = numpy.nextafter(numpy.float64(scores.max()), numpy.inf)
        for candidate in candidates[::-1]:
            false = self.alarms(scores, candidate)[0].sum()
            if false <= allowed:
                best = candidate
            elif false > 20 * allowed + 20:
                break
        return float(best)

    def counts(self, scores, threshold):
        """What came of the alarms at this threshold, in numbers that add up over watches. A false alarm is early when its
        execution did fail, but later than the horizon after it."""
        false, true, first = self.alarms(scores, threshold)
        failed = numpy.isfinite(self.failure_s)
        lead = numpy.where(failed, numpy.where(failed, self.failure_s, 0) - first, -numpy.inf)
        out = {"hours": float(self.hours.sum()), "true_alarms": int(true.sum()), "false_alarms": int(false.sum()),
               "false_alarms_early": int(false[failed].sum())}
        for name, among in (("failures", failed), ("sudden", failed & self.sudden), ("not_sudden", failed & ~self.sudden)):
            out[name] = int(among.sum())
            for s in LEADS_S:
                out[f"{name}_{s}s"] = int((among & (lead >= s - 1e-4)).sum())
        return out

    def at_threshold(self, scores, threshold):
        return {"threshold": threshold, **shares(self.counts(scores, threshold))}


def shares(counts):
    """Of Watch.counts, or of their sum: rates and recalls."""
    def of(what, among):
        return counts[what] / counts[among] if counts[among] else None
    return {"false_alarms_per_hour": of("false_alarms", "hours") or 0.0, "failures": counts["failures"],
            "true_alarms": counts["true_alarms"], "false_alarms": counts["false_alarms"],
            "false_alarms_early": counts["false_alarms_early"],
            **{f"recall_{s}s": of(f"failures_{s}s", "failures") for s in LEADS_S},
            "sudden_failures": counts["sudden"], "foreseen_1s_not_sudden": of("not_sudden_1s", "not_sudden"),
            "foreseen_1s_sudden": of("sudden_1s", "sudden")}


class Ranking:
    """Scores and labels in falling order, for average precisions under many weights."""

    def __init__(self, scores, labels):
        self.order = numpy.argsort(-scores, kind="stable")
        scores = scores[self.order]
        self.labels = labels[self.order]
        self.last = numpy.append(scores[1:] != scores[:-1], True)  # of those that are equal, which count together

    def average_precision(self, weights=None):
        """As score_average_precision: area under the steps of precision over recall, ties taken together."""
        weights = numpy.ones(len(self.labels)) if weights is None else weights[self.order]
        found, seen = numpy.cumsum(weights * self.labels), numpy.cumsum(weights)
        if len(found) == 0 or found[-1] <= 0:
            return None
        found, seen = found[self.last], seen[self.last]
        return float((numpy.diff(found, prepend=0) * found / numpy.maximum(seen, 1e-12)).sum() / found[-1])


def average_precision(scores, labels):
    return Ranking(scores, labels).average_precision()


def calibration(probability, label):
    """Brier score, its skill against the base rate, expected calibration error of ten bins, and the bins."""
    bins = numpy.minimum((probability * 10).astype(int), 9)
    count = numpy.bincount(bins, minlength=10)
    mean = numpy.bincount(bins, probability, minlength=10) / numpy.maximum(count, 1)
    rate = numpy.bincount(bins, label, minlength=10) / numpy.maximum(count, 1)
    base = label.mean()
    brier = float(((probability - label) ** 2).mean())
    return {"ticks": len(label), "positive": int(label.sum()), "brier": brier,
            "brier_skill": 1 - brier / (base * (1 - base)) if 0 < base < 1 else None,
            "ece": float((count * abs(mean - rate)).sum() / len(label)),
            "bins": [[int(c), float(m), float(r)] for c, m, r in zip(count, mean, rate)]}


def bootstrap(watch, ours, theirs, seed, draws):
    """95 % interval of the difference of two average precisions, programs drawn with replacement."""
    at = watch.counted
    return bootstrap_ticks(watch.program[watch.series][at], watch.label[at].astype(float), ours[at], theirs[at], seed, draws)


def bootstrap_ticks(programs, label, ours, theirs, seed, draws):
    """The same of ticks whose programs these numbers are."""
    random = numpy.random.default_rng(seed)
    names, program = numpy.unique(programs, return_inverse=True)
    rankings = Ranking(ours, label), Ranking(theirs, label)
    differences = []
    while len(differences) < draws:
        times = numpy.bincount(random.choice(len(names), len(names)), minlength=len(names)).astype(float)
        pair = [ranking.average_precision(times[program]) for ranking in rankings]
        if pair[0] is not None:  # else nothing failed in these: no precision
            differences.append(pair[0] - pair[1])
    return [float(q) for q in numpy.quantile(differences, [0.025, 0.975])]
