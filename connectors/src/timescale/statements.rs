//! The statements that apply an epoch: rows go into a temporary stage, then from there to the
//! target.

use super::options::TableName;
use super::target::Target;

/// SQL of one sink, made once.
#[derive(Clone, Debug)]
pub struct Statements {
    /// Makes the stage, if this session has none yet. It is empty at the start of each transaction.
    pub create_stage: String,
    /// Copies rows with their weight into the stage.
    pub copy_stage: String,
    /// Copies rows straight into the target.
    pub copy_target: String,
    /// Takes away the rows that the stage says; ends in a condition.
    pub delete: String,
    /// Asks for the earliest and the latest time of the rows to take away, if the key has a time.
    pub delete_bounds: Option<String>,
    /// The time column of the target in `delete`.
    pub delete_time: String,
    /// Adds the rows that the stage says; with a key, or replaces them.
    pub insert: String,
}

impl Statements {
    /// The statements for `target`, called `table`.
    pub fn new(target: &Target, table: &TableName) -> Self {
        let table = table.sql();
        let columns = &target.columns;
        let time = target.time.filter(|time| target.key.contains(time));
        let stage_names: Vec<String> = (0..columns.len())
            .map(|index| format!("c{index}"))
            .collect();
        let stage_columns: Vec<String> = stage_names
            .iter()
            .zip(columns)
            .map(|(name, column)| format!("{name} {}", column.pg_type.sql()))
            .collect();
        let names: Vec<&str> = columns
            .iter()
            .map(|column| column.sql_name.as_str())
            .collect();
        let (names, staged) = (names.join(", "), stage_names.join(", "));
        Self {
            create_stage: format!(
                "CREATE TEMPORARY TABLE IF NOT EXISTS rtsap_stage (weight int8 NOT NULL, {}) \
                 ON COMMIT DELETE ROWS;",
                stage_columns.join(", ")
            ),
            copy_stage: format!(
                "COPY pg_temp.rtsap_stage (weight, {staged}) FROM STDIN (FORMAT binary)"
            ),
            copy_target: format!("COPY {table} ({names}) FROM STDIN (FORMAT binary)"),
            delete: delete(target, &table),
            delete_bounds: time.map(|time| {
                format!(
                    "SELECT pg_catalog.min(c{time})::text, pg_catalog.max(c{time})::text \
                     FROM pg_temp.rtsap_stage WHERE weight < 0"
                )
            }),
            delete_time: time
                .map_or_else(String::new, |time| format!("t.{}", columns[time].sql_name)),
            insert: insert(target, &table, &names, &staged),
        }
    }
}

fn insert(target: &Target, table: &str, names: &str, staged: &str) -> String {
    let rows =
        format!("INSERT INTO {table} AS t ({names}) SELECT {staged} FROM pg_temp.rtsap_stage s");
    if target.key.is_empty() {
        return format!("{rows}, pg_catalog.generate_series(1, s.weight) WHERE s.weight > 0");
    }
    let others = target
        .columns
        .iter()
        .enumerate()
        .filter(|(index, _)| !target.key.contains(index));
    let mut sets: Vec<String> = others
        .map(|(_, column)| format!("{0} = EXCLUDED.{0}", column.sql_name))
        .collect();
    if sets.is_empty() {
        // Nothing but the key: an update of nothing, so that the row counts all the same.
        let name = &target.columns[target.key[0]].sql_name;
        sets.push(format!("{name} = EXCLUDED.{name}"));
    }
    format!(
        "{rows} WHERE s.weight > 0 ON CONFLICT ({}) DO UPDATE SET {}",
        target.key_sql(),
        sets.join(", ")
    )
}

fn delete(target: &Target, table: &str) -> String {
    let equal = |index: &usize| {
        let column = &target.columns[*index];
        let operator = if column.nullable && target.key.is_empty() {
            "IS NOT DISTINCT FROM"
        } else {
            "="
        };
        format!("t.{} {operator} s.c{index}", column.sql_name)
    };
    if !target.key.is_empty() {
        let equal: Vec<String> = target.key.iter().map(equal).collect();
        return format!(
            "DELETE FROM {table} AS t USING pg_temp.rtsap_stage s WHERE s.weight < 0 AND {}",
            equal.join(" AND ")
        );
    }
    // Without a key: as many of the equal rows as the weight says, found by their place in their
    // table (chunk).
    let all: Vec<String> = (0..target.columns.len())
        .map(|index| equal(&index))
        .collect();
    format!(
        "DELETE FROM {table} AS t USING (\
           SELECT t.tableoid AS place_table, t.ctid AS place, s.weight, \
             pg_catalog.row_number() OVER (PARTITION BY s.ctid) AS number \
           FROM {table} AS t JOIN pg_temp.rtsap_stage s ON s.weight < 0 AND {}) d \
         WHERE d.number <= -d.weight AND t.tableoid = d.place_table AND t.ctid = d.place",
        all.join(" AND ")
    )
}
