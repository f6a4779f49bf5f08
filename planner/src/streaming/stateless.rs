//! Nodes that remember nothing: input, projection, filter, union.

use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::common::DFSchema;
use datafusion::logical_expr::logical_plan::{Filter, Projection, Union};
use datafusion::logical_expr::{Expr, LogicalPlan, Operator, TableScan};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, binary, lit};
use datafusion::scalar::ScalarValue;
use rtsap_catalog::object::ObjectKind;
use rtsap_catalog::snapshot::CatalogObject;
use rtsap_plan::graph::NodeIndex;
use rtsap_plan::operator::{Emit, ObjectId, OperatorSpec};
use rtsap_plan::properties::{StateBound, StreamProperties};
use rtsap_stream::change::ChangelogMode;

use crate::bind::view::{LatePolicy, ViewStart};
use crate::error::PlanError;
use crate::logical::scope::StreamTable;
use crate::streaming::in_order::in_order;
use crate::streaming::{Compiler, Twin, arrow_schema};

impl Compiler<'_> {
    /// A relation's rows with the columns that are used. Key columns of a relation whose rows
    /// change come along hidden, behind the others: without them nothing can tell which row
    /// changed.
    pub(super) fn input(&mut self, scan: &TableScan) -> Result<NodeIndex, PlanError> {
        let Some(table) = scan.source.downcast_ref::<StreamTable>() else {
            return Err(PlanError::internal(format!(
                "{} is no relation",
                scan.table_name
            )));
        };
        let relation = &table.relation;
        let all = || (0..relation.schema.fields().len()).collect();
        let mut columns: Vec<usize> = scan.projection.clone().unwrap_or_else(all);
        if relation.mode != ChangelogMode::Append {
            let missing: Vec<usize> = relation
                .key
                .iter()
                .copied()
                .filter(|key| !columns.contains(key))
                .collect();
            columns.extend(missing);
        }
        let wanted = columns.len();
        if relation.mode == ChangelogMode::Append && self.asks_for_time() {
            columns.extend(relation.event_time.filter(|time| !columns.contains(time)));
        }
        let place = |column: &usize| columns.iter().position(|kept| kept == column);
        let fields = columns.iter().map(|index| {
            let field = relation.schema.field(*index);
            Field::new(field.name(), field.data_type().clone(), field.is_nullable())
        });
        let properties = StreamProperties {
            schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
            mode: relation.mode,
            key: relation.key.iter().filter_map(place).collect(),
            event_time: relation.event_time.as_ref().and_then(place),
            state: StateBound::None,
        };
        let columns_found = columns.len();
        self.depends_on.insert(table.id);
        let (object, name) = (ObjectId(table.id), table.name.clone());
        let spec = OperatorSpec::Input {
            object,
            name,
            columns,
        };
        let of_source =
            |object: &Arc<CatalogObject>| matches!(object.def.kind, ObjectKind::Source(_));
        let replaces = relation.mode == ChangelogMode::Upsert
            && self.catalog.by_id(table.id).is_some_and(of_source);
        let input = self.push(spec, vec![], properties.clone());
        if relation.mode == ChangelogMode::Append {
            let started = self.started(input)?;
            let in_time = self.in_time(started);
            return Ok(match columns_found > wanted {
                true => self.first_columns(in_time, wanted),
                false => in_time,
            });
        }
        if !replaces {
            return Ok(input);
        }
        // Payloads say what is now, not what was: what was must be remembered.
        let key = properties.key.clone();
        let properties = StreamProperties {
            state: StateBound::PerKey,
            ..properties
        };
        Ok(self.push(OperatorSpec::LatestByKey { key }, vec![input], properties))
    }

    /// Whether rows of sources are chosen by their event time, used or not.
    fn asks_for_time(&self) -> bool {
        self.late == LatePolicy::Source || matches!(self.start, ViewStart::At(_))
    }

    /// The rows of `input` from the view's start on.
    fn started(&mut self, input: NodeIndex) -> Result<NodeIndex, PlanError> {
        let ViewStart::At(nanos) = self.start else {
            return Ok(input);
        };
        let properties = self.properties(input).clone();
        let Some(time) = properties.event_time else {
            let error = PlanError::unsupported("start_from a time over rows without event time");
            return Err(error.hint("Declare WATERMARK FOR the time column, or write WHERE."));
        };
        let field = properties.schema.field(time);
        let start = ScalarValue::TimestampNanosecond(Some(nanos), None);
        let start = start.cast_to(field.data_type());
        let start = start.map_err(|error| self.ours(&error))?;
        let column = Arc::new(Column::new(field.name(), time)) as Arc<dyn PhysicalExpr>;
        let predicate = binary(column, Operator::GtEq, lit(start), &properties.schema);
        let predicate = predicate.map_err(|error| self.ours(&error))?;
        let spec = OperatorSpec::Filter { predicate };
        Ok(self.push(spec, vec![input], properties))
    }

    /// The rows of `input` that are not late for their source, if that is what late means.
    fn in_time(&mut self, input: NodeIndex) -> NodeIndex {
        let properties = self.properties(input).clone();
        match (self.late, properties.event_time) {
            (LatePolicy::Source, Some(time)) => {
                self.push(OperatorSpec::InTime { time }, vec![input], properties)
            }
            _ => input,
        }
    }

    pub(super) fn project(
        &mut self,
        projection: &Projection,
        emit: Emit,
    ) -> Result<NodeIndex, PlanError> {
        if let LogicalPlan::Filter(filter) = &*projection.input
            && let Some(node) = self.top_n(filter, Some(projection), emit)?
        {
            return Ok(node);
        }
        let input = self.node(&projection.input, emit)?;
        self.project_onto(
            input,
            &projection.expr,
            projection.input.schema(),
            &projection.schema,
        )
    }

    /// Projects node `input`, whose visible columns are `from`, to `exprs`. Key columns that are
    /// not among them come along hidden, behind the others: an aggregation above may do without, a
    /// view's result may not.
    pub(super) fn project_onto(
        &mut self,
        input: NodeIndex,
        exprs: &[Expr],
        from: &DFSchema,
        to: &DFSchema,
    ) -> Result<NodeIndex, PlanError> {
        let before = self.properties(input).clone();
        let mut sources: Vec<Option<usize>> =
            exprs.iter().map(|expr| source_column(expr, from)).collect();
        let key = self.kept_key(input, &sources);
        let mut fields: Vec<Field> = Vec::with_capacity(exprs.len());
        for (field, source) in to.fields().iter().zip(&sources) {
            // A column that is passed on is null only where it was.
            let nullable = source.map_or(field.is_nullable(), |index| {
                before.schema.field(index).is_nullable()
            });
            let of = field.data_type().clone();
            fields.push(Field::new(field.name(), of, nullable));
        }
        let physical = exprs.iter().map(|expr| self.physical(expr, from));
        let mut exprs = physical.collect::<Result<Vec<_>, _>>()?;
        for key in &key {
            if !sources.contains(&Some(*key)) {
                let field = before.schema.field(*key);
                exprs.push(Arc::new(Column::new(field.name(), *key)));
                fields.push(field.clone());
                sources.push(Some(*key));
            }
        }
        let schema = Arc::new(Schema::new(fields));
        let mut places = sources.iter().enumerate();
        let same = places.all(|(index, source)| *source == Some(index));
        if same && schema == before.schema {
            return Ok(input);
        }
        let place = |column: usize| sources.iter().position(|source| *source == Some(column));
        let twins = self.twins(input).iter();
        let twins = twins.filter_map(|twin| {
            Some(Twin {
                column: place(twin.column)?,
                ..*twin
            })
        });
        let twins: Vec<Twin> = twins.collect();
        let event_time = before
            .event_time
            .and_then(place)
            .or_else(|| self.later_twin(input, &twins))
            .or_else(|| self.other_time(input, &sources));
        let properties = StreamProperties {
            schema,
            mode: before.mode,
            key: distinct(key.iter().filter_map(|key| place(*key)).collect()),
            event_time,
            state: StateBound::None,
        };
        let node = self.push(OperatorSpec::Project { exprs }, vec![input], properties);
        self.set_twins(node, twins);
        Ok(node)
    }

    /// The key of `node` as columns among `sources`, where it can be: a twin says the same. Rows
    /// that are taken back as they were need none.
    fn kept_key(&self, node: NodeIndex, sources: &[Option<usize>]) -> Vec<usize> {
        let before = self.properties(node);
        let key = before.key.iter();
        let key: Vec<usize> = key.map(|key| self.kept_twin(node, *key, sources)).collect();
        let lost = !key.iter().all(|key| sources.contains(&Some(*key)));
        if lost && before.mode == ChangelogMode::Retract {
            // Rows are told apart by all their columns.
            return Vec::new();
        }
        key
    }

    /// A key column, or a bound of the same window that is among `sources` where the key column is
    /// not.
    fn kept_twin(&self, node: NodeIndex, key: usize, sources: &[Option<usize>]) -> usize {
        let twins = self.twins(node);
        if sources.contains(&Some(key)) || !twins.iter().any(|twin| twin.column == key) {
            return key;
        }
        let kept = twins
            .iter()
            .find(|twin| sources.contains(&Some(twin.column)));
        kept.map_or(key, |twin| twin.column)
    }

    /// A bound among `kept` that is not before the event time of `node`: what watermarks promise
    /// holds for it as well.
    fn later_twin(&self, node: NodeIndex, kept: &[Twin]) -> Option<usize> {
        let event_time = self.properties(node).event_time?;
        let rank = self
            .twins(node)
            .iter()
            .find(|twin| twin.column == event_time)?
            .rank;
        let later = kept.iter().filter(|twin| twin.rank >= rank);
        later.min_by_key(|twin| twin.rank).map(|twin| twin.column)
    }

    pub(super) fn filter(&mut self, filter: &Filter, emit: Emit) -> Result<NodeIndex, PlanError> {
        if let Some(node) = self.top_n(filter, None, emit)? {
            return Ok(node);
        }
        let input = self.node(&filter.input, emit)?;
        self.filter_onto(input, &filter.predicate, filter.input.schema())
    }

    /// Filters node `input`, whose visible columns are `schema`. On an edge whose rows change, a
    /// row that passes no longer becomes a delete: the runtime's filter does that, so the mode
    /// stays.
    pub(super) fn filter_onto(
        &mut self,
        input: NodeIndex,
        predicate: &Expr,
        schema: &DFSchema,
    ) -> Result<NodeIndex, PlanError> {
        let predicate = self.physical(predicate, schema)?;
        let predicate = in_order(predicate, schema.as_arrow()).map_err(|e| self.ours(&e))?;
        let properties = StreamProperties {
            state: StateBound::None,
            ..self.properties(input).clone()
        };
        let twins = self.twins(input).to_vec();
        let node = self.push(OperatorSpec::Filter { predicate }, vec![input], properties);
        self.set_twins(node, twins);
        Ok(node)
    }

    pub(super) fn union(&mut self, union: &Union, emit: Emit) -> Result<NodeIndex, PlanError> {
        let schema = arrow_schema(&union.schema);
        let mut inputs = Vec::with_capacity(union.inputs.len());
        let mut changes = false;
        let mut event_times = Vec::with_capacity(union.inputs.len());
        for plan in &union.inputs {
            let mut input = self.node(plan, emit)?;
            if self.properties(input).mode != ChangelogMode::Append {
                changes = true;
                input = self.without_key(input, plan.schema().fields().len());
            }
            event_times.push(self.properties(input).event_time);
            inputs.push(self.with_schema(input, &schema)?);
        }
        if changes {
            event_times.clear();
        }
        let first = event_times.first().copied().flatten();
        let event_time = first.filter(|first| event_times.iter().all(|time| *time == Some(*first)));
        let properties = StreamProperties {
            schema,
            mode: match changes {
                true => ChangelogMode::Retract,
                false => ChangelogMode::Append,
            },
            key: Vec::new(),
            event_time,
            state: StateBound::None,
        };
        Ok(self.push(OperatorSpec::Union, inputs, properties))
    }

    /// The `columns` visible columns of rows that change, without what identifies them: their
    /// changes come as whole rows.
    pub(super) fn without_key(&mut self, input: NodeIndex, columns: usize) -> NodeIndex {
        let node = self.first_columns(input, columns);
        let properties = &mut self.nodes[node].properties;
        properties.mode = ChangelogMode::Retract;
        properties.key.clear();
        node
    }

    /// The first `columns` columns of `input`.
    fn first_columns(&mut self, input: NodeIndex, columns: usize) -> NodeIndex {
        let before = self.properties(input).clone();
        let fields = before.schema.fields().iter().take(columns);
        let fields: Vec<_> = fields.map(Arc::clone).collect();
        let exprs = fields.iter().enumerate().map(|(index, field)| {
            Arc::new(Column::new(field.name(), index)) as Arc<dyn PhysicalExpr>
        });
        let exprs = exprs.collect();
        let properties = StreamProperties {
            schema: Arc::new(Schema::new(fields)),
            event_time: before.event_time.filter(|time| *time < columns),
            state: StateBound::None,
            ..before
        };
        if let OperatorSpec::Project { exprs } = &mut self.nodes[input].spec {
            exprs.truncate(columns);
            self.nodes[input].properties = properties;
            return input;
        }
        let spec = OperatorSpec::Project { exprs };
        self.push(spec, vec![input], properties)
    }

    /// The same rows under the field names and nullability of `schema`.
    pub(super) fn with_schema(
        &mut self,
        input: NodeIndex,
        schema: &Arc<Schema>,
    ) -> Result<NodeIndex, PlanError> {
        let before = self.properties(input).clone();
        if before.schema == *schema {
            return Ok(input);
        }
        let types = |schema: &Schema| -> Vec<_> {
            schema
                .fields()
                .iter()
                .map(|field| field.data_type().clone())
                .collect()
        };
        if types(&before.schema) != types(schema) {
            return Err(PlanError::internal("inputs of a union differ in type"));
        }
        if let OperatorSpec::Project { .. } = self.nodes[input].spec {
            self.nodes[input].properties.schema = Arc::clone(schema);
            return Ok(input);
        }
        let fields = before.schema.fields().iter().enumerate();
        let exprs = fields.map(|(index, field)| {
            Arc::new(Column::new(field.name(), index)) as Arc<dyn PhysicalExpr>
        });
        let spec = OperatorSpec::Project {
            exprs: exprs.collect(),
        };
        let properties = StreamProperties {
            schema: Arc::clone(schema),
            state: StateBound::None,
            ..before
        };
        Ok(self.push(spec, vec![input], properties))
    }
}

/// Bounds of one window may stand for each other, and then one is enough.
fn distinct(mut key: Vec<usize>) -> Vec<usize> {
    let mut seen = std::collections::HashSet::new();
    key.retain(|column| seen.insert(*column));
    key
}

/// The input column that an expression passes on unchanged.
fn source_column(expr: &Expr, schema: &DFSchema) -> Option<usize> {
    match expr {
        Expr::Alias(alias) => source_column(&alias.expr, schema),
        Expr::Column(column) => schema.maybe_index_of_column(column),
        _ => None,
    }
}
