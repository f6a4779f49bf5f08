//! The function reference as a page: what `docs/functions.md` holds, written from the
//! documentation of the functions themselves.

use std::fmt::Write;

use super::{FunctionDoc, FunctionKind};

/// What stands above the functions.
const HEAD: &str = "# Functions

The functions that RTSAP adds to those of DataFusion. This page is written from the code
(`UPDATE_EXPECT=1 cargo test -p rtsap-udfs reference`); every example in it is run by the tests,
over `trades(symbol, ts, price, size)`, `quotes(symbol, ts, bid, ask, bid_size, ask_size)` and
`bars(symbol, ts, candle)`.

Rules that hold for all:

- A row with an argument that is null, NaN or infinite does not count: scalars and window functions
  give null for it, aggregates pass over it. A group without a row that counts is null.
- A division by zero is null, never infinite. TA-Lib's functions keep what TA-Lib gives where a
  range is zero.
- Numbers are computed in double precision, except where decimals are said to be exact.
- Constant arguments come last, by position or by name (`timeperiod => 14`); an argument may be
  named if none before it is left out. NULL stands for the default in window functions.
- Window functions need `OVER (… ORDER BY …)` and always run from the first row of the partition.
  A function with several outputs gives a struct: `(macd(price) OVER w).macdsignal`, or
  `(macd(price) OVER w)['macdsignal']`.
";

/// Returns the page.
pub(super) fn page(docs: &[FunctionDoc]) -> String {
    let mut page = HEAD.to_owned();
    let is_talib = |doc: &FunctionDoc| doc.reference.starts_with("TA-Lib ");
    let sections = [
        ("Scalar functions", FunctionKind::Scalar),
        ("Aggregate functions", FunctionKind::Aggregate),
        ("Window functions", FunctionKind::Window),
    ];
    for (title, kind) in sections {
        let _ = write!(page, "\n## {title}\n");
        let ours = docs.iter().filter(|doc| doc.kind == kind && !is_talib(doc));
        for doc in ours.filter(|doc| is_own_name(doc)) {
            entry(&mut page, doc, docs);
        }
    }
    page.push_str(
        "\n## TA-Lib\n\nEvery function of TA-Lib 0.8 as a window function, with the library's own \
         arguments, defaults and ranges.\nA bare name is also called `ta_<name>`.\n\n\
         | call | what | rules |\n|---|---|---|\n",
    );
    for doc in docs.iter().filter(|doc| is_talib(doc) && is_own_name(doc)) {
        let cell = |text: &str| text.replace('|', "\\|");
        let _ = writeln!(
            page,
            "| `{}` | {} | {} |",
            cell(doc.signature),
            cell(doc.description),
            cell(doc.formula)
        );
    }
    page
}

/// Returns whether an entry stands under its function's first name.
fn is_own_name(doc: &FunctionDoc) -> bool {
    let rest = doc.signature.strip_prefix(doc.name);
    rest.is_some_and(|rest| rest.starts_with('(')) || doc.name == "candlestick_vwap"
}

fn entry(page: &mut String, doc: &FunctionDoc, docs: &[FunctionDoc]) {
    let same = |other: &&FunctionDoc| {
        other.signature == doc.signature && other.kind == doc.kind && !is_own_name(other)
    };
    let aliases: Vec<String> = docs
        .iter()
        .filter(same)
        .map(|other| format!("`{}`", other.name))
        .collect();
    let (name, signature) = (doc.name, doc.signature);
    let _ = write!(page, "\n### {name}\n\n```text\n{signature}\n```\n\n");
    let _ = writeln!(page, "{}", doc.description);
    if !aliases.is_empty() {
        let _ = writeln!(page, "Also called {}.", aliases.join(", "));
    }
    let _ = writeln!(page, "\nDefinition: {}.", doc.formula);
    let _ = writeln!(page, "Source: {}.", doc.reference);
    let _ = write!(page, "\n```sql\n{}\n```\n", doc.example);
}
