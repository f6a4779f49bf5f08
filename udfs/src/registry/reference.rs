//! The function reference as a page: what `docs/functions.md` holds, written from the
//! documentation of the functions themselves.

use std::fmt::Write;

use super::{FunctionDoc, FunctionKind, keeps_rows};
use crate::window;

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
- In a streaming view a window function goes on from row to row. What it keeps for each partition
  is said with its usual parameters: a state of its own, whose size does not depend on how many rows
  have passed (some numbers, or a window of rows); a ring of the last rows, over which TA-Lib is
  asked anew; or `refused`, because no bounded state stands for the rows before, or because it reads
  rows that come later. An aggregate that keeps the rows of its group needs a window of time there.
";

/// What stands below TA-Lib's functions.
const DIFFERENCES: &str = "
### Known differences

The functions are those of the crate `ta-lib` 0.8.3, compared with the C library (the wheel `ta-lib`
0.8.2 of PyPI, which has 201 of them) and with talipp 2.7 on daily bars, to 1e-9 of the value. Where
these disagree:

- `rsi` of a series that does not move is 50 here, in a read and in a view; the C library says 0
  (issue 480 of the crate). `cmo`, `cci`, `willr`, `stoch`, `adx`, `mfi`, `cmf`, `bop` and `natr` of
  one are 0 in both; null would be the rule of our own functions.
- `maxindex`, `minindex` and `minmaxindex` give the last of equal values, the C library the first.
- `ta_percentile` has a default window of 100 rows, the C library one of 30; pass the parameters.
- A candle pattern (`cdl*`) compares a bar with averages of bars before it. Where the two are equal
  but for rounding it may be found in one library and not in the other, and in a view, which sums
  the last rows only, and not in a read.
- talipp defines some otherwise, and they are not compared with it: `zlema` (another lag), `kc`
  (another average of the range), `kvo` and `trix` (another scale), `stc` (another smoothing).
  `alma` rounds the centre of its weights down to a row in TA-Lib. Averages that the two start from
  other values (`atr`, `macd`, `sar`, `supertrend`, `mcgd`) agree once that has faded.
- `beta` is by the variance of the first series and on rates of change, `correl` on levels,
  `ta_stddev` and `ta_var` those of a population; for others see `rolling_beta`, `rolling_corr` and
  the aggregates.
- A row without a value is passed over, where the C library gives NaN from there on.
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
         | call | what | rules | in views |\n|---|---|---|---|\n",
    );
    for doc in docs.iter().filter(|doc| is_talib(doc) && is_own_name(doc)) {
        let cell = |text: &str| text.replace('|', "\\|");
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} |",
            cell(doc.signature),
            cell(doc.description),
            cell(doc.formula),
            in_views(doc).unwrap_or_default(),
        );
    }
    page.push_str(DIFFERENCES);
    page
}

/// Returns what a streaming view keeps for a function, in words; `None` where that goes without
/// saying.
fn in_views(doc: &FunctionDoc) -> Option<String> {
    match doc.kind {
        FunctionKind::Scalar => None,
        FunctionKind::Window => window::in_views(doc.name),
        FunctionKind::Aggregate => {
            keeps_rows(doc.name, &[]).then(|| "the rows of its group".to_owned())
        }
    }
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
    if let Some(kept) = in_views(doc) {
        let _ = writeln!(page, "In views: {kept}.");
    }
    let _ = write!(page, "\n```sql\n{}\n```\n", doc.example);
}
