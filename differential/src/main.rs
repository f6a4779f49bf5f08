//! `make differential`: compares random views with the reference, for a while.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use rtsap_differential::campaign::{Campaign, of_seed, one, run_all};
use rtsap_differential::run::Outcome;

/// Random views over random streams, compared with a brute-force reference.
#[derive(Parser)]
struct Arguments {
    /// The seed of the first case.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Views to compare.
    #[arg(long, default_value_t = 10_000)]
    cases: usize,
    /// Seconds after which no new case begins.
    #[arg(long, default_value_t = 1_800)]
    seconds: u64,
    /// Views that share a server.
    #[arg(long, default_value_t = 12)]
    views: usize,
    /// Servers at a time.
    #[arg(long, default_value_t = 3)]
    at_once: usize,
    /// Failures that are made small.
    #[arg(long, default_value_t = 20)]
    shrink: usize,
    /// Only shows the case of this seed and what comes of it.
    #[arg(long)]
    only: Option<u64>,
}

fn say(text: &str) {
    // Nobody is left to be told when the output is closed.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

#[tokio::main(flavor = "multi_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(seed) = arguments.only {
        return only(seed, arguments.views).await;
    }
    let campaign = Campaign {
        seed: arguments.seed,
        views_max: arguments.cases,
        time_max: Duration::from_secs(arguments.seconds),
        views_each: arguments.views,
        changes: true,
        at_once: arguments.at_once,
        shrunk_max: arguments.shrink,
    };
    let tell = |text: &str| say(&format!("---- failure\n{text}"));
    let summary = run_all(campaign, &tell).await;
    say("refused:");
    let mut refused: Vec<_> = summary.refused.iter().collect();
    refused.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for (text, count) in refused {
        say(&format!("{count:6}  {text}"));
    }
    say(&format!(
        "compared {} views: {} right ({} with rows), {} wrong; refused {}",
        summary.compared(),
        summary.right,
        summary.with_rows,
        summary.failures.len(),
        summary.refused.values().sum::<usize>()
    ));
    match summary.failures.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

async fn only(seed: u64, views: usize) -> ExitCode {
    let case = of_seed(seed, views, true);
    say(&case.text());
    match one(&case).await {
        Err(said) => say(&said),
        Ok(outcomes) => {
            for (view, outcome) in outcomes.iter().enumerate() {
                match outcome {
                    Outcome::Right(rows) => say(&format!("v{view}: right, {rows} rows")),
                    Outcome::Refused(said) => say(&format!("v{view}: refused: {said}")),
                    Outcome::Wrong(said) => say(&format!("v{view}: WRONG\n{said}")),
                }
            }
        }
    }
    ExitCode::SUCCESS
}
