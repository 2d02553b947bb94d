use std::time::Duration;

use expect_test::expect;
use proptest::prelude::*;

use super::super::{classify, judge};
use super::*;
use crate::config::{Band, Config, EventTime, Method, On, Pattern, Severity};
use crate::position::{Position, Sequence};
use crate::reading::Scored;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_ms(seconds * 1000).expect("in range")
}

fn series(name: &str) -> SeriesId {
    SeriesId::new(name).expect("a name")
}

/// Silent after so many seconds, for series that match.
fn rule(name: &str, after_s: u64, pattern: Option<&str>) -> Rule {
    Rule {
        name: name.to_owned(),
        method: Method::NoData(NoData { after: Duration::from_secs(after_s) }),
        series: pattern.map(|pattern| Pattern(pattern.to_owned())),
        hold: Default::default(),
        ..Rule::default()
    }
}

fn policy(rules: Vec<Rule>) -> Policy {
    Policy::new(&Config { rules, ..Config::default() }, &["cpu".to_owned()])
}

/// The `number`th reading, arrived at a second and of that time less an hour: the event's time does not matter.
fn reading(name: &str, number: u64, arrived_s: i64) -> Scored {
    let position =
        Position { partition: "p".into(), sequence: Sequence::from(number), sub: 0, arrived: at(arrived_s) };
    let (features, filled) = (vec![number as f64], Vec::new());
    let reading = Reading { series: series(name), at: at(arrived_s - 3_600), features, filled, position };
    Scored { reading, score: Some(0.5) }
}

fn shown(transitions: &[Transition]) -> String {
    let one = |t: &Transition| format!("{} {} {}", t.rule, t.step.as_str(), t.at.as_ms() / 1000);
    transitions.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// A series through its life: readings, and sweeps, by seconds.
struct Life {
    policy: Policy,
    state: SeriesState,
    number: u64,
    told: Vec<Transition>,
}

impl Life {
    fn new(policy: Policy) -> Self {
        Life { policy, state: SeriesState::default(), number: 0, told: Vec::new() }
    }

    fn reads(&mut self, arrived_s: i64) -> String {
        self.number += 1;
        let scored = reading("web-1", self.number, arrived_s);
        let transitions = classify(&self.policy, &mut self.state, &scored, "m").transitions;
        schedule(&self.policy, &mut self.state, &series("web-1"), at(arrived_s));
        self.passes(transitions)
    }

    fn sweeps(&mut self, now_s: i64) -> String {
        let transitions = fall_silent(&self.policy, &mut self.state, &series("web-1"), at(now_s));
        schedule(&self.policy, &mut self.state, &series("web-1"), at(now_s));
        self.passes(transitions)
    }

    /// A state is written and read between any two calls.
    fn passes(&mut self, transitions: Vec<Transition>) -> String {
        self.state = SeriesState::decode(&self.state.encode()).expect("its own");
        self.told.extend(transitions.iter().cloned());
        shown(&transitions)
    }
}

#[test]
fn a_silence_is_told_once_and_ended_by_the_next_reading() {
    let mut life = Life::new(policy(vec![rule("quiet", 600, None)]));
    assert_eq!(life.sweeps(10_000), "", "nobody has heard of it");
    assert_eq!(life.state.due(), None);
    assert_eq!(life.reads(10_000), "", "a start is no alert");
    assert_eq!(life.state.due(), Some(at(10_600)));
    assert_eq!(life.reads(10_060), "");
    assert_eq!(life.sweeps(10_659), "");
    assert_eq!(life.sweeps(10_660), "quiet fired 10660", "inclusive");
    assert_eq!(life.state.due(), Some(at(10_960)), "half as long again is critical");
    assert_eq!(life.sweeps(10_959), "");
    assert_eq!(life.sweeps(11_000), "quiet escalated 10960");
    assert_eq!(life.state.due(), None, "all is said");
    assert_eq!(life.sweeps(99_999), "", "once");
    assert_eq!(life.reads(100_000), "quiet resolved 100000");
    assert_eq!(life.reads(100_600), "quiet fired 100600, quiet resolved 100600", "no sweep came by");
    let [fired, worse, resolved, next, _] = &life.told[..] else { panic!("{:?}", life.told) };
    assert_eq!((fired.since, fired.fired_at, fired.severity.as_str()), (at(10_060), at(10_660), "warning"));
    assert_eq!((fired.features[0].value, fired.width), (2.0, 1), "the last good value");
    assert_eq!((&fired.alert, fired.number, worse.number, resolved.number), (&resolved.alert, 1, 2, 3));
    assert_eq!(
        (worse.severity.as_str(), worse.margin.judged, &worse.alert),
        ("critical", 900.0, &fired.alert)
    );
    assert_eq!((resolved.lasted_ms(), resolved.severity.as_str()), (89_940_000, "critical"));
    assert_eq!((resolved.margin.judged, resolved.features[0].value), (89_940.0, 3.0));
    assert_ne!(fired.alert, next.alert);
}

#[test]
fn a_silence_gets_worse_with_each_band_once() {
    let band = |at: f64, level: Severity| Band { at, level };
    let severity =
        vec![band(1.0, Severity::Info), band(2.0, Severity::Warning), band(6.0, Severity::Critical)];
    let bands = Rule { severity, ..rule("quiet", 600, None) };
    let mut life = Life::new(policy(vec![bands.clone()]));
    life.reads(0);
    assert_eq!(life.sweeps(1_199), "quiet fired 600");
    assert_eq!(life.sweeps(1_200), "quiet escalated 1200");
    assert_eq!((life.sweeps(1_201).as_str(), life.state.due()), ("", Some(at(3_600))));
    assert_eq!(life.reads(9_000), "quiet escalated 3600, quiet resolved 9000", "no sweep came by");
    let levels: Vec<&str> = life.told.iter().map(|t| t.severity.as_str()).collect();
    assert_eq!(levels, ["info", "warning", "critical", "critical"]);
    // One that fired, and whose rule is given other bands meanwhile, is worse from now on.
    life.sweeps(9_600);
    life.policy = policy(vec![Rule { severity: vec![band(1.0, Severity::Critical)], ..bands }]);
    assert_eq!(life.sweeps(9_700), "quiet escalated 9600");
    // One level has nothing worse.
    let one = Rule { severity: vec![band(1.0, Severity::Warning)], ..rule("quiet", 600, None) };
    let mut life = Life::new(policy(vec![one]));
    life.reads(0);
    assert_eq!(life.sweeps(99_000), "quiet fired 600");
    assert_eq!(life.state.due(), None);
}

/// Who has seen that one is silent has not seen for how long.
#[test]
fn an_acknowledged_silence_that_gets_worse_is_not_acknowledged_any_more() {
    let mut life = Life::new(policy(vec![rule("quiet", 600, None)]));
    life.reads(0);
    life.sweeps(700);
    let fired = life.told[0].clone();
    let said = Acknowledgement { note: Some("the link is down".to_owned()), ..Acknowledgement::by("ann") };
    life.state.acknowledge(&fired, &said, at(800)).expect("it is open");
    assert_eq!(life.sweeps(900), "quiet escalated 900");
    let worse = life.told.last().expect("a step");
    assert_eq!((worse.number, worse.note.as_deref()), (3, Some("the link is down")));
    assert!(life.state.watches().all(|(_, watch)| !watch.is_acknowledged()));
}

#[test]
fn each_rule_has_its_series_and_its_time() {
    let rules = vec![rule("short", 60, None), rule("long", 600, None), rule("other", 1, Some("db-*"))];
    let mut life = Life::new(policy(rules));
    life.reads(0);
    assert_eq!(life.sweeps(60), "short fired 60");
    assert_eq!(life.state.due(), Some(at(90)), "when it is worse");
    assert_eq!(life.sweeps(90), "short escalated 90");
    assert_eq!(life.state.due(), Some(at(600)));
    assert_eq!(life.sweeps(6_000), "long fired 600, long escalated 900");
    assert_eq!(life.reads(6_001), "short resolved 6001, long resolved 6001");
    life.policy = policy(vec![rule("other", 1, Some("db-*"))]);
    assert_eq!(life.sweeps(60_000), "");
    assert_eq!((life.state.due(), life.state.heard.is_none()), (None, true), "no rule asks any more");
}

#[test]
fn what_arrived_before_ends_no_silence() {
    let mut life = Life::new(policy(vec![rule("quiet", 600, None)]));
    life.reads(1_000);
    assert_eq!(life.sweeps(2_000), "quiet fired 1600, quiet escalated 1900");
    assert_eq!(life.reads(999), "", "a reading of another partition, older than the last");
    assert_eq!(life.reads(1_599), "quiet resolved 1900", "it was on its way when the sweep came by");
    assert_eq!(life.told[2].margin.judged, 599.0);
    assert_eq!(life.state.due(), Some(at(2_199)));
}

#[test]
fn late_readings_are_not_heard() {
    let policy = policy(vec![rule("quiet", 600, None)]);
    let mut life = Life::new(policy.clone());
    life.reads(1_000);
    life.sweeps(2_000);
    let first = reading("web-1", 9, 1_500);
    let mut late = life.state.beside(None, &first.reading.position);
    let judgement = classify(&policy, &mut late, &first, "m");
    assert_eq!((judgement.transitions.len(), late.due()), (0, None));
    assert_eq!(judgement.findings[0].finding, Finding::Unjudged(Nothing::Silence));
    assert_eq!(hear(&policy, &mut late, &first.reading), []);
}

/// What came to us half an hour late keeps the clock from saying that the next one is missing: it is on its way too.
#[test]
fn while_readings_come_late_to_us_silence_is_told_later_by_as_much() {
    let policy = policy(vec![rule("quiet", 600, None)]);
    let (mut state, name) = (SeriesState::default(), series("web-1"));
    classify(&policy, &mut state, &reading("web-1", 1, 1_000), "m");
    schedule(&policy, &mut state, &name, at(2_800));
    assert_eq!(state.due(), Some(at(3_400)));
    schedule(&policy, &mut state, &name, at(9_999));
    assert_eq!(state.due(), Some(at(3_400)), "said once");
    assert_eq!(fall_silent(&policy, &mut state, &name, at(3_399)), []);
    assert_eq!(shown(&fall_silent(&policy, &mut state, &name, at(3_400))), "quiet fired 1600");
    schedule(&policy, &mut state, &name, at(3_400));
    assert_eq!(state.due(), Some(at(3_700)), "and that it is worse, too");
}

#[test]
fn by_event_time_a_reading_is_heard_when_it_comes() {
    let event_time = EventTime {
        late: Duration::from_secs(7_200),
        out_of_order: Duration::from_secs(60),
        ..EventTime::default()
    };
    let mut config = Config { rules: vec![rule("quiet", 600, None)], ..Config::default() };
    config.input.event_time = Some(event_time.clone());
    let policy = Policy::new(&config, &["cpu".to_owned()]);
    let (mut state, name) = (SeriesState::default(), series("web-1"));
    let admit = |state: &mut SeriesState, number, arrived_s| {
        let scored = reading("web-1", number, arrived_s);
        let heard = shown(&hear(&policy, state, &scored.reading));
        state.admit(&event_time, scored, "m");
        schedule(&policy, state, &name, at(arrived_s));
        heard
    };
    assert_eq!(admit(&mut state, 1, 10_000), "");
    assert_eq!(state.due(), Some(at(10_600 - 7_200)), "on the clock that readings are released by");
    let released = state.flush(&name, at(10_600));
    let judgement = judge(&policy, &mut state, &released[0].scored, "m");
    assert_eq!(judgement.transitions, []);
    assert_eq!(judgement.findings[0].finding, Finding::Unjudged(Nothing::Silence));
    assert_eq!(admit(&mut state, 2, 10_700), "quiet fired 10600, quiet resolved 10700");
}

#[test]
fn findings_say_how_near_it_was() {
    let policy = policy(vec![rule("quiet", 600, None), Rule { on: On::Value, ..Rule::default() }]);
    let mut state = SeriesState::default();
    let mut say = |number, arrived_s| {
        let judgement = classify(&policy, &mut state, &reading("web-1", number, arrived_s), "m");
        assert_eq!(judgement.findings.len(), 2);
        format!("{} | {}", judgement.findings[0], judgement.findings[0].standing)
    };
    let said = [(1, 0), (2, 60), (3, 660), (4, 650)].map(|(number, s)| say(number, s)).join("\n");
    expect![[r#"
        warming up 1/1 | no alert, which takes 1 of 1
        normal: no data for 1 min, silent from 10 min (last seen 1970-01-01T00:00:00Z) | no alert, which takes 1 of 1
        warning: no data for 10 min, silent from 10 min (last seen 1970-01-01T00:01:00Z) | the alert is over
        unjudged: the silence before it was judged when it came, or it came late | no alert, which takes 1 of 1"#]]
    .assert_eq(&said);
}

#[test]
fn a_state_of_before_is_read_and_who_judges_no_silence_pays_nothing() {
    let plain = Policy::new(&Config { rules: vec![Rule::default()], ..Config::default() }, &["cpu".into()]);
    let mut state = SeriesState::default();
    classify(&plain, &mut state, &reading("web-1", 1, 0), "m");
    schedule(&plain, &mut state, &series("web-1"), at(0));
    assert!(state.heard.is_none() && state.encode()[0] < 9);
    let silent = policy(vec![Rule::default(), rule("quiet", 600, None)]);
    let mut heard = state.clone();
    assert_eq!(fall_silent(&silent, &mut heard, &series("web-1"), at(9_999)), [], "nobody listened before");
    classify(&silent, &mut heard, &reading("web-1", 2, 0), "m");
    schedule(&silent, &mut heard, &series("web-1"), at(0));
    assert_eq!(heard.encode()[0], 9);
    assert_eq!(SeriesState::decode(&heard.encode()), Ok(heard.clone()));
    heard.set_detector(vec![1, 2, 3]);
    assert_eq!(SeriesState::decode(&heard.encode()), Ok(heard));
}

proptest! {
    /// Whenever sweeps come by, and whether they do, the same is told in the end, and in the same words.
    #[test]
    fn sweeps_do_not_matter(
        gaps in proptest::collection::vec(0..1_500i64, 1..12),
        sweeps in proptest::collection::vec(0..12_000i64, 0..20),
    ) {
        let policy = policy(vec![rule("short", 300, None), rule("long", 600, None)]);
        let end = gaps.iter().sum::<i64>() + 5_000;
        let arrivals = gaps.iter().scan(0, |now, gap| { *now += gap; Some(*now) });
        let mut events: Vec<(i64, bool)> = arrivals.map(|s| (s, false)).collect();
        let mut without = Life::new(policy.clone());
        events.iter().for_each(|(s, _)| drop(without.reads(*s)));
        without.sweeps(end);
        events.extend(sweeps.iter().filter(|s| **s < end).map(|s| (*s, true)));
        events.sort_unstable();
        let mut with = Life::new(policy);
        for (s, is_sweep) in events {
            if is_sweep { with.sweeps(s) } else { with.reads(s) };
        }
        with.sweeps(end);
        let sorted = |mut told: Vec<Transition>| {
            told.sort_by(|a, b| (&a.alert, a.number).cmp(&(&b.alert, b.number)));
            told
        };
        prop_assert_eq!(sorted(with.told), sorted(without.told));
    }
}
