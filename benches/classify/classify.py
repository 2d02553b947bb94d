"""Readings a second through the rules, in Python: python classify.py READINGS RULES.json SAMPLES

The same stage as `anomaly_core::classify`, with what the measured rules need of it: what came again is known by its
position; a rule judges a score or a value by a fixed threshold or by mean and deviation, learning what lies beyond
the threshold as if it lay on it; alerts fire on M of N readings, are told again when they get worse and are over after
M calm ones of N; every finding is an object that says why.
"""

import gc
import hashlib
import json
import math
import struct
import sys
import time
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

EXCESS_MAX = 1e6
RECENT_KEPT = 24
MARKS_MAX = 4
CHUNK_READINGS = 500
ABOVE_ONE = math.nextafter(1.0, 2.0)
FLOAT_MAX = sys.float_info.max
SEVERITIES = ("info", "warning", "critical")
MODEL = "random-cut-forest"


class Position(NamedTuple):
    partition: str
    place: tuple  # the record's sequence number, the reading's number within the record
    arrived: int


class Reading(NamedTuple):
    series: str
    at: int
    position: Position
    score: float | None
    values: tuple


@dataclass(slots=True)
class Margin:
    judged: float
    threshold: float
    excess: float
    mean: float | None = None
    deviation: float | None = None
    k: float | None = None


@dataclass(slots=True)
class Finding:
    state: str
    number: float | None
    margin: Margin | None = None
    severity: str | None = None
    standing: tuple | None = None


@dataclass(slots=True)
class Alert:
    id: str
    step_number: int
    since: int
    fired_at: int
    severity: str
    peak: Margin
    peak_at: int
    anomalous: int


@dataclass(slots=True)
class Transition:
    alert: str
    number: int
    step: str
    series: str
    rule: str
    on: str
    severity: str
    at: int
    since: int
    fired_at: int
    margin: Margin
    peak: Margin
    peak_at: int
    anomalous: int
    features: list
    model: str


def margin_beyond(beyond, judged, threshold, excess, mean=None, deviation=None, k=None):
    if excess != excess:
        excess = 0.0
    elif excess > EXCESS_MAX:
        excess = EXCESS_MAX
    elif excess < -EXCESS_MAX:
        excess = -EXCESS_MAX
    if beyond:
        if excess < ABOVE_ONE:
            excess = ABOVE_ONE
    elif excess > 1.0:
        excess = 1.0
    return Margin(judged, threshold, excess, mean, deviation, k)


class Static:
    """A fixed threshold."""

    __slots__ = ("rule",)

    def __init__(self, rule):
        self.rule = rule

    def judge(self, number):
        rule = self.rule
        threshold = rule.threshold
        unit = abs(threshold) or 1.0
        if rule.direction == "low" or (rule.direction == "both" and number < threshold):
            return margin_beyond(number < threshold, number, threshold, 1.0 + (threshold - number) / unit)
        return margin_beyond(number > threshold, number, threshold, 1.0 + (number - threshold) / unit)


class Sigma:
    """Mean and deviation of the numbers so far (Welford)."""

    __slots__ = ("rule", "count", "mean", "squares")

    def __init__(self, rule):
        self.rule = rule
        self.count = 0
        self.mean = 0.0
        self.squares = 0.0

    def judge(self, number):
        rule = self.rule
        if self.count < rule.warmup:
            self.learn(number)
            return None
        mean = self.mean
        deviation = math.sqrt(self.squares / (self.count - 1)) if self.count > 1 else 0.0
        reach = rule.k * deviation
        if rule.direction == "low" or (rule.direction == "both" and number < mean):
            distance = mean - number
            threshold = mean - reach
            beyond = number < threshold
        else:
            distance = number - mean
            threshold = mean + reach
            beyond = number > threshold
        if distance == 0.0:
            excess = 0.0
        elif reach == 0.0:
            excess = math.copysign(math.inf, distance)
        else:
            excess = distance / reach
        self.learn(threshold if beyond else number)
        return margin_beyond(beyond, number, threshold, excess, mean, deviation, rule.k)

    def learn(self, number):
        count = self.count + 1
        distance = number - self.mean
        mean = self.mean + distance / count
        squares = self.squares + distance * (number - mean)
        if -FLOAT_MAX <= mean <= FLOAT_MAX and squares <= FLOAT_MAX:
            self.count = count
            self.mean = mean
            self.squares = squares


METHODS = {"static": Static, "sigma": Sigma}


def m_of_n(text):
    m, n = (int(number) for number in text.split(" of "))
    return m, n, (1 << n) - 1


class Rule:
    """A rule as it is written, read once."""

    __slots__ = (
        "name", "on", "judges", "method", "threshold", "k", "warmup", "direction", "bands",
        "m", "n", "mask", "clear_below", "clear_m", "clear_n", "clear_mask",
    )  # fmt: skip

    def __init__(self, written, feature_names):
        method = written["method"]
        self.name = written["name"]
        self.on = written["on"]
        self.judges = "score" if self.on == "score" else feature_names[0]
        self.method = METHODS[method["kind"]]
        self.threshold = method.get("threshold")
        self.k = method.get("k")
        self.warmup = method.get("warmup")
        self.direction = written["direction"]
        self.bands = [(band["at"], band["level"]) for band in reversed(written["severity"])]
        self.m, self.n, self.mask = m_of_n(written["for"])
        self.clear_below = written["clear"]["below"]
        self.clear_m, self.clear_n, self.clear_mask = m_of_n(written["clear"]["for"])

    def severity(self, excess):
        for at, level in self.bands:
            if excess >= at:
                return level
        return self.bands[-1][1]


def fingerprint(*parts):
    hashed = hashlib.sha256()
    for part in parts:
        hashed.update(len(part).to_bytes(8, "little"))
        hashed.update(part)
    return hashed.digest()[:8].hex()


def alert_id(series, rule, at, previous):
    """The same for the same reading; where alerts begin at one time, each is named by the one before."""
    if previous is not None and previous.fired_at == at:
        return fingerprint(previous.id.encode())
    return fingerprint(series.encode(), rule.encode(), at.to_bytes(8, "little", signed=True))


def worse(before, now):
    """The higher severity, and the stranger of both readings."""
    severity = max(before[0], now[0], key=SEVERITIES.index)
    _, peak, peak_at = now if now[1].excess > before[1].excess else before
    return severity, peak, peak_at


class Watch:
    """What a rule remembers of a series, and its alert."""

    __slots__ = ("rule", "method", "strange", "calm", "since", "worst", "alert", "previous")

    def __init__(self, rule):
        self.rule = rule
        self.method = rule.method(rule)
        self.strange = 0
        self.calm = 0
        self.since = None
        self.worst = None  # severity, margin and time, of readings that no alert takes in yet
        self.alert = None
        self.previous = None

    def observe(self, reading, number):
        """The finding, and the step if the alert takes one."""
        if number is None:
            return Finding("unjudged", None, standing=self.standing()), None
        rule = self.rule
        margin = self.method.judge(number)
        if margin is None:
            return Finding("warming-up", number, standing=self.standing()), None
        if margin.excess > 1.0:
            severity = rule.severity(margin.excess)
            step = self.on_strange(reading, margin, severity)
            return Finding("anomalous", number, margin, severity, self.standing(step)), step
        step = self.on_normal(margin)
        return Finding("normal", number, margin, None, self.standing(step)), step

    def standing(self, step=None):
        if step is not None:
            return step
        if self.alert is not None:
            return ("firing", self.calm.bit_count())
        return ("quiet", self.strange.bit_count())

    def on_strange(self, reading, margin, severity):
        rule = self.rule
        if self.since is None:
            self.since = reading.at
        self.strange = (self.strange << 1 | 1) & rule.mask
        alert = self.alert
        if alert is not None:
            self.calm = self.calm << 1 & rule.clear_mask
            alert.anomalous += 1
            if margin.excess > alert.peak.excess:
                alert.peak, alert.peak_at = margin, reading.at
            if SEVERITIES.index(severity) <= SEVERITIES.index(alert.severity):
                return None
            alert.severity = severity
            alert.step_number += 1
            return ("escalated", alert)
        worst = (severity, margin, reading.at)
        if self.worst is not None:
            worst = worse(self.worst, worst)
        if self.strange.bit_count() < rule.m:
            self.worst = worst
            return None
        severity, peak, peak_at = worst
        name = alert_id(reading.series, rule.name, reading.at, self.previous)
        self.calm = 0
        self.worst = None
        self.alert = self.previous = Alert(
            name, 1, self.since, reading.at, severity, peak, peak_at, self.strange.bit_count()
        )
        return ("fired", self.alert)

    def on_normal(self, margin):
        rule = self.rule
        self.strange = self.strange << 1 & rule.mask
        alert = self.alert
        if alert is None:
            if not self.strange:
                self.since = None
                self.worst = None
            return None
        self.calm = (self.calm << 1 | (margin.excess < rule.clear_below)) & rule.clear_mask
        if self.calm.bit_count() < rule.clear_m:
            return None
        self.alert, self.since, self.strange = None, None, 0
        alert.step_number += 1
        return ("resolved", alert)


class Series:
    """All that is remembered of a series."""

    __slots__ = ("marks", "recent", "watches")

    def __init__(self, rules):
        self.marks = []
        self.recent = deque(maxlen=RECENT_KEPT)
        self.watches = [Watch(rule) for rule in rules]

    def see(self, position):
        """Takes notice of the reading there. Whether that is news."""
        marks = self.marks
        if len(marks) == 1 and marks[0].partition == position.partition:
            if position.place <= marks[0].place:
                return False
            marks[0] = position
            return True
        return self.see_among_others(position)

    def see_among_others(self, position):
        marks = self.marks
        is_news = not any(
            position.place <= mark.place if mark.partition == position.partition else position.arrived < mark.arrived
            for mark in marks
        )
        for index, mark in enumerate(marks):
            if mark.partition == position.partition:
                del marks[index]
                position = max(mark, position, key=lambda position: position.place)
                break
        marks.append(position)
        if len(marks) > MARKS_MAX:
            del marks[0]
        return is_news


def classify(series, reading, feature_names):
    """The findings of all rules, and the steps that alerts took."""
    series.recent.append(reading.values)
    findings, transitions = [], []
    for watch in series.watches:
        number = reading.score if watch.rule.on == "score" else reading.values[0]
        finding, step = watch.observe(reading, number)
        findings.append(finding)
        if step is not None:
            transitions.append(transition(series, watch.rule, reading, step, finding.margin, feature_names))
    return findings, transitions


def transition(series, rule, reading, step, margin, feature_names):
    name, alert = step
    features = [
        (feature, value, [row[index] for row in series.recent])
        for index, (feature, value) in enumerate(zip(feature_names, reading.values))
    ]
    return Transition(
        alert.id, alert.step_number, name, reading.series, rule.name, rule.judges, alert.severity, reading.at,
        alert.since, alert.fired_at, margin, alert.peak, alert.peak_at, alert.anomalous, features, MODEL,
    )  # fmt: skip


FEATURE_NAMES = ["value"]


def judge(readings, told=None):
    """Judges readings, each with its series; says how many steps alerts took."""
    steps = 0
    for series, reading in readings:
        if not series.see(reading.position):
            continue
        findings, transitions = classify(series, reading, FEATURE_NAMES)
        steps += len(transitions)
        if told is not None:
            told(findings, transitions)
    return steps


def parse(line):
    series, at, partition, sequence, score, value = line.split(",")
    at = int(at)
    position = Position(sys.intern(partition), (int(sequence), 0), at)
    return Reading(sys.intern(series), at, position, float(score) if score else None, (float(value),))


def judge_all(rules, lines, told=None):
    """Judges all readings, a chunk at a time as they come from a queue; only judging counts, not reading them."""
    every = {line.partition(",")[0]: None for line in lines}
    every = {name: Series(rules) for name in every}
    took_ns, steps = 0, 0
    for first in range(0, len(lines), CHUNK_READINGS):
        readings = [parse(line) for line in lines[first : first + CHUNK_READINGS]]
        readings = [(every[reading.series], reading) for reading in readings]
        began = time.thread_time_ns()
        steps += judge(readings, told)
        took_ns += time.thread_time_ns() - began
    return took_ns, steps


def packed(margin):
    numbers = [margin.judged, margin.threshold, margin.excess]
    if margin.mean is not None:
        numbers += [margin.mean, margin.deviation, margin.k]
    return struct.pack(f"<{len(numbers)}d", *numbers)


def hashes(rules, lines):
    """Of all that is found, to the bit."""
    found, stepped = hashlib.sha256(), hashlib.sha256()

    def told(findings, transitions):
        for finding in findings:
            found.update(finding.state.encode())
            if finding.margin is not None:
                found.update(packed(finding.margin))
        for t in transitions:
            words = (
                t.alert, t.number, t.step, t.severity, t.series, t.rule, t.at, t.since, t.peak_at, t.anomalous,
                len(t.features[0][2]),
            )  # fmt: skip
            stepped.update((" ".join(map(str, words)) + "\n").encode())
            stepped.update(packed(t.peak))

    _, steps = judge_all(rules, lines, told)
    return {"findings": found.hexdigest(), "transitions": stepped.hexdigest(), "steps": steps}


def main():
    with open(sys.argv[2]) as file:
        rules = [Rule(written, FEATURE_NAMES) for written in json.load(file)]
    with open(sys.argv[1]) as file:
        lines = file.read().splitlines()
    # What is there for good need not be looked through for cycles again and again.
    gc.freeze()
    rates = []
    for _ in range(int(sys.argv[3])):
        took_ns, _ = judge_all(rules, lines)
        rates.append(len(lines) * 1e9 / took_ns)
    print(json.dumps({"rate": max(rates)} | hashes(rules, lines)))


main()
