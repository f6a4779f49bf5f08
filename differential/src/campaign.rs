//! Many cases in a row: what came out of each, and the failures made small.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::StreamExt;

use crate::case::Case;
use crate::generate;
use crate::run::{Outcome, run};
use crate::shrink::smallest;

/// How long one case may take. A flush that never ends is a failure as well.
const CASE_MAX: Duration = Duration::from_secs(60);

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Campaign {
    /// The seed of the first case; the others follow.
    pub seed: u64,
    /// How many views to compare.
    pub views_max: usize,
    /// How long to go on, if it takes so long.
    pub time_max: Duration,
    /// Views of one case: they share its server.
    pub views_each: usize,
    /// Whether rows of tables are changed as well.
    pub changes: bool,
    /// Cases at a time.
    pub at_once: usize,
    /// Failures that are made small; the others are only counted.
    pub shrunk_max: usize,
}

/// What came out.
#[derive(Debug, Default)]
pub struct Summary {
    /// Views that answered as the reference does.
    pub right: usize,
    /// Those among them that had rows.
    pub with_rows: usize,
    /// How often the planner refused a view, by its words.
    pub refused: BTreeMap<String, usize>,
    /// Failures: the seed, and a case to repeat it with what is wrong.
    pub failures: Vec<(u64, String)>,
}

impl Summary {
    /// How many views were compared.
    pub fn compared(&self) -> usize {
        self.right + self.failures.len()
    }
}

/// The case of `seed` with `views` views.
pub fn of_seed(seed: u64, views: usize, changes: bool) -> Case {
    match seed.is_multiple_of(5) {
        true => generate::late_case(seed, views),
        false => generate::case(seed, views, changes),
    }
}

/// Runs one case within its time.
pub async fn one(case: &Case) -> Result<Vec<Outcome>, String> {
    match tokio::time::timeout(CASE_MAX, run(case)).await {
        Ok(outcomes) => outcomes,
        Err(_) => Err(format!("not done after {} s", CASE_MAX.as_secs())),
    }
}

/// Runs cases until there are enough or the time is over. `tell` is given each failure at once.
pub async fn run_all(campaign: Campaign, tell: &dyn Fn(&str)) -> Summary {
    let began = Instant::now();
    let mut summary = Summary::default();
    let seeds = (campaign.seed..).map(|seed| async move {
        let case = of_seed(seed, campaign.views_each, campaign.changes);
        let done = tokio::spawn(async move {
            let outcomes = one(&case).await;
            (case, outcomes)
        });
        done.await
    });
    let mut running = futures::stream::iter(seeds).buffered(campaign.at_once);
    while summary.compared() < campaign.views_max && began.elapsed() < campaign.time_max {
        let Some(done) = running.next().await else {
            break;
        };
        match done {
            Ok((case, outcomes)) => take(&mut summary, campaign, &case, outcomes, tell).await,
            Err(error) => {
                tell(&format!("a case panicked: {error}"));
                summary.failures.push((0, error.to_string()));
            }
        }
    }
    summary
}

async fn take(
    summary: &mut Summary,
    campaign: Campaign,
    case: &Case,
    outcomes: Result<Vec<Outcome>, String>,
    tell: &dyn Fn(&str),
) {
    let outcomes = match outcomes {
        Ok(outcomes) => outcomes,
        Err(said) => {
            let text = format!("{}\n{said}", case.text());
            tell(&text);
            summary.failures.push((case.seed, text));
            return;
        }
    };
    for (view, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Outcome::Right(rows) => {
                summary.right += 1;
                summary.with_rows += usize::from(rows > 0);
            }
            Outcome::Refused(text) => *summary.refused.entry(text).or_default() += 1,
            Outcome::Wrong(said) => {
                let text = if summary.failures.len() < campaign.shrunk_max {
                    let (case, said) = smallest(case, view, said).await;
                    format!("{}\n{said}", case.text())
                } else {
                    format!("seed {} view {view}: {said}", case.seed)
                };
                tell(&text);
                summary.failures.push((case.seed, text));
            }
        }
    }
}
