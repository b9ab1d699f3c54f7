#!/usr/bin/env python3
"""The shipped model beside simpler predictors on programs none of them saw: one JSON object per line.

    bench/model.py --corpus DIR [--model FILE] [--profiles none|known|past] [--ticks N] [--rounds N] [--seed N] [--draws N]
                   [--svg FILE]

All see the same features of the same ticks, as bench-ticks writes them, every code unknown; or with --profiles known,
each execution of a code of which others were recorded, with what is known from up to eight of them; or with past, each
with what a service knows: the profile that the code's executions before it made, and for the model the online head that
learned from them. Learned ones are fitted on
the train programs (a choice of N ticks with the weights that the trainer gives them) and stopped by the validation
programs, as the network is; rules have nothing to fit. Then, for memory, on the test programs at their true base rate,
without intervention:

- average precision per tick, and the 95 % interval of its difference to the best rival, drawn by program;
- alarms: a crossing of the threshold; an alarm lasts at most the horizon, and one still up after that counts again.
  Of whatever tells a probability, it is the running average of its log odds that crosses (model/alarm_level.h); a rule
  is asked as it is.
  Thresholds are those that give 1 and 6 false alarms per execution-hour on the validation programs; the rate on the test
  programs is told beside the recall at 1, 2 and 5 s of lead. An execution is `sudden` that crosses less than 1.5 s
  after its growth begins (what that means: Watch._sudden).

Once for `recorded` (what happened only) and once for `all` (hypothetical limits as well). For every cause: Brier score,
its skill against the base rate and calibration error of the model on the test programs.
"""
import argparse
import functools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy

import model_data
from reliability import draw

ROOT = pathlib.Path(__file__).resolve().parents[1]
SKLEARN = "scikit-learn==1.7.2"
RATES = (1, 6)
RULES = {"eta_100ms": "memory_exhaustion_fast", "eta_1s": "memory_exhaustion_second", "eta_5s": "memory_exhaustion_slow",
         "headroom": "memory_to_limit"}
JUDGED = 6 # so often is boosting judged on the validation programs
TREES, LEAF = 100, 20 # of the forest, which tells no smaller share than one of so many


def say(text):
    print(f"bench-model: {text}", file=sys.stderr, flush=True)


def need_sklearn():
    try:
        import sklearn # noqa: F401
    except ImportError:
        say(f"installing {SKLEARN} into {sys.prefix} (once)")
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input",
                        "--only-binary", ":all:", SKLEARN], check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr)


def export(arguments, directory):
    binary = pathlib.Path(os.environ.get("FORESTALL_BIN", ROOT / "build/release/bin"))
    model = arguments.model or binary.parent / "share/forestall/champion.safetensors"
    subprocess.run([binary.parent / "bench/bench-ticks", "--model", model, "--splits", arguments.corpus / "manifest.jsonl",
                    "--parts", "all", "--profiles", arguments.profiles, "--out", directory,
                    "--records", arguments.corpus], check=True)
    return model_data.load(directory)


# --- what is learned: each takes features, labels and weights, the features of the validation programs and a judge of scores
# of those, and returns a function from features to scores

def logistic(x, y, w, validation, judge):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    fitted = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
    fitted.fit(x, y, logisticregression__sample_weight=w)
    return lambda features: fitted.decision_function(features)


def boosted_trees(x, y, w, validation, judge, each):
    """Stopped where the validation programs say, which are asked after each so many rounds, as the network is."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    best = None
    for leaves, rate in ((31, 0.1), (15, 0.05)):
        fitted = HistGradientBoostingClassifier(learning_rate=rate, max_leaf_nodes=leaves, max_iter=JUDGED * each,
                                                early_stopping=False, random_state=1).fit(x, y, sample_weight=w)
        for rounds, scores in enumerate(fitted.staged_decision_function(validation), 1):
            precision = judge(scores) if rounds % each == 0 else -1
            if best is None or precision > best[0]:
                best = precision, leaves, rate, rounds
    say(f"trees: {best[3]} rounds, {best[1]} leaves, rate {best[2]}, validation {best[0]:.3f}")
    fitted = HistGradientBoostingClassifier(learning_rate=best[2], max_leaf_nodes=best[1], max_iter=best[3],
                                            early_stopping=False, random_state=1).fit(x, y, sample_weight=w)
    return lambda features: fitted.decision_function(features)


def random_forest(x, y, w, validation, judge):
    from sklearn.ensemble import RandomForestClassifier
    fitted = RandomForestClassifier(TREES, min_samples_leaf=LEAF, max_samples=min(1.0, 100000 / len(x)), n_jobs=-1,
                                    random_state=1).fit(x, y, sample_weight=w)
    return lambda features: fitted.predict_proba(features)[:, 1]


def precision(watch, scores):
    at = watch.counted
    return model_data.average_precision(scores[watch.rows][at], watch.label[at].astype(float))


def predictors(arguments, columns, parts):
    """Yields a name and, twice, what the ticks of validation and test are given: for a rank among ticks, and to alarm."""
    train, validation, test = parts["train"], parts["validation"], parts["test"]
    judged = validation, test
    yield ("lstm", [part.logit[:, 0] for part in judged],
           [model_data.levels(part, model_data.log_odds(part.probability[:, 0])) for part in judged])
    for name, feature in RULES.items():
        scores = [part.features[:, columns["features"].index(feature)] for part in judged]
        yield name, scores, scores
    usable = numpy.flatnonzero(train.mask[:, 0] > 0)
    if len(usable) > arguments.ticks:
        usable = numpy.random.default_rng(arguments.seed).choice(usable, arguments.ticks, replace=False)
    x, y, w = train.features[usable], train.label[usable, 0] > 0.5, train.weight[usable]
    watch = model_data.Watch(validation, columns, False)
    learned = {"logistic_regression": logistic, "boosted_trees": functools.partial(boosted_trees, each=arguments.rounds),
               "random_forest": random_forest}
    for name, fit in learned.items():
        began = time.monotonic()
        score = fit(x, y, w, validation.features, lambda scores: precision(watch, scores) or 0)
        say(f"{name}: fitted on {len(x)} ticks in {time.monotonic() - began:.0f} s")
        scores = [score(part.features) for part in judged]
        odds = [model_data.log_odds(own, 1 / (TREES * LEAF)) for own in scores] if name == "random_forest" else scores
        yield name, scores, [model_data.levels(part, own) for part, own in zip(judged, odds)]


def rounded(value):
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return round(float(value), 4) if isinstance(value, (float, numpy.floating)) else value


def tell(**line):
    print(json.dumps(rounded(line)), flush=True)


def score(name, kind, watches, scores, levels):
    validation, test = watches
    line = {"predictor": name, "set": kind, "average_precision": precision(test, scores[1]),
            "validation_average_precision": precision(validation, scores[0])}
    for rate in RATES:
        threshold = validation.threshold(levels[0][validation.rows], rate)
        line[f"at_{rate}_per_hour"] = test.at_threshold(levels[1][test.rows], threshold)
    tell(**line)
    return line["average_precision"]


def compare(arguments, kind, test, precisions, scores):
    rivals = {name: value for name, value in precisions.items() if name != "lstm" and value is not None}
    if precisions.get("lstm") is None or not rivals:
        tell(compare="lstm", set=kind, reason="no failure in the test programs")
        return
    best = max(rivals, key=rivals.get)
    low, high = model_data.bootstrap(test, scores["lstm"][1][test.rows].astype(float),
                                     scores[best][1][test.rows].astype(float), arguments.seed, arguments.draws)
    tell(compare="lstm", set=kind, best_rival=best, difference=precisions["lstm"] - rivals[best], low=low, high=high,
         programs=len(test.names), failing_programs=len({int(p) for p in test.program[numpy.isfinite(test.failure_s)]}))


def calibrate(arguments, columns, test):
    limited = test.features[:, columns["features"].index("memory_limited")] > 0
    drawn = {}
    for i, cause in enumerate(columns["causes"]):
        at = (test.mask[:, i] > 0) & (limited | (i > 0))
        if not at.any():
            continue
        found = model_data.calibration(test.probability[at, i].astype(float), test.label[at, i].astype(float))
        drawn[cause] = found["bins"]
        tell(calibration=cause, **found)
    if arguments.svg:
        arguments.svg.write_text(draw(drawn))
        say(f"wrote {arguments.svg}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=pathlib.Path, required=True, help="directory as `make collect` fills it")
    parser.add_argument("--model", type=pathlib.Path, help="default: the shipped one")
    parser.add_argument("--profiles", choices=("none", "known", "past"), default="none",
                        help="what is known of the codes judged")
    parser.add_argument("--ticks", type=int, default=500000, help="most ticks that rivals are fitted on")
    parser.add_argument("--rounds", type=int, default=50, help="of boosting until it is judged again, six times at most")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--draws", type=int, default=1000, help="of the bootstrap")
    parser.add_argument("--svg", type=pathlib.Path, help="where the reliability diagram goes")
    arguments = parser.parse_args()
    if not (arguments.corpus / "manifest.jsonl").exists():
        parser.error(f"no manifest.jsonl in {arguments.corpus}: `make collect` makes a corpus, CORPUS=DIR names one")
    need_sklearn()
    with tempfile.TemporaryDirectory(prefix="bench-model-") as directory:
        columns, parts = export(arguments, directory)
    tell(model=columns["model"], profiles=arguments.profiles, hidden=columns["hidden"], layers=columns["layers"],
         thresholds=columns["thresholds"],
         **{f"{name}_{what}": count for name, part in parts.items() for what, count in
            (("programs", len(part.programs)), ("examples", len(part.examples)), ("ticks", len(part.time_s)))})
    watches = {kind: [model_data.Watch(parts[part], columns, kind == "recorded") for part in ("validation", "test")]
               for kind in ("all", "recorded")}
    for kind, (_, test) in watches.items():
        failed = numpy.isfinite(test.failure_s)
        tell(set=kind, executions=len(test.ticks), hours=test.hours.sum(), failures=int(failed.sum()),
             sudden=int(test.sudden.sum()), ticks=int(test.counted.sum()),
             base_rate=test.label[test.counted].mean() if test.counted.any() else None)
    scores, precisions = {}, {kind: {} for kind in watches}
    for name, both, levels in predictors(arguments, columns, parts):
        scores[name] = both
        for kind, pair in watches.items():
            precisions[kind][name] = score(name, kind, pair, both, levels)
    for kind, (_, test) in watches.items():
        compare(arguments, kind, test, precisions[kind], scores)
    calibrate(arguments, columns, parts["test"])


if __name__ == "__main__":
    main()
