//! Runs `tests/golden/*.txt`: statements and what becomes of them, as text. `REWRITE=1` writes the
//! answers anew.
//!
//! A case is a line `# name`, SQL, a line `----`, and the answer. A case called `# setup …` puts
//! what it makes into the catalog of the cases after it in the same file.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use rtsap_catalog::name::ObjectName;
use rtsap_catalog::object::{ObjectDef, ObjectKind, Relation, SinkDef, ViewDef};
use rtsap_catalog::snapshot::{CatalogChange, CatalogSnapshot};
use rtsap_plan::explain;
use rtsap_planner::bind::view::view_options;
use rtsap_planner::bind::{BoundColumn, BoundSource};
use rtsap_planner::statement::explain::{ExplainStatement, ExplainTarget};
use rtsap_planner::statement::{
    CopyDirection, CreateView, CursorSource, StatementKind, SubscribeTarget,
};
use rtsap_planner::{
    Functions, PlanError, bind_source, bind_source_def, bind_table, bind_table_def, parse,
    plan_view, plan_view_with,
};

struct Case {
    name: String,
    sql: String,
    answer: String,
}

fn read_cases(text: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    for block in text
        .split("\n# ")
        .map(|block| block.trim_start_matches("# "))
    {
        let Some((name, rest)) = block.split_once('\n') else {
            continue;
        };
        let (sql, answer) = rest.split_once("\n----").unwrap_or((rest, ""));
        cases.push(Case {
            name: name.trim().to_owned(),
            sql: sql.trim().to_owned(),
            answer: answer.trim().to_owned(),
        });
    }
    cases
}

struct Runner {
    catalog: CatalogSnapshot,
    functions: Functions,
}

type Made = (ObjectKind, Vec<u64>, Option<Relation>);

impl Runner {
    fn run(&mut self, case: &Case) -> String {
        let statements = match parse(&case.sql) {
            Ok(statements) => statements,
            Err(error) => return show_error(&error, &case.sql).trim().to_owned(),
        };
        let mut out = String::new();
        for statement in statements {
            let name = match &statement.kind {
                StatementKind::CreateSource(source) => source.name.name.clone(),
                StatementKind::CreateTable(table) => table.name.name.clone(),
                StatementKind::CreateView(view) => view.name.name.clone(),
                StatementKind::CreateSink(sink) => sink.name.name.clone(),
                _ => String::new(),
            };
            match self.statement(&statement.kind, &mut out) {
                Ok(Some(made)) if case.name.starts_with("setup") => {
                    self.define(&name, &statement.text, made);
                }
                Ok(_) => {}
                Err(error) => out.push_str(&show_error(&error, &case.sql)),
            }
        }
        out.trim().to_owned()
    }

    fn define(&mut self, name: &str, sql: &str, (kind, depends_on, relation): Made) {
        let id = self.catalog.next_id();
        let name = ObjectName::from_folded(name).unwrap();
        let def = ObjectDef {
            id,
            name,
            sql: sql.to_owned(),
            depends_on,
            kind,
            comment: None,
        };
        self.catalog = self.catalog.apply(&CatalogChange::Create(def)).unwrap();
        if let Some(relation) = relation {
            self.catalog = self.catalog.with_relation(id, relation);
        }
    }

    fn statement(&self, kind: &StatementKind, out: &mut String) -> Result<Option<Made>, PlanError> {
        match kind {
            StatementKind::CreateSource(source) => {
                let bound = bind_source(source, &self.functions)?;
                let again = bind_source_def(&bound.def, &self.functions)?;
                assert_eq!(
                    format!("{bound:?}"),
                    format!("{again:?}"),
                    "a definition binds as its statement"
                );
                show_source(&bound, out);
                Ok(Some((
                    ObjectKind::Source(bound.def),
                    vec![],
                    Some(bound.relation),
                )))
            }
            StatementKind::CreateTable(table) => {
                let bound = bind_table(table, &self.functions)?;
                let again = bind_table_def(&bound.def, &self.functions)?;
                assert_eq!(again.relation, bound.relation);
                show_relation(&bound.relation, out);
                Ok(Some((
                    ObjectKind::Table(bound.def),
                    vec![],
                    Some(bound.relation),
                )))
            }
            StatementKind::CreateView(view) => self.view(view, out).map(Some),
            StatementKind::CreateSink(sink) => {
                let from = self
                    .catalog
                    .resolve(&sink.from.name)
                    .map(|object| object.def.id);
                let _ = writeln!(out, "sink {} from {}", sink.name.name, sink.from.name);
                let options = sink
                    .options
                    .iter()
                    .map(|(k, v)| (k.clone(), v.value.clone()));
                let def = SinkDef {
                    from: from.unwrap_or(0),
                    options: options.collect(),
                    record: None,
                };
                for (key, value) in &def.options {
                    let _ = writeln!(out, "  {key} = {value}");
                }
                Ok(from.map(|from| (ObjectKind::Sink(def), vec![from], None)))
            }
            StatementKind::Explain(explain) => self.explain(explain, out).map(|()| None),
            other => {
                show_statement(other, out);
                Ok(None)
            }
        }
    }

    fn explain(&self, explain: &ExplainStatement, out: &mut String) -> Result<(), PlanError> {
        let _ = writeln!(
            out,
            "explain {:?} analyze={}",
            explain.format, explain.analyze
        );
        match &explain.target {
            ExplainTarget::CreateView(view) => self.view(view, out).map(|_| ()),
            ExplainTarget::StreamingQuery {
                query,
                query_offset,
            } => self.query(query, *query_offset, out),
            ExplainTarget::View(name) => {
                let _ = writeln!(out, "view {}", name.name);
                Ok(())
            }
            ExplainTarget::Why(name) => {
                let _ = writeln!(out, "why {}", name.name);
                Ok(())
            }
            ExplainTarget::Query(query) => {
                let _ = writeln!(out, "query {query}");
                Ok(())
            }
        }
    }

    fn view(&self, view: &CreateView, out: &mut String) -> Result<Made, PlanError> {
        let options = view_options(&view.options)?;
        let planned = plan_view_with(
            &view.query,
            &view.column_names,
            &options,
            &self.catalog,
            &self.functions,
        )
        .map_err(|error| error.shifted(view.query_offset))?;
        out.push_str(&explain::text(&planned.plan));
        show_relation(&planned.relation, out);
        let again = plan_view_with(
            &view.query,
            &view.column_names,
            &options,
            &self.catalog,
            &self.functions,
        )?;
        assert_eq!(
            again.plan.fingerprint(),
            planned.plan.fingerprint(),
            "plans are stable"
        );
        let def = ViewDef {
            query: view.query.clone(),
            column_names: view.column_names.clone(),
            options: Default::default(),
        };
        Ok((
            ObjectKind::View(def),
            planned.depends_on,
            Some(planned.relation),
        ))
    }

    fn query(&self, query: &str, offset: u32, out: &mut String) -> Result<(), PlanError> {
        let planned = plan_view(query, &[], &self.catalog, &self.functions)
            .map_err(|error| error.shifted(offset))?;
        out.push_str(&explain::text(&planned.plan));
        Ok(())
    }
}

fn show_error(error: &PlanError, sql: &str) -> String {
    let mut out = format!("error {}: {error}\n", error.code());
    if let Some(position) = error.position() {
        let rest: String = sql.chars().skip(position as usize - 1).take(24).collect();
        let _ = writeln!(
            out,
            "at {position}: {}",
            rest.lines().next().unwrap_or_default()
        );
    }
    if let Some(detail) = error.detail_text() {
        let _ = writeln!(out, "detail: {detail}");
    }
    if let Some(hint) = error.hint_text() {
        let _ = writeln!(out, "hint: {hint}");
    }
    out
}

fn show_source(bound: &BoundSource, out: &mut String) {
    for ((field, column), def) in bound
        .relation
        .schema
        .fields()
        .iter()
        .zip(&bound.columns)
        .zip(&bound.def.columns)
    {
        let null = if field.is_nullable() { "" } else { " not null" };
        let from = match column {
            BoundColumn::Physical(index) => format!("{:?}", bound.physical.origins[*index]),
            BoundColumn::Computed(index) => bound.computed[*index].1.to_string(),
        };
        let (name, sql_type) = (&def.name, &def.sql_type);
        let _ = writeln!(
            out,
            "{name} {sql_type}{null} [{}] <- {from}",
            field.data_type()
        );
    }
    if let Some(watermark) = bound.watermark {
        let _ = writeln!(
            out,
            "watermark column {} delay {}",
            watermark.column, watermark.delay_nanos
        );
    }
    for (key, value) in &bound.def.options {
        let _ = writeln!(out, "with {key} = {value}");
    }
    for notice in &bound.notices {
        let _ = writeln!(out, "notice: {notice}");
    }
}

fn show_relation(relation: &Relation, out: &mut String) {
    let columns = relation.schema.fields().iter().map(|field| {
        let null = if field.is_nullable() { "" } else { " not null" };
        format!("{} {}{null}", field.name(), field.data_type())
    });
    let _ = writeln!(out, "= {}", columns.collect::<Vec<_>>().join(", "));
}

fn show_statement(kind: &StatementKind, out: &mut String) {
    let text = match kind {
        StatementKind::Query(query) => format!("query {query}"),
        StatementKind::CreateTableAs(create) => {
            format!("create table {} as {}", create.name.name, create.query)
        }
        StatementKind::Insert { table, statement } => format!("insert {}: {statement}", table.name),
        StatementKind::Subscribe(subscribe) => {
            format!(
                "{}, {subscribe_rest}",
                target(&subscribe.target),
                subscribe_rest = rest(subscribe)
            )
        }
        StatementKind::DeclareCursor(cursor) => match &cursor.source {
            CursorSource::Subscribe(subscribe) => {
                format!(
                    "cursor {} for {}, {}",
                    cursor.name,
                    target(&subscribe.target),
                    rest(subscribe)
                )
            }
            CursorSource::Query(query) => format!("cursor {} for {query}", cursor.name),
        },
        StatementKind::Copy(copy) => {
            let direction = match &copy.direction {
                CopyDirection::QueryToStdout(query) => format!("{query} to stdout"),
                CopyDirection::SubscribeToStdout(subscribe) => {
                    format!("{} to stdout", target(&subscribe.target))
                }
                CopyDirection::FromStdin { table, columns } => {
                    format!("{} {columns:?} from stdin", table.name)
                }
            };
            let (format, header) = (copy.format, copy.header);
            format!(
                "copy {direction} {format:?} header={header} {:?} {:?}",
                copy.delimiter, copy.null
            )
        }
        other => format!("{other:?}"),
    };
    let _ = writeln!(out, "{text}");
}

fn target(target: &SubscribeTarget) -> String {
    match target {
        SubscribeTarget::Relation(name) => format!("subscribe to {}", name.name),
        SubscribeTarget::Query {
            query,
            query_offset,
        } => format!("subscribe to query at {query_offset}: {query}"),
    }
}

fn rest(subscribe: &rtsap_planner::statement::SubscribeStatement) -> String {
    let (snapshot, progress) = (subscribe.snapshot, subscribe.progress);
    format!(
        "snapshot={snapshot} progress={progress} envelope={:?} up_to={:?}",
        subscribe.envelope, subscribe.up_to
    )
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn statements_give_what_the_goldens_say() {
    let rewrite = std::env::var_os("REWRITE").is_some();
    let mut wrong = String::new();
    let mut count = 0;
    for file in files() {
        let text = std::fs::read_to_string(&file).unwrap();
        let mut runner = Runner {
            catalog: CatalogSnapshot::default(),
            functions: Functions::default(),
        };
        let mut written = String::new();
        for case in read_cases(&text) {
            count += 1;
            let found = runner.run(&case);
            let _ = write!(written, "# {}\n{}\n----\n{found}\n\n", case.name, case.sql);
            if found != case.answer {
                let name = file.file_stem().unwrap().to_string_lossy();
                let _ = write!(
                    wrong,
                    "\n{name}: {}\n{}\nwanted:\n{}\nfound:\n{found}\n",
                    case.name, case.sql, case.answer
                );
            }
        }
        if rewrite {
            std::fs::write(&file, format!("{}\n", written.trim_end())).unwrap();
        }
    }
    assert!(rewrite || wrong.is_empty(), "{wrong}");
    assert!(count >= 120, "{count} cases");
}
