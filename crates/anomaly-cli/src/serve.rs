//! `anomaly serve`: a trained model as a SageMaker endpoint.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anomaly_detect::Model;
use anomaly_local::serve::fault::{self, Fault};
use anomaly_local::serve::{self, ServeOptions, Served};
use anyhow::{Context, anyhow, bail, ensure};
use tokio::net::TcpListener;

/// Serve a trained model as a SageMaker endpoint.
#[derive(Debug, clap::Args)]
#[command(after_long_help = fault::HELP)]
pub(crate) struct ServeArgs {
    /// The model: an artifact of `anomaly train`, or a folder with its unpacked files
    #[arg(long, value_name = "PATH", default_value = "/opt/ml/model")]
    model: PathBuf,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    address: String,
    /// Answer to this endpoint name only, not to any
    #[arg(long, value_name = "NAME")]
    endpoint_name: Option<String>,
    /// Play a fault, e.g. throttle:3; may be repeated (see --help)
    #[arg(long = "fault", value_name = "KIND[:WHEN]")]
    faults: Vec<Fault>,
    // SageMaker starts a container with the word `serve` behind its entry point, which then says it twice.
    #[arg(hide = true, value_parser = ["serve"])]
    sagemaker: Option<String>,
}

/// Serves until SIGTERM or Ctrl-C, answers what is in flight, and ends.
///
/// # Errors
/// If the model cannot be read, the address cannot be listened on, or requests were still in flight when time
/// was up.
pub(crate) fn run(args: ServeArgs) -> anyhow::Result<ExitCode> {
    ensure!(
        args.model.exists(),
        "{}: there is no such file\nhint: `anomaly train` writes models; --model says which one to serve",
        args.model.display()
    );
    let model = serve::open_model(&args.model).with_context(|| args.model.display().to_string())?;
    let options =
        ServeOptions { endpoint_name: args.endpoint_name, faults: args.faults, ..ServeOptions::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the threads of the server")?;
    let served = runtime.block_on(listen(model, options, &args.address))?;
    let mut talk = io::stderr().lock();
    writeln!(talk, "served {} requests, {} rows", served.requests, served.rows)?;
    if !served.drained {
        bail!("requests were still in flight when time was up");
    }
    Ok(ExitCode::SUCCESS)
}

async fn listen(model: Model, options: ServeOptions, address: &str) -> anyhow::Result<Served> {
    let shutdown = serve::until_terminated().context("cannot wait for signals")?;
    let listener = TcpListener::bind(address).await.map_err(|e| {
        anyhow!("cannot listen on {address}: {e}\nhint: --address 127.0.0.1:0 takes a free port")
    })?;
    let url = format!("http://{}", listener.local_addr().context("the listener has no address")?);
    // Connections are accepted from here on: those that come before the server takes them wait.
    let features = model.features();
    let listed = features.join(", ");
    let rows = match model.shingle() {
        1 => String::new(),
        n => format!(", rows of {n} readings"),
    };
    writeln!(
        io::stderr().lock(),
        "listening on {url} (model {}, {} features: {listed}{rows})",
        model.id(),
        features.len()
    )?;
    announce(&url)?;
    serve::serve(model, options, listener, shutdown).await.context("the server failed")
}

/// The URL on a line of its own, for scripts; nobody reading it is no reason not to serve.
fn announce(url: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{url}").and_then(|()| out.flush()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}
