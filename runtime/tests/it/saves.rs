//! What a checkpoint chain does with the state of an operator: a base, deltas behind it, and back.

use rtsap_runtime::operator::Operator;
use rtsap_runtime::state::layers::Layers;
use rtsap_runtime::state::{StateReader, StateWriter, decode, encode};

/// Snapshots of one writer, each as the bytes of an object.
#[derive(Default)]
pub struct Saves {
    objects: Vec<Vec<u8>>,
}

impl Saves {
    /// Lets `write` write a base, or after the first time a delta.
    pub fn write(&mut self, write: impl FnOnce(&mut StateWriter)) {
        let mut writer = match self.objects.is_empty() {
            true => StateWriter::default(),
            false => StateWriter::delta(),
        };
        write(&mut writer);
        let sections = writer.into_sections();
        self.objects.push(encode(&sections).unwrap());
    }

    /// Saves `operator`, right after a publish.
    pub fn save(&mut self, operator: &mut dyn Operator) {
        self.write(|writer| {
            writer.open_scope("7/");
            writer.set_prefix("7/".to_owned());
            operator.snapshot(writer).unwrap();
        });
    }

    /// What a restart finds; the next snapshot is a base.
    pub fn restart(&mut self) -> StateReader {
        let mut objects = self.objects.drain(..).map(|bytes| decode(&bytes).unwrap());
        let mut layers = Layers::new(objects.next().unwrap_or_default());
        for delta in objects {
            layers.add(delta).unwrap();
        }
        layers.finish().unwrap()
    }
}
