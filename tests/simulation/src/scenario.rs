//! What a seed means: rules, records, the shape of the stream, and how ill the world is.

use std::ops::Range;

use fastrand::Rng;

use anomaly_core::config::Config;
use anomaly_core::time::Timestamp;

/// When a round begins, in milliseconds since 1970.
pub(crate) const EPOCH_MS: i64 = 1_795_000_000_000;

/// A reading, as its producer meant it.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The series.
    pub series: String,
    /// The event's time, in milliseconds since 1970.
    pub at_ms: i64,
    /// The features `v`, `u` and `n`; `n` differs from reading to reading.
    pub features: [f64; 3],
    /// What the endpoint says of it and the readings before it; `None` where those are too few.
    pub score: Option<f64>,
}

/// The features of a reading.
pub(crate) const WIDTH: usize = 3;

/// What the endpoint says of a row, which is one reading or several: the last one's `v`. Each `n` makes the score
/// differ, so that one beside the wrong row, and a row of the wrong readings, is noticed.
pub fn score(row: &[f64]) -> f64 {
    let of_all: f64 = row.chunks(WIDTH).zip(1..).map(|(reading, place)| reading[2] * f64::from(place)).sum();
    row[row.len() - WIDTH] + of_all / 1e6
}

/// A row of this `v` is refused by the endpoint …
pub(crate) const REFUSED: f64 = 666.25;
/// … and one of this gets a score that is no number.
pub(crate) const UNSCORED: f64 = 777.25;

/// What a rule judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// The endpoint's score.
    Score,
    /// The feature `u`.
    U,
    /// The feature `n`.
    N,
}

/// A rule, as the reference model knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSpec {
    /// Its name.
    pub name: &'static str,
    /// What it judges.
    pub on: On,
    /// Anomalous above this.
    pub threshold: f64,
    /// M of the last N readings must be anomalous.
    pub hold: (usize, usize),
    /// Calm is below this share of the threshold.
    pub below: f64,
    /// M of the last N readings must be calm.
    pub clear: (usize, usize),
    /// For so many readings after an alert others are told only if they are clearly worse.
    pub quiet: Option<u32>,
    /// After so many milliseconds of the readings' times people are told that an alert goes on.
    pub repeat_ms: Option<i64>,
}

impl RuleSpec {
    /// What the rule judges of `reading`, if there is such a number.
    pub fn number(&self, reading: &Reading) -> Option<f64> {
        match self.on {
            On::Score => reading.score,
            On::U => Some(reading.features[1]),
            On::N => Some(reading.features[2]),
        }
    }

    fn toml(&self) -> String {
        let RuleSpec { name, on, threshold, hold, below, clear, quiet, repeat_ms } = self;
        let on = match on {
            On::Score => "score",
            On::U => "u",
            On::N => "n",
        };
        let quiet = quiet.map(|readings| format!("quiet = \"{readings} readings\"\n")).unwrap_or_default();
        let repeat = repeat_ms.map(|ms| format!("repeat = \"{ms}ms\"\n")).unwrap_or_default();
        format!(
            "[[rule]]\nname = \"{name}\"\non = \"{on}\"\nmethod = {{ kind = \"static\", threshold = {threshold:?} }}\n\
             for = \"{} of {}\"\nclear = {{ below = {below:?}, for = \"{} of {}\" }}\n{quiet}{repeat}",
            hold.0, hold.1, clear.0, clear.1
        )
    }
}

/// What a record is, or one of those it holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Truth {
    /// A reading.
    Reading(Reading),
    /// At fault, for the reason of this name.
    Fault(&'static str),
}

/// The most readings in a record.
const READINGS_MAX: usize = 4;

/// A record that a producer puts into the stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Put {
    /// When, in milliseconds since the round began.
    pub at_ms: i64,
    /// The key by which the stream finds a shard for it.
    pub key: u64,
    /// The record.
    pub bytes: Vec<u8>,
    /// What it holds, in order.
    pub truths: Vec<Truth>,
}

/// The number of the reading at place `sub` of the record `put`, among all that can be.
pub(crate) fn number(put: usize, sub: u32) -> usize {
    put * READINGS_MAX + sub as usize
}

/// A change of the shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reshard {
    /// One becomes two.
    Split,
    /// Two become one.
    Merge,
}

/// How the endpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// It refuses by load.
    Throttled,
    /// It does not answer.
    Down,
    /// It gives one score too few.
    Short,
    /// It refuses requests of more than two rows as too large.
    Small,
}

/// A spell of illness of the endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Spell {
    /// How it is.
    pub mood: Mood,
    /// From when, in milliseconds since the round began.
    pub from_ms: i64,
    /// To when.
    pub to_ms: i64,
}

/// How often things go wrong, each from 0 to 1, per call.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rates {
    /// A call fails, before its effect or after it.
    pub fail: f64,
    /// The process dies at a call.
    pub kill: f64,
    /// A call takes long.
    pub slow: f64,
}

/// All that a seed decides before the round begins.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The configuration of the functions.
    pub config: Config,
    /// Its rules, for the reference model.
    pub rules: Vec<RuleSpec>,
    /// From when to when a calendar holds what is told, by the readings' times in milliseconds since 1970.
    pub works: Option<Range<i64>>,
    /// Whether records come through a FIFO queue, and not a stream.
    pub is_queue: bool,
    /// Readings a row of the endpoint.
    pub shingle: usize,
    /// Whether readings are judged in the order of their times, not of their coming.
    pub is_by_event_time: bool,
    /// The records, in order.
    pub puts: Vec<Put>,
    /// Shards at the beginning.
    pub shards: usize,
    /// Changes of the shards, with their times.
    pub reshards: Vec<(i64, Reshard)>,
    /// The endpoint's bad days.
    pub spells: Vec<Spell>,
    /// How often calls go wrong, by [`crate::chaos::Port`].
    pub rates: Vec<Rates>,
    /// Records in a batch of the stream, at most.
    pub batch: usize,
    /// Messages in a batch of the queue, at most.
    pub messages: usize,
    /// Transitions in a batch of the outbox's stream, at most.
    pub transitions: usize,
    /// Rows in a call of the endpoint, at most.
    pub rows_max: usize,
    /// Calls of the endpoint at a time, at most.
    pub in_flight_max: usize,
    /// Groups of series in the queue.
    pub groups: u32,
    /// How often a message is received before it goes to the dead-letter queue.
    pub receives_max: u32,
    /// When `classify` is out of order altogether, in milliseconds since the round began, and for so long that
    /// messages go to the dead-letter queue.
    pub outages: Vec<Range<i64>>,
    /// From when on everything is well, in milliseconds since the round began.
    pub well_from_ms: i64,
}

impl Scenario {
    /// What `seed` means, with `ports` kinds of calls; of its records only the first `puts_max` are put.
    ///
    /// # Errors
    /// If its configuration is refused, which is a bug.
    pub fn new(seed: u64, ports: usize, puts_max: usize) -> Result<Self, String> {
        let mut rng = Rng::with_seed(seed ^ 0x5ce0_a210);
        let mut rules = rules(&mut rng);
        let shingle = *pick(&mut rng, &[1, 1, 2, 3]);
        let is_queue = rng.u8(..) < 64;
        let mut puts = puts(&mut rng, shingle);
        puts.truncate(puts_max);
        let last_ms = puts.last().map_or(0, |put| put.at_ms);
        let well_from_ms = last_ms + rng.i64(1_000..600_000);
        let changes = if is_queue { 0 } else { *pick(&mut rng, &[0, 0, 1, 3]) };
        let reshards = (0..changes).map(|_| (rng.i64(0..last_ms.max(1)), reshard(&mut rng))).collect();
        let spells = (0..rng.usize(0..4)).map(|_| spell(&mut rng, well_from_ms)).collect();
        let level = *pick(&mut rng, &[0.0, 0.005, 0.02, 0.08, 0.2]);
        let rates = (0..ports).map(|_| rates(&mut rng, level)).collect();
        let is_by_event_time = rng.u8(..) < 50;
        // What waits for its time and what comes late are told apart by tests of the stage.
        let has_dead_letters = !is_by_event_time && rng.bool();
        let event_time = if is_by_event_time { EVENT_TIME } else { "" };
        let works = lives(&mut Rng::with_seed(seed ^ 0x11fe), &mut rules, last_ms);
        let text: String = works.iter().map(calendar).chain(rules.iter().map(RuleSpec::toml)).collect();
        let source = if is_queue { "[source]\nkind = \"sqs-fifo\"\n" } else { "" };
        let text = format!("{INPUT}shingle = {shingle}\n{event_time}{source}{text}");
        let config = Config::from_toml(&text).map_err(|error| error.to_string())?;
        Ok(Scenario {
            config,
            rules,
            works,
            is_queue,
            shingle,
            is_by_event_time,
            puts,
            shards: rng.usize(1..4),
            reshards,
            spells,
            rates,
            // A batch of a FIFO queue has ten messages at most.
            batch: *pick(&mut rng, if is_queue { &[1, 3, 10] } else { &[1, 3, 10, 50] }),
            messages: if has_dead_letters { 1 } else { *pick(&mut rng, &[1, 4, 10]) },
            transitions: *pick(&mut rng, &[1, 5, 25]),
            rows_max: *pick(&mut rng, &[1, 4, 500]),
            in_flight_max: *pick(&mut rng, &[1, 2, 4]),
            groups: *pick(&mut rng, &[1, 3, 8]),
            receives_max: if has_dead_letters { *pick(&mut rng, &[1, 2, 5]) } else { u32::MAX },
            outages: if has_dead_letters { outages(&mut rng, well_from_ms) } else { Vec::new() },
            well_from_ms,
        })
    }
}

impl Scenario {
    /// What the reading of this number is.
    pub(crate) fn truth(&self, number: usize) -> Option<&Truth> {
        self.puts.get(number / READINGS_MAX)?.truths.get(number % READINGS_MAX)
    }
}

const INPUT: &str = "[input]\nseries = \"/s\"\ntime = \"/t\"\nfeatures = [\"/v\", \"/u\", \"/n\"]\nrecord_bytes_max = 600\n\
                     [model]\nkind = \"endpoint\"\nendpoint = \"e\"\n";

/// Whatever fails and dawdles, no reading is late by more than this, nor further behind another than that: the
/// order of the times is what must come out. Stream Analytics' policies for those that are have tests elsewhere.
const EVENT_TIME: &str = "[input.event_time]\nlate = \"6h\"\nout_of_order = \"60s\"\n";

/// Any of `choices`, which are not none.
fn pick<'c, T>(rng: &mut Rng, choices: &'c [T]) -> &'c T {
    &choices[rng.usize(0..choices.len())]
}

fn m_of_n(rng: &mut Rng) -> (usize, usize) {
    *pick(rng, &[(1, 1), (1, 1), (2, 2), (2, 3), (3, 3), (3, 5), (1, 3)])
}

fn rules(rng: &mut Rng) -> Vec<RuleSpec> {
    let mut rule = |name, on, threshold| RuleSpec {
        name,
        on,
        threshold,
        hold: m_of_n(rng),
        below: *pick(rng, &[1.0, 0.7]),
        clear: m_of_n(rng),
        quiet: None,
        repeat_ms: None,
    };
    let mut rules = vec![rule("strange", On::Score, 10.0), rule("hot", On::U, 50.0)];
    rules.truncate(rng.usize(1..3));
    rules.push(COUNT);
    rules
}

/// Fires on a series' first reading, never ends, and so counts how many were judged.
pub const COUNT: RuleSpec = RuleSpec {
    name: "count",
    on: On::N,
    threshold: -1.0,
    hold: (1, 1),
    below: 0.0,
    clear: (1, 1),
    quiet: None,
    repeat_ms: None,
};

/// What a round's alerts have besides: quiet times, reminders, and a calendar that holds them while records of
/// `last_ms` milliseconds come.
fn lives(rng: &mut Rng, rules: &mut [RuleSpec], last_ms: i64) -> Option<Range<i64>> {
    let is_wanted = |rng: &mut Rng| rng.u8(..) < 80;
    for rule in rules.iter_mut() {
        rule.quiet = is_wanted(rng).then(|| *pick(rng, &[1, 3, 10, 40]));
        rule.repeat_ms = is_wanted(rng).then(|| rng.i64(1..=last_ms / 4 + 1));
    }
    is_wanted(rng).then(|| {
        let from = EPOCH_MS + rng.i64(0..=last_ms);
        from..from + rng.i64(1..=last_ms / 2 + 1)
    })
}

fn calendar(works: &Range<i64>) -> String {
    let at = |ms: i64| Timestamp::from_ms(ms).unwrap_or_default().to_string().replace('Z', "");
    let (from, to) = (at(works.start), at(works.end));
    format!("[[calendar]]\nname = \"works\"\ndates = [\"{from}..{to}\"]\n")
}

fn rates(rng: &mut Rng, level: f64) -> Rates {
    let mut rate = || level * pick(rng, &[0.0, 0.3, 1.0, 1.0, 3.0]);
    Rates { fail: rate(), kill: rate() / 2.0, slow: rate() / 4.0 }
}

fn reshard(rng: &mut Rng) -> Reshard {
    if rng.bool() { Reshard::Split } else { Reshard::Merge }
}

fn spell(rng: &mut Rng, well_from_ms: i64) -> Spell {
    let mood = *pick(rng, &[Mood::Throttled, Mood::Down, Mood::Short, Mood::Small]);
    let from_ms = rng.i64(0..well_from_ms.max(1));
    Spell { mood, from_ms, to_ms: (from_ms + rng.i64(100..240_000)).min(well_from_ms) }
}

fn outages(rng: &mut Rng, well_from_ms: i64) -> Vec<Range<i64>> {
    let outage = |rng: &mut Rng| {
        let from_ms = rng.i64(0..well_from_ms.max(1));
        from_ms..(from_ms + rng.i64(100..300_000)).min(well_from_ms)
    };
    (0..rng.usize(1..4)).map(|_| outage(rng)).collect()
}

/// How a series is at the moment.
#[derive(Clone)]
struct Producer {
    series: String,
    key: u64,
    /// Anomalous readings to come, by feature.
    strange: [u32; 2],
    last: Option<Put>,
    /// The features of what the endpoint was to be asked of, one reading after the other.
    past: Vec<f64>,
}

fn puts(rng: &mut Rng, shingle: usize) -> Vec<Put> {
    let count = rng.usize(1..7);
    let producer = |i| {
        let (series, key) = (format!("s{i}"), rng.u64(..));
        Producer { series, key, strange: [0; 2], last: None, past: Vec::new() }
    };
    let mut producers: Vec<Producer> = (0..count).map(producer).collect();
    let readings_max = *pick(rng, &[1, 1, READINGS_MAX]);
    let faults = *pick(rng, &[0.0, 0.05, 0.3]);
    let pace_ms = *pick(rng, &[5, 400, 4000]);
    let (mut puts, mut now_ms) = (Vec::new(), 0);
    for n in 0..*pick(rng, &[5, 20, 60, 60, 150_usize]) {
        now_ms += if rng.u8(..) < 200 { rng.i64(0..=pace_ms) } else { rng.i64(0..=pace_ms * 20) };
        let which = rng.usize(0..producers.len());
        let producer = &mut producers[which];
        let mut put = put(rng, producer, n, now_ms, faults, readings_max);
        producer.last = Some(put.clone());
        put.truths.iter_mut().for_each(|truth| producer.score(truth, shingle));
        puts.push(put);
    }
    puts
}

impl Producer {
    /// What the endpoint says of `truth`, which is known once it is known what came before.
    fn score(&mut self, truth: &mut Truth, shingle: usize) {
        let Truth::Reading(reading) = truth else { return };
        self.past.extend(reading.features);
        let Some(first) = self.past.len().checked_sub(shingle * WIDTH) else { return };
        let [v, ..] = reading.features;
        if v == REFUSED || v == UNSCORED {
            *truth = Truth::Fault("refused");
        } else {
            reading.score = Some(score(&self.past[first..]));
        }
    }
}

fn put(
    rng: &mut Rng,
    producer: &mut Producer,
    n: usize,
    at_ms: i64,
    faults: f64,
    readings_max: usize,
) -> Put {
    if let Some(last) = producer.last.as_ref().filter(|_| rng.f64() < 0.03) {
        // A producer that did not hear the stream's answer puts its record again.
        return Put { at_ms, ..last.clone() };
    }
    let count = rng.usize(1..=readings_max);
    let (mut texts, mut truths) = (Vec::new(), Vec::new());
    for sub in 0..count {
        let reading = reading(rng, producer, number(n, 0) + sub, at_ms);
        let text = json(&reading);
        let (text, truth) = match rng.f64() < faults {
            true => spoil(rng, &text, reading, count == 1),
            false => (text, Truth::Reading(reading)),
        };
        texts.push(text);
        truths.push(truth);
    }
    let text = if count == 1 { texts.remove(0) } else { format!("[{}]", texts.join(",")) };
    Put { at_ms, key: producer.key, bytes: text.into_bytes(), truths }
}

fn reading(rng: &mut Rng, producer: &mut Producer, n: usize, at_ms: i64) -> Reading {
    // Now and then out of order.
    let at_ms = EPOCH_MS + at_ms - if rng.u8(..) < 20 { rng.i64(0..30_000) } else { 0 };
    for strange in &mut producer.strange {
        *strange = if rng.u8(..) < 25 { rng.u32(1..7) } else { strange.saturating_sub(1) };
    }
    let mut value = |strange: u32, threshold: f64| {
        let share = if strange > 0 { rng.f64() * 2.0 + 1.01 } else { rng.f64() * 0.99 };
        (threshold * share * 100.0).floor() / 100.0
    };
    let features = [value(producer.strange[0], 10.0), value(producer.strange[1], 50.0), n as f64];
    Reading { series: producer.series.clone(), at_ms, features, score: None }
}

fn json(Reading { series, at_ms, features: [v, u, n], .. }: &Reading) -> String {
    format!(r#"{{"s":"{series}","t":{at_ms},"v":{v:?},"u":{u:?},"n":{n:?}}}"#)
}

/// A reading at fault, and the reason's name; or one that only the endpoint may find so. One that `is_alone` in
/// its record may be at fault in ways that would take others with it.
fn spoil(rng: &mut Rng, text: &str, reading: Reading, is_alone: bool) -> (String, Truth) {
    let strange = |v: f64| {
        let [_, u, n] = reading.features;
        let reading = Reading { features: [v, u, n], ..reading.clone() };
        (json(&reading), Truth::Reading(reading))
    };
    let fault = |text: String, reason| (text, Truth::Fault(reason));
    let mut spoiled = vec![
        fault(text.replace("\"v\":", "\"w\":"), "missing"),
        fault(text.replace("\"v\":", "\"v\":\"x\",\"w\":"), "not-a-number"),
        fault(text.replace("\"v\":", "\"v\":NaN,\"w\":"), "not-finite"),
        fault(text.replace("\"t\":", "\"t\":\"soon\",\"w\":"), "time"),
        fault(text.replace("\"s\":\"", "\"s\":\"\",\"w\":\""), "series"),
        strange(REFUSED),
        strange(UNSCORED),
    ];
    if is_alone {
        spoiled.push(fault(text[..text.len() - 3].to_owned(), "json"));
        spoiled.push(fault(
            text.replace("\"s\":", &format!("\"w\":\"{}\",\"s\":", "x".repeat(600))),
            "too-large",
        ));
    }
    pick(rng, &spoiled).clone()
}
