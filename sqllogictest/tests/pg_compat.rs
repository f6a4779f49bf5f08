//! Runs every file of `pg_compat` against the engine over the wire and, where `RTSAP_TEST_POSTGRES`
//! names a server, against PostgreSQL: the same statements must give the same rows and failures.
//! `SLT=part` runs those whose path contains `part`.
#![expect(clippy::unwrap_used, reason = "a failed step fails its test")]

use std::path::{Path, PathBuf};

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("pg_compat");
    let wanted = std::env::var("SLT").unwrap_or_default();
    let files = rtsap_sqllogictest::files(&folder).unwrap().into_iter();
    files
        .filter(|file| file.to_string_lossy().contains(&wanted))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_answers_like_postgres() {
    let mut failures = Vec::new();
    for file in files() {
        if let Err(error) = rtsap_sqllogictest::run_like_postgres(&file).await {
            failures.push(format!("{}\n{error}", file.display()));
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_answers_like_itself() {
    let Ok(url) = std::env::var("RTSAP_TEST_POSTGRES") else {
        eprintln!("SKIPPED: set RTSAP_TEST_POSTGRES to the URL of a server");
        return;
    };
    let mut failures = Vec::new();
    for file in files() {
        if let Err(error) = rtsap_sqllogictest::run_on_postgres(&file, &url).await {
            failures.push(format!("{}\n{error}", file.display()));
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n\n"));
}
