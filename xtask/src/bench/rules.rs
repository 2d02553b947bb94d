//! `cargo xtask bench rules`: how right each method of a rule is, by what people are told of it.
//!
//! On the series that [`detect`] judges detectors by, and by the same judge. Each detector scores each series once; all
//! methods judge the same scores, at one setting for all series.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::python::output;
use super::{build, detect, place, say};

/// What `cargo xtask bench rules` is told.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// A folder with `data`, `windows.json`, `points.json` and `judge.py`; absent: `shared/nab`, in any
    /// folder above.
    #[arg(long)]
    nab: Option<PathBuf>,
}

/// What rules judge, and what it is called in the table.
const JUDGED: [(&str, &str); 3] =
    [("streaming", "streaming's score"), ("forest", "forest's score"), ("value", "value")];

/// Measures and prints.
pub(crate) fn run(args: &Args) -> Result<()> {
    let Some(nab) = args.nab.clone().or_else(detect::beside) else {
        say(detect::ABSENT);
        return Ok(());
    };
    let (program, place) = (build::detect()?, place()?.join("rules"));
    detect::emptied(&place)?;
    println!(
        "| on | method | for | quiet | standard / low FP / low FN | event F1 | recall | false/1000 | delay |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for (what, name) in JUDGED {
        let told = output(Command::new(&program).args(["rules", what]).arg(nab.join("data")).arg(&place))?;
        for line in told.lines() {
            let mut fields = line.split('\t');
            let mut field = || fields.next().with_context(|| format!("bench-detect said {line:?}"));
            let (folder, method, hold, quiet) = (field()?, field()?, field()?, field()?);
            let (_, judged) = detect::judge(&nab, &nab, &place.join(folder), &[])?;
            println!("| {name} | {method} | {hold} | {quiet} | {} |", figures(&judged)?);
        }
    }
    Ok(())
}

fn figures(judged: &Value) -> Result<String> {
    let figure = |path: &str| judged.pointer(path).and_then(Value::as_f64).with_context(|| path.to_owned());
    // Where no window is caught there is no delay.
    let delay = figure("/alerts/delay_after_label_median")
        .map_or(String::new(), |rows| format!("{:.0}", rows.round() + 0.0));
    Ok(format!(
        "{:.1} / {:.1} / {:.1} | {:.3} | {:.2} | {:.2} | {delay}",
        figure("/fixed/standard")?,
        figure("/fixed/low_FP")?,
        figure("/fixed/low_FN")?,
        figure("/alerts/f1")?,
        figure("/alerts/recall")?,
        figure("/alerts/false_per_1000_rows")?,
    ))
}
