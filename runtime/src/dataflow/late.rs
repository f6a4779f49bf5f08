//! What `<view>$late` looks like: the rows of the one input that can be late, or, where several
//! can, one relation for all of them.
//!
//! Then it says in `late_input` whose row each is, and has every column of every input once:
//! columns of one name and type are shared, a second type of a name gets a number behind it. What an
//! input does not have is null.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray, new_null_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use rtsap_plan::graph::{NodeIndex, StreamPlan};

use crate::operator::OperatorError;

/// The column that says whose row it is.
const INPUT_COLUMN: &str = "late_input";

/// How rows of each port that finds some late become rows of `<view>$late`.
pub(super) struct LateShape {
    ports: Vec<LatePort>,
    schema: Option<SchemaRef>,
}

struct LatePort {
    node: NodeIndex,
    port: usize,
    /// The relations whose rows come here.
    names: String,
    /// Where each of its columns goes; empty if rows stay as they are.
    places: Vec<usize>,
}

impl LateShape {
    pub fn of(plan: &StreamPlan) -> Self {
        let mut found = Vec::new();
        for (node, port) in plan.late_ports() {
            let input = plan.nodes[node].inputs[port];
            let names = plan.leaves(input).join(", ");
            let schema = Arc::clone(&plan.nodes[input].properties.schema);
            found.push((node, port, names, schema));
        }
        if let [(.., schema)] = found.as_slice() {
            let schema = Some(Arc::clone(schema));
            let ports = found.into_iter().map(|(node, port, names, _)| LatePort {
                node,
                port,
                names,
                places: Vec::new(),
            });
            return Self {
                ports: ports.collect(),
                schema,
            };
        }
        let mut fields = vec![Field::new(INPUT_COLUMN, DataType::Utf8, false)];
        let mut ports = Vec::with_capacity(found.len());
        for (node, port, names, schema) in found {
            let mut places = Vec::with_capacity(schema.fields().len());
            for field in schema.fields() {
                let place = place(&mut fields, &places, field);
                places.push(place);
            }
            ports.push(LatePort {
                node,
                port,
                names,
                places,
            });
        }
        let schema = (!ports.is_empty()).then(|| Arc::new(Schema::new(fields)));
        Self { ports, schema }
    }

    pub const fn schema(&self) -> Option<&SchemaRef> {
        self.schema.as_ref()
    }

    /// Late rows of a port as rows of `<view>$late`.
    pub fn rows(
        &self,
        node: NodeIndex,
        port: usize,
        rows: RecordBatch,
    ) -> Result<RecordBatch, OperatorError> {
        let known = |known: &&LatePort| known.node == node && known.port == port;
        let (Some(late), Some(schema)) = (self.ports.iter().find(known), &self.schema) else {
            // Behind a node that finds rows late none is late: its promise says so.
            return Err(OperatorError::Contract {
                operator: "Dataflow",
                found: format!(
                    "late rows at port {port} of node {node}, which takes promised ones"
                ),
            });
        };
        if late.places.is_empty() {
            return Ok(rows);
        }
        let count = rows.num_rows();
        let nulls = schema.fields().iter();
        let mut columns: Vec<ArrayRef> = nulls
            .map(|field| new_null_array(field.data_type(), count))
            .collect();
        columns[0] = Arc::new(StringArray::from_iter_values(std::iter::repeat_n(
            &late.names,
            count,
        )));
        for (column, place) in rows.columns().iter().zip(&late.places) {
            columns[*place] = Arc::clone(column);
        }
        RecordBatch::try_new(Arc::clone(schema), columns).map_err(|source| OperatorError::Arrow {
            operator: "Dataflow",
            source,
        })
    }
}

/// Where a column goes: to one of its name and type that is not `taken`, or to a new one.
fn place(fields: &mut Vec<Field>, taken: &[usize], field: &Field) -> usize {
    let mut name = field.name().clone();
    for number in 2.. {
        match fields.iter().position(|known| *known.name() == name) {
            None => break,
            Some(place)
                if fields[place].data_type() == field.data_type() && !taken.contains(&place) =>
            {
                return place;
            }
            Some(_) => name = format!("{}_{number}", field.name()),
        }
    }
    fields.push(Field::new(name, field.data_type().clone(), true));
    fields.len() - 1
}
