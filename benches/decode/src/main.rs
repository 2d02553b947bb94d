//! Records a second through our decoder and through the stock one.
//!
//! `bench-decode EVENT.json SAMPLES` prints, as JSON, the median over the samples of each. Both go
//! from the bytes of an invocation to owned readings. The stock path has `lambda_runtime` make a
//! `KinesisEvent` of them, through `serde_path_to_error`, and gives its records to `serde_json`. Ours has it
//! read the `null` that `lambda_invoke::payload` leaves in their place. Ours also checks what it reads.

use std::hint::black_box;
use std::io::Write;
use std::time::Duration;

use anomaly_aws::kinesis;
use anomaly_core::config::Input;
use anomaly_core::decode::Decoder;
use anyhow::{Context, Result, ensure};
use aws_lambda_events::event::kinesis::KinesisEvent;
use rustix::time::{ClockId, clock_gettime};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let event = std::fs::read(arguments.next().context("usage: bench-decode EVENT.json SAMPLES")?)?;
    let samples: usize = arguments.next().context("how many samples?")?.parse()?;
    let decoder = Decoder::new(&input()).map_err(anyhow::Error::msg)?;

    let (mut ours, mut stock) = (Vec::new(), Vec::new());
    for _ in 0..samples {
        ours.push(rate(|| decode_ours(&event, &decoder))?);
        stock.push(rate(|| decode_stock(&event))?);
    }
    let medians = json!({"ours": median(ours)?, "stock": median(stock)?});
    Ok(writeln!(std::io::stdout(), "{medians}")?)
}

/// What `cargo xtask bench` writes into its events.
fn input() -> Input {
    Input {
        series: "/device".to_owned(),
        time: Some("/ts".to_owned()),
        features: vec!["/temperature".to_owned(), "/vibration".to_owned()],
        ..Input::default()
    }
}

fn decode_ours(body: &[u8], decoder: &Decoder) -> Result<usize> {
    as_the_runtime_does::<()>(b"null")?;
    let partitions = kinesis::read(std::str::from_utf8(body)?, decoder)?;
    Ok(black_box(&partitions).iter().map(|partition| partition.records.len()).sum())
}

fn decode_stock(body: &[u8]) -> Result<usize> {
    let event: KinesisEvent = as_the_runtime_does(body)?;
    let mut readings = Vec::with_capacity(event.records.len());
    for record in event.records {
        let payload: Payload = serde_json::from_slice(&record.kinesis.data)?;
        let features = [payload.temperature, payload.vibration];
        readings.push((record.kinesis.sequence_number, payload.device, payload.ts, features));
    }
    Ok(black_box(&readings).len())
}

#[derive(Deserialize)]
struct Payload {
    device: String,
    ts: String,
    temperature: f64,
    vibration: f64,
}

/// `lambda_runtime::deserializer`, which is private.
fn as_the_runtime_does<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    let deserializer = &mut serde_json::Deserializer::from_slice(body);
    Ok(serde_path_to_error::deserialize(deserializer)?)
}

/// Records a second of processor time.
fn rate(decode: impl FnOnce() -> Result<usize>) -> Result<f64> {
    let before = processor_time()?;
    let records = decode()?;
    let took = processor_time()?.saturating_sub(before);
    ensure!(records > 0 && !took.is_zero(), "nothing was decoded");
    Ok(records as f64 / took.as_secs_f64())
}

/// Of this thread: what others do on the machine does not count.
fn processor_time() -> Result<Duration> {
    Ok(clock_gettime(ClockId::ThreadCPUTime).try_into()?)
}

fn median(mut rates: Vec<f64>) -> Result<f64> {
    rates.sort_unstable_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().context("SAMPLES must be 1 or more")
}
