#!/usr/bin/env python3
"""The trainer's models beside simpler predictors, every program held out once: one JSON object per line.

    bench/crossed.py --corpus DIR --out DIR [--more DIR] [--folds N] [--profiles none,past] [--seed N] [--ticks N] [--rounds N]
                     [--draws N]
                     [-- OPTIONS OF forestall-retrain train]

The programs of a corpus are dealt to folds, those that fail of memory first. For each fold a model is trained, and the
rivals are fitted, on the programs of all other folds but one; that one is their validation: it stops them, calibrates
them (Platt) and gives the thresholds. All of them judge the fold's own programs, which they never saw. What is asked of
them, and how it is counted, is as in model.py; the ticks of all folds are put together by calibrated log odds. So every
program of the corpus is judged, and the interval is as narrow as the corpus allows; but these are models of the recipe, not the
shipped one. A fold's model is kept in --out and not trained again. --more: records for training only.
"""
import argparse
import collections
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy

import model
import model_data
from model import tell

RECIPE = ("--max_ticks 8000000 --plans 20 --hidden 64 --members 2 --dropout 0.15 --demand_weight 0.1 --weight_decay 0.01 "
          "--epochs 18 --false_alarms 300").split()


def say(text):
    print(f"bench-crossed: {text}", file=sys.stderr, flush=True)


def deal(manifest, folds, seed):
    """The fold of every program."""
    failures = collections.Counter()
    for line in open(manifest):
        row = json.loads(line)
        failures[row["program"]] += row["cause"] == "memory"
    order = sorted(failures, key=lambda name: (failures[name] == 0, hashlib.sha256(f"{seed}{name}".encode()).hexdigest()))
    return {name: i % folds for i, name in enumerate(order)}


def split(dealt, fold, folds):
    part = {fold: "test", (fold + 1) % folds: "validation"}
    return {name: part.get(own, "train") for name, own in dealt.items()}


def train(arguments, directory, splits, programs):
    """The fold's model; programs: what its splits should be."""
    said = "".join(json.dumps({"program": name, "split": part}) + "\n" for name, part in sorted(programs.items()))
    file = directory / "model.safetensors"
    if file.exists() and splits.read_text() == said:
        say(f"{file} is kept")
        return file
    splits.write_text(said)
    subprocess.run([arguments.programs / "bin/forestall-retrain", "train", "--out", file, "--splits", splits, *arguments.recipe,
                    "--records", arguments.corpus, *arguments.more], check=True, stdout=sys.stderr)
    return file


def export(arguments, file, splits, profiles, directory):
    """What is learned from may be more than what is judged."""
    for parts, records in (("train", [arguments.corpus, *arguments.more]), ("validation,test", [arguments.corpus])):
        subprocess.run([arguments.programs / "bench/bench-ticks", "--model", file, "--splits", splits, "--parts", parts,
                        "--profiles", profiles, "--out", directory, "--records", *records], check=True, stdout=sys.stderr)
    return model_data.load(directory)


def calibrated(watch, scores):
    """Log odds as the validation programs make them of scores, by Platt's regression."""
    from sklearn.linear_model import LogisticRegression
    x, y = scores[watch.rows][watch.counted].astype(float), watch.label[watch.counted]
    low, high = numpy.quantile(x, [0.001, 0.999])
    width = max(high - low, 1e-6)
    fitted = LogisticRegression(C=1e6).fit(((x - low) / width).reshape(-1, 1), y)
    slope, intercept = fitted.coef_[0, 0] / width, fitted.intercept_[0] - fitted.coef_[0, 0] * low / width
    return lambda values: slope * values.astype(float) + intercept


class Pool:
    """What all folds found, of what happened or with hypothetical limits."""

    def __init__(self):
        self.label, self.program, self.odds = [], [], collections.defaultdict(list)
        self.counts = collections.defaultdict(collections.Counter)
        self.folds = collections.defaultdict(list)
        self.executions = 0

    def take(self, watch):
        self.label.append(watch.label[watch.counted].astype(float))
        names = numpy.array([watch.names[p] for p in watch.program], dtype=object)
        self.program.append(names[watch.series][watch.counted])
        self.executions += len(watch.ticks)

    def score(self, name, watches, odds, levels):
        validation, test = watches
        self.odds[name].append(odds[test.rows][test.counted])
        self.folds[name].append(model.precision(test, odds))
        for rate in model.RATES:
            threshold = validation.threshold(levels[0][validation.rows], rate)
            self.counts[name, rate].update(test.counts(levels[1][test.rows], threshold))

    def report(self, arguments, profiles, kind):
        label, program = numpy.concatenate(self.label), numpy.concatenate(self.program).astype(str)
        tell(profiles=profiles, set=kind, programs=len(numpy.unique(program)), executions=self.executions, ticks=len(label),
             failing_programs=len(numpy.unique(program[label > 0])), base_rate=label.mean())
        odds = {name: numpy.concatenate(parts) for name, parts in self.odds.items()}
        precisions = {name: model_data.average_precision(values, label) for name, values in odds.items()}
        for name, precision in precisions.items():
            tell(predictor=name, profiles=profiles, set=kind, average_precision=precision, folds=self.folds[name],
                 **{f"at_{rate}_per_hour": model_data.shares(self.counts[name, rate]) for rate in model.RATES})
        rivals = [name for name in precisions if name != "lstm"]
        for rival in sorted(rivals, key=precisions.get)[::-1][:3]:
            low, high = model_data.bootstrap_ticks(program, label, odds["lstm"], odds[rival], arguments.seed, arguments.draws)
            tell(compare="lstm", profiles=profiles, set=kind, rival=rival, best=rival == max(rivals, key=precisions.get),
                 difference=precisions["lstm"] - precisions[rival], low=low, high=high)


def judge_fold(arguments, file, splits, profiles, pools, causes):
    with tempfile.TemporaryDirectory(prefix="bench-crossed-") as directory:
        columns, parts = export(arguments, file, splits, profiles, directory)
        watches = {kind: [model_data.Watch(parts[part], columns, kind == "recorded") for part in ("validation", "test")]
                   for kind in pools}
        for kind, pool in pools.items():
            pool.take(watches[kind][1])
        for name, scores, levels in model.predictors(arguments, columns, parts):
            odds = calibrated(watches["all"][0], scores[0])(scores[1])
            for kind, pool in pools.items():
                pool.score(name, watches[kind], odds, levels)
        test, limited = parts["test"], columns["features"].index("memory_limited")
        for i, cause in enumerate(columns["causes"]):
            at = (test.mask[:, i] > 0) & ((test.features[:, limited] > 0) | (i > 0))
            causes[cause].append((test.probability[at, i].astype(float), test.label[at, i].astype(float)))


def main():
    own, recipe = sys.argv[1:], RECIPE
    if "--" in own:
        own, recipe = own[:own.index("--")], own[own.index("--") + 1:]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=pathlib.Path, required=True, help="directory as `make collect` fills it")
    parser.add_argument("--more", type=pathlib.Path, nargs="*", default=[], help="records for training only")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="where the models are kept")
    parser.add_argument("--folds", type=int, default=6)
    parser.add_argument("--profiles", default="none,past")
    parser.add_argument("--ticks", type=int, default=500000, help="most ticks that rivals are fitted on")
    parser.add_argument("--rounds", type=int, default=50, help="of boosting until it is judged again, six times at most")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--draws", type=int, default=1000, help="of the bootstrap")
    arguments = parser.parse_args(own)
    arguments.recipe = recipe
    arguments.programs = pathlib.Path(os.environ.get("FORESTALL_BIN", model.ROOT / "build/release/bin")).parent
    if not (arguments.corpus / "manifest.jsonl").exists():
        parser.error(f"no manifest.jsonl in {arguments.corpus}: `make collect` makes a corpus, CORPUS=DIR names one")
    if arguments.folds < 3:
        parser.error("--folds is at least 3: one is judged, one stops the training, the others teach")
    model.need_sklearn()
    dealt = deal(arguments.corpus / "manifest.jsonl", arguments.folds, arguments.seed)
    found = {profiles: ({"all": Pool(), "recorded": Pool()}, collections.defaultdict(list))
             for profiles in arguments.profiles.split(",")}
    for fold in range(arguments.folds):
        directory = arguments.out / f"fold-{fold}"
        directory.mkdir(parents=True, exist_ok=True)
        splits = directory / "splits.jsonl"
        file = train(arguments, directory, splits, split(dealt, fold, arguments.folds))
        for profiles, (pools, causes) in found.items():
            say(f"fold {fold}, profiles {profiles}")
            judge_fold(arguments, file, splits, profiles, pools, causes)
    for profiles, (pools, causes) in found.items():
        for kind, pool in pools.items():
            pool.report(arguments, profiles, kind)
        for cause, pairs in causes.items():
            tell(calibration=cause, profiles=profiles,
                 **model_data.calibration(*(numpy.concatenate(column) for column in zip(*pairs))))


if __name__ == "__main__":
    main()
