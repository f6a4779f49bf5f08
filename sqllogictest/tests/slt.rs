//! Runs every file of `test_files`. `REWRITE=1` writes what came out into them; `SLT=part` runs
//! those whose path contains `part`.

use std::path::Path;

use futures::StreamExt;

#[tokio::test(flavor = "multi_thread")]
async fn the_language_does_what_its_examples_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("test_files");
    let wanted = std::env::var("SLT").unwrap_or_default();
    let rewrite = std::env::var_os("REWRITE").is_some();
    let files = rtsap_sqllogictest::files(&folder).unwrap();
    let files = files
        .into_iter()
        .filter(|file| file.to_string_lossy().contains(&wanted));
    let results = futures::stream::iter(files).map(|file| async move {
        let result = match rewrite {
            true => rtsap_sqllogictest::rewrite(&file).await,
            false => rtsap_sqllogictest::run(&file).await,
        };
        result.map_err(|error| format!("{}\n{error}", file.display()))
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
