use super::*;
use crate::config::{Clear, Learn, MOfN, Method, Missing, Severity};

fn observe(watch: &mut Watch, asked: Asked<'_>, number: Option<f64>) -> (Finding, Option<Box<Stepped>>) {
    let mut finding = Finding::Unjudged(Nothing::Silence);
    watch.judge(asked.rule, asked.at, number, None, &mut finding);
    if matches!(finding, Finding::Normal(_)) && is_plain(asked.rule) && watch.is_undisturbed() {
        let before = watch.clone();
        assert!(watch.take_in(asked, &finding).is_none(), "nothing comes of it");
        assert_eq!(
            (&*watch, watch.standing(asked.rule, None)),
            (&before, Standing::Idle { hold: asked.rule.hold })
        );
        return (finding, None);
    }
    let stepped = watch.take_in(asked, &finding);
    (finding, stepped)
}

/// What happened on a reading: a step, in lower case if nobody is told; else `x` if it is anomalous.
fn letter(finding: &Finding, stepped: Option<&Stepped>) -> char {
    let Some(Stepped { step, held, .. }) = stepped else {
        return if matches!(finding, Finding::Anomalous(..)) { 'x' } else { '.' };
    };
    let letter = match step {
        Step::Fired => 'F',
        Step::Resolved => 'R',
        Step::Escalated => 'W',
        Step::Repeated => 'S',
        Step::Flapping => 'L',
        Step::Acknowledged => 'A',
    };
    if held.is_some() { letter.to_ascii_lowercase() } else { letter }
}

/// One letter a reading: what happened on it.
fn run(rule: &Rule, numbers: &[f64]) -> (String, Vec<Stepped>) {
    let series = SeriesId::new("s").expect("a name");
    let (mut watch, mut steps) = (Watch::default(), Vec::new());
    let story = numbers.iter().zip(0..).map(|(number, i)| {
        let at = Timestamp::from_ms(i * 1000).expect("in range");
        let (finding, stepped) =
            observe(&mut watch, Asked { rule, series: &series, at, calendar: None }, Some(*number));
        steps.extend(stepped.as_deref().cloned());
        letter(&finding, stepped.as_deref())
    });
    (story.collect(), steps)
}

fn rule(hold: (u32, u32), below: f64, clear: (u32, u32)) -> Rule {
    let m_of_n = |(m, n)| MOfN::new(m, n).expect("valid");
    Rule {
        method: Method::Static { threshold: 10.0 },
        hold: m_of_n(hold),
        clear: Clear { below, hold: m_of_n(clear) },
        ..Rule::default()
    }
}

/// The story of `text`, digits in base 36 over a threshold of 10, for a rule of `settings`.
fn story(settings: &str, text: &str) -> String {
    let written = r#"{"method":{"kind":"static","threshold":10.0},"for":"1 of 1","clear":{"for":"1 of 1"}}"#;
    let mut rule: serde_json::Value = serde_json::from_str(written).expect("an object");
    let more: serde_json::Value = serde_json::from_str(settings).expect("an object");
    for (key, value) in more.as_object().expect("settings") {
        rule[key] = value.clone();
    }
    let rule: Rule = serde_json::from_value(rule).expect("a rule");
    run(&rule, &numbers(text)).0
}

#[test]
fn an_alert_is_told_again_when_it_is_worse() {
    // 10 is the threshold, 15 (f) critical.
    assert_eq!(story("{}", "1bbfbz1f1"), ".FxWxxRFR");
    assert_eq!(story(r#"{"for":"2 of 3"}"#, "fb1"), "xFR", "the first of the three was critical");
}

#[test]
fn in_a_quiet_time_only_what_is_clearly_worse_is_told() {
    let quiet = r#"{"quiet":"5 readings"}"#;
    assert_eq!(story(quiet, "b1b11b1"), "FRfr.FR", "the quiet time begins when somebody is told");
    assert_eq!(story(quiet, "b1f1g1z1"), "FRFRfrFR", "critical after a warning, then half as strange again");
    assert_eq!(story(quiet, "b1bbbbb1"), "FRfxxSxR", "it went on when the quiet time was over");
    assert_eq!(story(quiet, "b1bf1"), "FRfWR", "and it is told when it gets worse");
    assert_eq!(story(quiet, "f1bf1"), "FRfwr", "unless the one before was as bad");
    assert_eq!(story(r#"{"quiet":"5s"}"#, "b1b11b1"), "FRfr.FR", "by the readings' times");
    assert_eq!(story(r#"{"quiet":{"for":"9s","worse":1.2}}"#, "i1k1n1"), "FRfrFR");
}

#[test]
fn people_are_reminded_of_what_goes_on() {
    assert_eq!(story(r#"{"repeat":"3s"}"#, "bbbbbbbb1"), "FxxSxxSxR");
    assert_eq!(
        story(r#"{"repeat":"3s","clear":{"for":"9 of 9"}}"#, "b11111b1b"),
        "F.....S.x",
        "and not by readings that are as they should be"
    );
}

#[test]
fn what_comes_and_goes_is_held_open() {
    let flapping = r#"{"flapping":{"times":3,"within":"8 readings"}}"#;
    assert_eq!(story(flapping, "b1b1b1b1b111111111b1"), "FRFRL.x.x.......R.FR");
    assert_eq!(story(flapping, "b1b1111111b1"), "FRFR......FR", "not within so few");
    assert_eq!(story(r#"{"flapping":{"times":2,"within":"4s"}}"#, "b1b1111111"), "FRL...R...");
}

/// The calendar holds from `from` to `to`.
fn in_calendar(text: &str, hours: std::ops::Range<i64>) -> String {
    let (rule, series) = (rule((1, 1), 1.0, (1, 1)), SeriesId::new("s").expect("a name"));
    let mut watch = Watch::default();
    let story = numbers(text).into_iter().zip(0..).map(|(number, i)| {
        let at = Timestamp::from_ms(i * 1000).expect("in range");
        let calendar = hours.contains(&i).then_some("nights");
        let asked = Asked { rule: &rule, series: &series, at, calendar };
        let (finding, stepped) = observe(&mut watch, asked, Some(number));
        letter(&finding, stepped.as_deref())
    });
    story.collect()
}

#[test]
fn a_calendar_holds_what_begins() {
    assert_eq!(in_calendar("1b1b1", 0..3), ".frFR");
    assert_eq!(in_calendar("1bbbb1", 0..3), ".fxSxR", "it goes on when the calendar ends");
    assert_eq!(in_calendar("1bb1b1", 2..9), ".FxRfr", "the end of what was told is told");
    assert_eq!(in_calendar("1bfbb1", 2..3), ".FwSxR", "that it got worse is told afterwards");
    assert_eq!(in_calendar("1bf1", 2..9), ".FwR");
}

#[test]
fn what_was_held_back_says_so_when_it_is_told() {
    let (rule, series) = (rule((1, 1), 1.0, (1, 1)), SeriesId::new("s").expect("a name"));
    let rule = Rule { repeat: Some(std::time::Duration::from_secs(1)), ..rule };
    let mut watch = Watch::default();
    let mut say = |i: i64, calendar| {
        let at = Timestamp::from_ms(i * 1000).expect("in range");
        observe(&mut watch, Asked { rule: &rule, series: &series, at, calendar }, Some(11.0)).1
    };
    let told = |stepped: Option<Box<Stepped>>| stepped.map(|s| (s.step, s.held.is_some(), s.was_held));
    assert_eq!(told(say(0, Some("nights"))), Some((Step::Fired, true, false)));
    assert_eq!(told(say(1, None)), Some((Step::Repeated, false, true)));
    assert_eq!(told(say(2, None)), Some((Step::Repeated, false, false)), "a reminder");
}

#[test]
fn who_has_seen_it_for_a_time_is_told_again_afterwards() {
    for (repeat, after) in [(None, "xxxxSxxxR"), (Some(2), "xxxxSxSxR")] {
        let rule = Rule { repeat: repeat.map(std::time::Duration::from_secs), ..rule((1, 1), 1.0, (1, 1)) };
        let series = SeriesId::new("s").expect("a name");
        let (mut watch, mut steps) = (Watch::default(), Vec::new());
        let mut say = |watch: &mut Watch, i: i64, number: f64| {
            let at = Timestamp::from_ms(i * 1000).expect("in range");
            let asked = Asked { rule: &rule, series: &series, at, calendar: None };
            let (finding, stepped) = observe(watch, asked, Some(number));
            steps.extend(stepped.as_deref().cloned());
            letter(&finding, stepped.as_deref())
        };
        assert_eq!(say(&mut watch, 0, 11.0), 'F');
        let id = watch.open().expect("one").id.clone();
        let note = Some("the disk is being replaced".to_owned());
        let said = Acknowledgement { by: "ann".to_owned(), note, for_ms: Some(4_000) };
        assert!(!watch.knows(&said));
        watch.acknowledge(&id, &said);
        assert!(watch.knows(&said) && watch.knows(&Acknowledgement::by("bob")));
        assert!(!watch.knows(&Acknowledgement { for_ms: Some(9_000), ..said.clone() }), "it may be longer");
        // The clock begins at the first reading afterwards, of second 100.
        let then: String =
            (100..109).map(|i| say(&mut watch, i, if i == 108 { 1.0 } else { 11.0 })).collect();
        assert_eq!(then, after);
        let seen: Vec<_> = steps.iter().map(|step| step.seen.as_deref()).collect();
        assert_eq!((seen[1], seen.last()), (Some(&said), Some(&None)), "the end of it is told once");
        assert!(!watch.is_acknowledged());
    }
}

#[test]
fn what_was_said_of_it_is_told_with_its_end() {
    let said = Acknowledgement { note: Some("known".to_owned()), ..Acknowledgement::by("ann") };
    for (number, step) in [(1.0, Step::Resolved), (16.0, Step::Escalated)] {
        let (rule, series) = (rule((1, 1), 1.0, (1, 1)), SeriesId::new("s").expect("a name"));
        let asked = Asked { rule: &rule, series: &series, at: Timestamp::default(), calendar: None };
        let mut watch = Watch::default();
        let (_, fired) = observe(&mut watch, asked, Some(11.0));
        watch.acknowledge(&fired.expect("it fires").alert.id, &said);
        let (_, stepped) = observe(&mut watch, asked, Some(number));
        let stepped = stepped.expect("a step");
        assert_eq!((stepped.step, stepped.seen.as_deref()), (step, Some(&said)));
        assert!(watch.noted().is_none() && !watch.is_acknowledged());
    }
}

#[test]
fn who_has_seen_it_is_not_reminded_unless_it_gets_worse() {
    let rule = Rule { repeat: Some(std::time::Duration::from_secs(2)), ..rule((1, 1), 1.0, (1, 1)) };
    let series = SeriesId::new("s").expect("a name");
    let mut watch = Watch::default();
    let say = |watch: &mut Watch, i: i64, number: f64| {
        let at = Timestamp::from_ms(i * 1000).expect("in range");
        let asked = Asked { rule: &rule, series: &series, at, calendar: None };
        let (finding, stepped) = observe(watch, asked, Some(number));
        letter(&finding, stepped.as_deref())
    };
    let first: String = (0..3).map(|i| say(&mut watch, i, 11.0)).collect();
    let id = watch.open().expect("one").id.clone();
    assert_eq!(
        (first.as_str(), watch.acknowledge(&id, &Acknowledgement::by("ann")), watch.is_acknowledged()),
        ("FxS", Some(3), true)
    );
    let then: String = (3..9).map(|i| say(&mut watch, i, if i == 6 { 16.0 } else { 11.0 })).collect();
    assert_eq!((then.as_str(), watch.is_acknowledged()), ("xxxWxS", false));
    assert_eq!(say(&mut watch, 9, 1.0), 'R');
    assert_eq!(watch.acknowledge(&id, &Acknowledgement::by("ann")), None, "it is over");
    assert_eq!(watch.open().map(|open| &open.id), None);
}

#[test]
fn a_new_level_becomes_normal_where_only_what_is_normal_is_learned() {
    let written = r#"{"method":{"kind":"sigma","warmup":10},"for":"1 of 1","clear":{"for":"3 of 3"},"learn":"normal","accept":20}"#;
    let rule: Rule = serde_json::from_str(written).expect("a rule");
    let wave = |level: f64, count: usize| (0..count).map(move |i| level + (i % 5) as f64);
    let numbers: Vec<f64> = wave(10.0, 40).chain(wave(50.0, 60)).chain(wave(10.0, 10)).collect();
    let (story, steps) = run(&rule, &numbers);
    assert_eq!(&story[..40], ".".repeat(40));
    assert_eq!(
        story[40..100].trim_end_matches('.'),
        format!("F{}..R", "x".repeat(28)),
        "10 to warm up, 20 to accept"
    );
    assert!(steps[1].is_new_normal && !steps[0].is_new_normal);
    // A fault that ends is not learned at all.
    let fault: Vec<f64> =
        wave(10.0, 40).chain(wave(50.0, 15)).chain(wave(10.0, 20)).chain(wave(50.0, 3)).collect();
    let (story, steps) = run(&rule, &fault);
    assert_eq!(&story[40..], format!("F{}..R{}Fxx", "x".repeat(14), ".".repeat(17)));
    assert!(!steps[1].is_new_normal);
    let all: Rule = Rule { learn: Learn::All, ..rule };
    assert!(run(&all, &numbers).1.iter().all(|step| !step.is_new_normal));
}

fn numbers(text: &str) -> Vec<f64> {
    text.chars().map(|c| f64::from(c.to_digit(36).unwrap_or(0))).collect()
}

#[test]
fn fires_once_and_resolves_once() {
    // Digits are readings, in base 36: `b` is 11, over the threshold of 10.
    let story = |rule: &Rule, text: &str| run(rule, &numbers(text)).0;
    assert_eq!(story(&rule((1, 1), 1.0, (1, 1)), "1b1b1"), ".FRFR");
    assert_eq!(story(&rule((2, 3), 1.0, (2, 2)), "1b1b1b111b1"), ".x.F.x.R.x.");
    assert_eq!(story(&rule((3, 3), 1.0, (1, 1)), "bbbbb1bb1"), "xxFxxRxx.");
    assert_eq!(story(&rule((1, 1), 0.8, (2, 2)), "b9a98b7711"), "F....x.R..", "8 of 10 is not below 0.8");
}

/// `-` is a reading without a number.
fn with_gaps(rule: &Rule, text: &str) -> String {
    let series = SeriesId::new("s").expect("a name");
    let mut watch = Watch::default();
    let story = text.chars().zip(0..).map(|(c, i)| {
        let at = Timestamp::from_ms(i * 1000).expect("in range");
        let number = c.to_digit(36).map(f64::from);
        match observe(&mut watch, Asked { rule, series: &series, at, calendar: None }, number) {
            (_, Some(stepped)) if stepped.step == Step::Fired => 'F',
            (_, Some(_)) => 'R',
            (Finding::Anomalous(..), None) => 'x',
            _ => '.',
        }
    });
    story.collect()
}

#[test]
fn missing_readings_count_as_the_rule_says() {
    let say = |missing, text| with_gaps(&Rule { missing, ..rule((2, 3), 1.0, (2, 2)) }, text);
    assert_eq!(say(Missing::Skip, "1b--b--1-1"), ".x..F....R", "as if they had not been");
    assert_eq!(say(Missing::Missing, "1b--b1"), ".x..F.", "five readings back");
    assert_eq!(say(Missing::Missing, "1b---"), ".x...", "normal ones are in sight still");
    assert_eq!(say(Missing::Missing, "1b----"), ".x...F", "and now it is all there is");
    assert_eq!(say(Missing::Ignore, "1b-----"), ".x.....", "it stays as it was");
    assert_eq!(
        say(Missing::Breaching, "111----"),
        "......F",
        "two of three are missing, and of the last five"
    );
    assert_eq!(say(Missing::Breaching, "111----1---11"), "......F.....R", "and silence does not end it");
    assert_eq!(say(Missing::NotBreaching, "11bb--"), "..xF.R", "silence is calm");
    assert_eq!(say(Missing::Missing, "11bb--1-1"), "..xF....R");
}

#[test]
fn readings_that_did_not_come_are_missing() {
    let rule = Rule {
        missing: Missing::Breaching,
        every: Some(std::time::Duration::from_secs(60)),
        ..rule((3, 4), 1.0, (2, 2))
    };
    let series = SeriesId::new("s").expect("a name");
    let mut watch = Watch::default();
    let mut fired = |s: i64| {
        let at = Timestamp::from_ms(s * 1000).expect("in range");
        let asked = Asked { rule: &rule, series: &series, at, calendar: None };
        observe(&mut watch, asked, Some(1.0)).1.map(|stepped| stepped.margin.to_string())
    };
    for s in [0, 60, 125, 180, 235] {
        assert_eq!(fired(s), None, "in time, and before the first there was nothing to miss");
    }
    assert_eq!(fired(415), None, "two are missing, and then it comes");
    (475..=775).step_by(60).for_each(|s| assert_eq!(fired(s), None));
    let said = "3 against 3 (anomalous or missing, 3 missing)";
    assert_eq!(fired(1_500).as_deref(), Some(said), "eleven are, and it comes");
}

#[test]
fn a_resolved_alert_tells_its_story() {
    let (_, steps) = run(&rule((2, 3), 1.0, (2, 2)), &numbers("1bzc11"));
    let resolved = &steps[1].alert;
    assert_eq!(steps[0].alert.id, resolved.id);
    assert_eq!((resolved.step_number, resolved.anomalous), (2, 3));
    assert_eq!(
        (resolved.since.as_ms(), resolved.fired_at.as_ms(), resolved.peak_at.as_ms()),
        (1000, 2000, 2000)
    );
    assert_eq!((resolved.peak.judged, resolved.severity), (35.0, Severity::Critical));
}

#[test]
fn ids_are_stable_and_differ_on_a_repeated_time() {
    let (_, steps) = run(&rule((1, 1), 1.0, (1, 1)), &numbers("b1b1"));
    // Computed once, and the contract since: a changed hash would send every open alert again.
    assert_eq!(steps[0].alert.id.as_str(), "3cf065d87952f921");
    assert_ne!(steps[0].alert.id, steps[2].alert.id);
    let series = SeriesId::new("s").expect("a name");
    let first = AlertId::new(&series, "r", Timestamp::default(), None);
    let next = |id: &AlertId| Some(AlertId::new(&series, "r", Timestamp::default(), Some(id)));
    let ids: std::collections::BTreeSet<_> = std::iter::successors(Some(first), next).take(500).collect();
    assert_eq!(ids.len(), 500, "all of them, however many came before");
}
