"""bench-model on the small corpus: it runs for somebody who has only the repository, and it counts as the C code counts."""
import json
import os
import pathlib
import subprocess
import sys

SOURCE = pathlib.Path(os.environ["FORESTALL_SOURCE"])
BIN = pathlib.Path(os.environ["FORESTALL_BIN"])
CORPUS = SOURCE / "tests/model/corpus"
MODEL = BIN.parent / "share/forestall/champion.safetensors"
sys.path.insert(0, str(SOURCE / "bench"))
import model_data  # noqa: E402


def test_counting__same_ticks__as_retrain_evaluate(tmp_path):
    subprocess.run([BIN.parent / "bench/bench-ticks", "--model", MODEL, "--splits", CORPUS / "manifest.jsonl", "--parts",
                    "validation,test", "--out", tmp_path, "--records", CORPUS], check=True, timeout=120)
    told = json.loads(subprocess.run([BIN / "forestall-retrain", "evaluate", "--model", MODEL, "--splits",
                                      CORPUS / "manifest.jsonl", "--records", CORPUS], check=True, timeout=120,
                                     capture_output=True, text=True).stdout)["memory"]
    columns, parts = model_data.load(tmp_path, ("validation", "test"))
    test = parts["test"]
    watch = model_data.Watch(test, columns, False)
    level = model_data.levels(test, model_data.log_odds(test.probability[:, 0]))
    scores = {"model": 1 / (1 + model_data.numpy.exp(-level))}
    for rule, feature in (("eta_100ms", "memory_exhaustion_fast"), ("eta_5s", "memory_exhaustion_slow"),
                          ("headroom", "memory_to_limit")):
        scores[rule] = test.features[:, columns["features"].index(feature)]
    for rule, values in scores.items():
        expected = told[rule]["at_rate"]
        found = watch.at_threshold(values[watch.rows], expected["threshold"])
        print(rule, expected, found)
        # thresholds and rates are printed with four digits
        assert abs(found["false_alarms"] - expected["false_alarms"]) <= 1
        assert found["failures"] == expected["failures"]
        for lead in (1, 2, 5):
            assert abs(found[f"recall_{lead}s"] - expected[f"recall_{lead}s"]) <= 1.001 / expected["failures"]
        assert abs(sum(watch.hours) - expected["hours"]) < 1e-3


def test_precision__ties_and_order__by_hand():
    numpy = model_data.numpy
    ranked = numpy.array([0.9, 0.8, 0.8, 0.1]), numpy.array([1.0, 0.0, 1.0, 0.0])
    assert abs(model_data.average_precision(*ranked) - (0.5 * 1 + 0.5 * 2 / 3)) < 1e-12
    assert model_data.average_precision(ranked[0], numpy.zeros(4)) is None


def test_bench__small_corpus__a_line_for_each(tmp_path):
    svg = tmp_path / "reliability.svg"
    result = subprocess.run([sys.executable, SOURCE / "bench/model.py", "--corpus", CORPUS, "--ticks", "3000", "--rounds",
                             "10", "--draws", "20", "--svg", svg], check=True, timeout=280, capture_output=True, text=True,
                            env=os.environ | {"OMP_NUM_THREADS": "1"}) # threads that wait for each other are slow on a busy machine
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    named = {(line["predictor"], line["set"]) for line in lines if "predictor" in line}
    assert {"lstm", "eta_100ms", "headroom", "logistic_regression", "boosted_trees", "random_forest"} <= {n for n, _ in named}
    for line in lines:
        if line.get("average_precision") is not None:
            assert 0 <= line["average_precision"] <= 1
    compared = {line["set"]: line for line in lines if "compare" in line}
    assert set(compared) == {"all", "recorded"} and compared["all"]["low"] <= compared["all"]["high"]
    assert {line["calibration"] for line in lines if "calibration" in line} >= {"memory", "cpu"}
    assert svg.read_text().startswith("<svg ") and "memory" in svg.read_text()


def test_bench__no_manifest__says_what_to_do(tmp_path):
    result = subprocess.run([sys.executable, SOURCE / "bench/model.py", "--corpus", tmp_path], timeout=60,
                            capture_output=True, text=True)
    assert result.returncode == 2 and "make collect" in result.stderr


def test_crossed__every_program__judged_once_by_what_never_saw_it():
    import crossed
    dealt = crossed.deal(CORPUS / "manifest.jsonl", 3, 1)
    judged = [name for fold in range(3) for name, part in crossed.split(dealt, fold, 3).items() if part == "test"]
    assert sorted(judged) == sorted(dealt)
    for fold in range(3):
        parts = crossed.split(dealt, fold, 3)
        assert {"train", "validation", "test"} == set(parts.values()) and len(parts) == len(dealt)


def test_crossed__small_corpus__pooled_over_folds(tmp_path):
    command = [sys.executable, SOURCE / "bench/crossed.py", "--corpus", CORPUS, "--out", tmp_path, "--folds", "3", "--ticks", "500",
               "--rounds", "10", "--draws", "20", "--profiles", "none", "--", "--hidden", "6", "--plans", "2", "--epochs", "1"]
    for again in range(2): # the second time the models are there
        result = subprocess.run(command, check=True, timeout=280, capture_output=True, text=True,
                                env=os.environ | {"OMP_NUM_THREADS": "1"})
        assert result.stderr.count("is kept") == 3 * again
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    programs = {json.loads(line)["program"] for line in open(CORPUS / "manifest.jsonl")}
    pooled = {line["set"]: line for line in lines if "failing_programs" in line}
    assert pooled["all"]["programs"] <= len(programs) and pooled["all"]["failing_programs"] > 0
    scored = [line for line in lines if line.get("predictor") == "lstm"]
    assert {line["set"] for line in scored} == {"all", "recorded"} and all(len(line["folds"]) == 3 for line in scored)
    assert all(line["low"] <= line["high"] for line in lines if "compare" in line)
    assert {line["calibration"] for line in lines if "calibration" in line} == {"memory", "cpu", "io", "net", "other"}
