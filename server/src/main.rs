//! The `rtsap` binary: reads the command line, runs the server, and says why if it cannot.
//! Exit codes: 0 stopped as asked, 2 could not start or had to end.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use rtsap_server::assemble::Server;
use rtsap_server::cli::{Cli, Command, ServeArgs};
use rtsap_server::config::Config;
use rtsap_server::error::ServerError;
use rtsap_server::{demo, telemetry};
use rtsap_stream::failpoint;
use tikv_jemallocator::Jemalloc;
use tokio::signal::unix::{SignalKind, signal};

/// Readers take buffers that the core frees: an allocator made for frees from other threads.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Bytes of stack of each thread that plans statements: chains of operators nest as deep as they
/// are long.
const STACK_BYTES: usize = 256 << 20;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(error) = arm_failpoints() {
        return fail(&error);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK_BYTES)
        .build()
    {
        Ok(runtime) => runtime,
        Err(source) => {
            return fail(&ServerError::Io {
                action: "start a runtime".to_owned(),
                source,
            });
        }
    };
    // On a thread of its own, for its stack: the views of the catalog are planned there.
    let result = std::thread::scope(|scope| {
        let main = std::thread::Builder::new().stack_size(STACK_BYTES);
        let main = main.spawn_scoped(scope, || runtime.block_on(run(cli)));
        let main = main.map_err(|source| ServerError::Io {
            action: "start the main thread".to_owned(),
            source,
        })?;
        main.join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    // Sessions that never end, such as subscriptions, must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// Arms the points at which a test makes this process fail, if a test asks for any.
fn arm_failpoints() -> Result<(), ServerError> {
    let Ok(wanted) = std::env::var("RTSAP_FAILPOINTS") else {
        return Ok(());
    };
    failpoint::arm(&wanted).map_err(|error| ServerError::Config {
        message: format!("cannot arm failpoints: {error}"),
        hint: Some("Unset RTSAP_FAILPOINTS; only tests have a use for it.".to_owned()),
    })
}

async fn run(cli: Cli) -> Result<(), ServerError> {
    match cli.command {
        Command::Serve(args) => serve(&args).await,
        Command::Demo(args) => {
            let config = Config {
                log: args.common.log.clone().unwrap_or_else(|| "warn".to_owned()),
                ..Config::default()
            };
            let metrics = telemetry::install(&config)?;
            let signal = stop_signal()?;
            demo::run(args, metrics, &mut std::io::stdout(), signal).await
        }
    }
}

async fn serve(args: &ServeArgs) -> Result<(), ServerError> {
    let config = Config::load(args)?;
    let metrics = telemetry::install(&config)?;
    let signal = stop_signal()?;
    let server = Server::start(&config, metrics).await?;
    let mut out = std::io::stdout();
    // A closed standard output is no reason to end.
    let _ = writeln!(
        out,
        "rtsap is ready: postgresql://rtsap@{}/rtsap, grpc://{}, http://{}/",
        server.pg, server.flight, server.http
    );
    server.run(signal).await
}

/// Completes at Ctrl-C or SIGTERM; a second one ends the process at once.
fn stop_signal() -> Result<impl Future<Output = ()>, ServerError> {
    let failed = |source| ServerError::Io {
        action: "listen for signals".to_owned(),
        source,
    };
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            std::process::exit(130);
        });
    })
}

fn fail(error: &ServerError) -> ExitCode {
    // Nowhere else is left to say it.
    let _ = writeln!(std::io::stderr(), "rtsap: {error}");
    if let Some(hint) = error.hint() {
        let _ = writeln!(std::io::stderr(), "hint: {hint}");
    }
    ExitCode::from(2)
}
