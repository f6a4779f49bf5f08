//! Runs every file of `test_files`. `REWRITE=1` writes what came out into them; `SLT=part` runs
//! those whose path contains `part`.
#![expect(clippy::unwrap_used, reason = "a failed step fails its test")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::StreamExt;

#[tokio::test(flavor = "multi_thread")]
async fn the_language_does_what_its_examples_say() {
    let rewrite = std::env::var_os("REWRITE").is_some();
    all(|file| async move {
        match rewrite {
            true => rtsap_sqllogictest::rewrite(&file).await,
            false => rtsap_sqllogictest::run(&file).await,
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_see_the_same_over_the_wire() {
    all(|file| async move { rtsap_sqllogictest::run_over_the_wire(&file).await }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_does_so_whatever_happens_to_the_process() {
    let run = AtomicUsize::new(0);
    let run = &run;
    all(|file| async move {
        if rtsap_sqllogictest::run_with_restarts(&file).await? {
            run.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    })
    .await;
    assert!(run.load(Ordering::Relaxed) > 0, "all files were left out");
}

/// Does `run` with every file that is wanted.
async fn all<R: Future<Output = Result<(), String>>>(run: impl Fn(PathBuf) -> R) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("test_files");
    let wanted = std::env::var("SLT").unwrap_or_default();
    let files = rtsap_sqllogictest::files(&folder).unwrap();
    let files = files
        .into_iter()
        .filter(|file| file.to_string_lossy().contains(&wanted));
    let results = futures::stream::iter(files).map(|file| {
        let done = run(file.clone());
        async move {
            done.await
                .map_err(|error| format!("{}\n{error}", file.display()))
        }
    });
    let results: Vec<Result<(), String>> = results.buffer_unordered(4).collect().await;
    assert!(
        !results.is_empty(),
        "no file of {} was run",
        folder.display()
    );
    let failures: Vec<String> = results.into_iter().filter_map(Result::err).collect();
    assert!(failures.is_empty(), "\n{}", failures.join("\n\n"));
}
