//! A sink that takes everything and keeps nothing: for measuring a view by itself. It has no
//! memory, so it applies no epoch twice by applying none.

use async_trait::async_trait;
use rtsap_stream::change::{ChangeBatch, ChangelogMode};
use rtsap_stream::error::{ConnectorError, ErrorKind};
use rtsap_stream::message::{Epoch, Generation};
use rtsap_stream::registry::Options;
use rtsap_stream::sink::{Sink, SinkInput, SinkReport};

use crate::options::OptionReader;

/// Checks the options and says what the sink takes: everything.
///
/// # Errors
/// `Invalid` for any option besides `connector`.
pub fn check(options: &Options) -> Result<ChangelogMode, ConnectorError> {
    let mut reader = OptionReader::new("the sink", options);
    reader.accept(&["connector"]);
    reader.finish()?;
    Ok(ChangelogMode::Retract)
}

/// The sink.
///
/// # Errors
/// As [`check`].
pub fn sink(_input: &SinkInput, options: &Options) -> Result<Box<dyn Sink>, ConnectorError> {
    check(options)?;
    Ok(Box::new(BlackHole { generation: None }))
}

struct BlackHole {
    generation: Option<Generation>,
}

#[async_trait]
impl Sink for BlackHole {
    fn accepts(&self) -> ChangelogMode {
        ChangelogMode::Retract
    }

    async fn fence(
        &mut self,
        generation: Generation,
        expected: Option<Epoch>,
    ) -> Result<SinkReport, ConnectorError> {
        if self.generation.is_some_and(|owner| owner > generation) {
            return Err(ConnectorError::new(
                ErrorKind::Fenced,
                format!("cannot take the sink for generation {generation}: a newer one owns it"),
            ));
        }
        self.generation = Some(generation);
        // It forgets everything, the last epoch too; the caller's word is all there is.
        let applied = expected.unwrap_or(Epoch::ZERO);
        Ok(SinkReport {
            target: "a black hole (nothing is kept)".to_owned(),
            applied,
        })
    }

    async fn apply(
        &mut self,
        _epoch: Epoch,
        _previous: Epoch,
        _changes: &[ChangeBatch],
    ) -> Result<(), ConnectorError> {
        Ok(())
    }
}
