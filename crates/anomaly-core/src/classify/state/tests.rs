use proptest::prelude::*;

use super::bytes::{HOLD_VERSION, PLAIN_VERSION};
use super::*;
use crate::classify::tests::{policy, scored};
use crate::classify::{Policy, classify};
use crate::config::{Config, On, Rule, Untimely};
use crate::event_time::Placement;
use crate::seen::{NotedIn, Order};

#[test]
fn what_was_written_last_is_kept_and_older_states_are_read() {
    let mut state = SeriesState::default();
    classify(&policy(), &mut state, &scored(5, 1.0, None), "m");
    let old = state.encode();
    assert_eq!((old[0], SeriesState::decode(&old)), (1, Ok(state.clone())));
    let reading = scored(6, 1.0, None);
    let last = reading.reading.position.place();
    state.seen_mut().write(Order::Kept, std::iter::once(&reading.reading.position), None);
    classify(&policy(), &mut state, &reading, "m");
    let old = state.encode();
    assert!(
        (old[0] < 6, SeriesState::decode(&old)) == (true, Ok(state.clone())),
        "not said where it is noted"
    );
    let noted_in = Some(NotedIn { minute: None, last });
    state.seen_mut().write(Order::Kept, std::iter::once(&reading.reading.position), noted_in);
    let read = SeriesState::decode(&state.encode()).expect("its own bytes");
    assert_eq!((state.encode()[0], &read), (6, &state));
    assert!(read.seen().wrote(Order::Kept, &reading.reading.position));
    state.admit(&EventTime::default(), scored(7, 1.0, None), "m");
    assert_eq!(SeriesState::decode(&state.encode()), Ok(state), "with a hold too");
}

#[test]
fn state_is_versioned() {
    assert_eq!(SeriesState::decode(&[]), Err(StateError::Corrupt));
    assert_eq!(SeriesState::decode(&[0, 1]), Err(StateError::Corrupt));
    assert_eq!(SeriesState::decode(&[12, 1]), Err(StateError::Newer { version: 12 }));
    let mut bytes = SeriesState::default().encode();
    bytes.push(0);
    assert_eq!(SeriesState::decode(&bytes), Err(StateError::Corrupt), "something behind it");
}

fn seed(untimely: Untimely) -> EventTime {
    let [late, out_of_order] = [16, 5].map(std::time::Duration::from_secs);
    EventTime { late, out_of_order, policy: untimely, ..EventTime::default() }
}

/// A state in which nobody says more than who is written as before, so that an earlier release reads it too.
#[test]
fn what_was_said_of_an_open_alert_is_kept_with_it() {
    let policy = policy();
    let mut state = SeriesState::default();
    let fired: Vec<_> = (0..9)
        .flat_map(|i| classify(&policy, &mut state, &scored(i, 90.0, Some(9.0)), "m").transitions)
        .collect();
    let at = Timestamp::from_ms(9_000).expect("in range");
    state.acknowledge(&fired[0], &Acknowledgement::by("ann"), at).expect("it is open");
    assert_eq!(state.encode()[0], 10);
    let note = Some("ä".repeat(crate::alert::NOTE_CHARS_MAX));
    let said = Acknowledgement { note, for_ms: Some(7_200_000), ..Acknowledgement::by("ann") };
    state.acknowledge(&fired[0], &said, at).expect("it is open");
    let bytes = state.encode();
    assert_eq!((bytes[0], SeriesState::decode(&bytes)), (11, Ok(state.clone())));
    assert!(bytes.len() < 1024, "with the longest note {} bytes", bytes.len());
    let calm =
        (9..60).flat_map(|i| classify(&policy, &mut state, &scored(i, 1.0, Some(0.1)), "m").transitions);
    let ends: Vec<_> = calm.filter(|t| t.alert == fired[0].alert).collect();
    assert_eq!(ends.last().and_then(|end| end.note.clone()), said.note, "{ends:?}");
    assert!(state.encode()[0] < 11);
}

/// Two readings under the rule `hot`, the second of which fired it: written before there was event time.
const VERSION_1: &str = "\
    01010170013800807d0103686f740000000000000000000000000000000000010001807d011039623665616265653030\
    35333236373301807d807d0200000000000049400000000000002440000000000000144000807d010110396236656162\
    6565303035333236373302020000e0400000803f020000004100004842";

#[test]
fn version_1_is_read_and_written_still() {
    let byte = |i: usize| u8::from_str_radix(&VERSION_1[i..i + 2], 16).expect("two digits");
    let bytes: Vec<u8> = (0..VERSION_1.len()).step_by(2).map(byte).collect();
    let mut state = SeriesState::decode(&bytes).expect("a state");
    assert_eq!(state.encode(), bytes);
    let open = state.watches().next().and_then(|(_, watch)| watch.open()).map(|open| open.anomalous);
    assert_eq!((open, state.hold()), (Some(1), None));
    assert!(state.has_seen(&Position { partition: "p".into(), ..scored(8, 1.0, None).reading.position }));
    state.admit(&seed(Untimely::Adjust), scored(9, 1.0, None), "m");
    assert_eq!(state.hold().map(Hold::len), Some(1), "and goes on with event time");
}

#[test]
fn without_event_time_the_state_is_what_it_was() {
    let (policy, mut state) = (policy(), SeriesState::default());
    (0..40).for_each(|i| drop(classify(&policy, &mut state, &scored(i, 1.0, None), "m")));
    let bytes = state.encode();
    assert_eq!(bytes[0], PLAIN_VERSION);
    assert_eq!(bytes[1..], postcard::to_extend(&state, Vec::new()).expect("into memory"));
    state.admit(&seed(Untimely::Adjust), scored(41, 1.0, None), "m");
    let with_hold = state.encode();
    assert_eq!((with_hold[0], SeriesState::decode(&with_hold)), (HOLD_VERSION, Ok(state.clone())));
    let released = state.end_hold(&SeriesId::new("s").expect("a name"));
    assert_eq!((released.len(), state.encode()[0], state.encode().len()), (1, PLAIN_VERSION, bytes.len()));
}

#[test]
fn what_waits_was_seen_and_so_was_what_was_dropped() {
    let mut state = SeriesState::default();
    let drop = seed(Untimely::Drop);
    state.admit(&drop, scored(100, 1.0, None), "m");
    assert!(state.has_seen(&scored(100, 1.0, None).reading.position));
    let mut behind = scored(101, 1.0, None);
    behind.reading.at = Timestamp::from_ms(50_000).expect("in range");
    let admission = state.admit(&drop, behind.clone(), "m");
    assert!(matches!(admission.placement, Placement::Dropped(_)));
    assert!(state.has_seen(&behind.reading.position));
    assert!(!state.has_seen(&scored(102, 1.0, None).reading.position));
}

/// Readings whose times lie up to 10 s before and behind their arrival.
fn unordered(offsets: &[i64]) -> Vec<Scored> {
    let reading = |(i, offset): (usize, &i64)| {
        let mut reading = scored(i as u32 + 100, i as f64, Some(0.5));
        let ms = reading.reading.at.as_ms() + offset * 1000;
        reading.reading.at = Timestamp::from_ms(ms).expect("in range");
        reading
    };
    offsets.iter().enumerate().map(reading).collect()
}

/// Takes in those of `batch` that were not seen, and gives back what was released and what was dropped.
fn take_in(state: &mut SeriesState, policy: &EventTime, batch: &[Scored]) -> Vec<String> {
    let mut out = Vec::new();
    for scored in batch {
        if state.has_seen(&scored.reading.position) {
            continue;
        }
        let admission = state.admit(policy, scored.clone(), "m");
        if let Placement::Dropped(reject) = admission.placement {
            out.push(format!("{} dropped: {reject}", scored.reading.position.sequence));
        }
        let shown =
            |r: &Released| format!("{} at {}", r.scored.reading.position.sequence, r.scored.reading.at);
        out.extend(admission.released.iter().map(shown));
    }
    out
}

proptest! {
    /// However the readings are cut into batches, whichever batches come twice, and wherever the state is
    /// written and read.
    #[test]
    fn batches_and_redeliveries_release_the_same(
        offsets in proptest::collection::vec(-10..=10_i64, 1..60),
        cuts in proptest::collection::vec((1..12_usize, any::<bool>()), 60),
        drops in any::<bool>(),
    ) {
        let policy = seed(if drops { Untimely::Drop } else { Untimely::Adjust });
        let all = unordered(&offsets);
        let mut at_once = SeriesState::default();
        let expected = take_in(&mut at_once, &policy, &all);
        let (mut state, mut got, mut from) = (SeriesState::default(), Vec::new(), 0);
        for (length, twice) in cuts {
            let batch = &all[from..all.len().min(from + length)];
            got.extend(take_in(&mut state, &policy, batch));
            state = SeriesState::decode(&state.encode()).expect("its own bytes");
            if twice {
                let again = &all[from.saturating_sub(5)..from + batch.len()];
                prop_assert!(take_in(&mut state, &policy, again).is_empty());
            }
            from += batch.len();
        }
        got.extend(take_in(&mut state, &policy, &all[from..]));
        prop_assert_eq!(got, expected);
        prop_assert_eq!(state, at_once);
    }

    #[test]
    fn stopping_anywhere_changes_nothing(values in proptest::collection::vec((0.0..20.0f64, 0.0..3.0f64), 1..80), stop in 0usize..80) {
        let policy = policy();
        let (mut one, mut two) = (SeriesState::default(), SeriesState::default());
        for (i, (b, score)) in values.iter().enumerate() {
            if i == stop {
                two = SeriesState::decode(&two.encode()).expect("its own bytes");
            }
            let reading = scored(i as u32, *b, Some(*score));
            prop_assert_eq!(classify(&policy, &mut one, &reading, "m"), classify(&policy, &mut two, &reading, "m"));
        }
        prop_assert_eq!(one.encode(), two.encode());
        prop_assert!(one.encode().len() < 1024, "state of two rules: {} bytes", one.encode().len());
    }

    /// A damaged state is found out, or goes on: it never ends the process.
    #[test]
    fn a_damaged_state_of_any_method_is_survived(at in any::<proptest::sample::Index>(), byte in any::<u8>(), tail in 0..40usize) {
        let rules = ["robust:history=9,warmup=5", "quantile:warmup=9", "evt:warmup=30,level=0.6,peaks=10,drift=5,direction=both",
            "rate-of-change:threshold=1", "spike-and-dip:history=9", "change-point:history=9", "static:threshold=1,missing=ignore,every=1s"];
        let rules = rules.iter().map(|text| {
            let rule = Config::rule_in_short(text).expect("a rule");
            Rule { on: On::Feature("b".to_owned()), ..rule }
        });
        let policy = Policy::new(&Config { rules: rules.collect(), ..Config::default() }, &["a".to_owned(), "b".to_owned()]);
        let mut state = SeriesState::default();
        (0..60).for_each(|i| drop(classify(&policy, &mut state, &scored(i, f64::from(i * 7 % 13), None), "m")));
        let mut bytes = state.encode();
        let at = bytes.len() - 1 - at.index(bytes.len());
        bytes[at] = byte;
        bytes.truncate(bytes.len() - tail / 30);
        if let Ok(mut state) = SeriesState::decode(&bytes) {
            (60..120).for_each(|i| drop(classify(&policy, &mut state, &scored(i, f64::from(i * 7 % 13), None), "m")));
            drop(state.encode());
        }
    }

    #[test]
    fn any_bytes_are_a_state_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = SeriesState::decode(&bytes);
    }
}
