//! What a runtime that has ended answers to those who still ask.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Context;
use std::time::Duration;

use object_store::memory::InMemory;
use rtsap_runtime::clock::{Clock, SystemClock};
use rtsap_runtime::config::RuntimeConfig;
use rtsap_runtime::error::RuntimeError;
use rtsap_runtime::handle::Runtime;
use rtsap_stream::time::WallTime;

type Asking = Pin<Box<dyn Future<Output = Result<(), RuntimeError>> + Send>>;

/// Asks something whenever the core looks at the time, and so also in its last turn, after it has
/// taken its messages.
#[derive(Default)]
struct Asker {
    clock: SystemClock,
    runtime: Mutex<Option<Runtime>>,
    asked: Mutex<Vec<Asking>>,
}

impl Clock for Asker {
    fn wall(&self) -> WallTime {
        self.clock.wall()
    }

    fn elapsed(&self) -> Duration {
        if let Some(runtime) = self.runtime.lock().unwrap().clone() {
            let mut asking: Asking = Box::pin(async move { runtime.flush().await });
            let mut context = Context::from_waker(std::task::Waker::noop());
            if asking.as_mut().poll(&mut context).is_pending() {
                self.asked.lock().unwrap().push(asking);
            }
        }
        self.clock.elapsed()
    }
}

#[tokio::test]
async fn a_question_in_the_last_turn_is_answered() {
    let store = Arc::new(InMemory::new());
    let asker = Arc::new(Asker::default());
    let mut config = RuntimeConfig::new(Arc::<InMemory>::clone(&store));
    config.clock = Arc::<Asker>::clone(&asker);
    config.driven = true;
    let old = Runtime::open(config).await.unwrap();
    old.start().await.unwrap();
    assert!(old.turn());

    let config = RuntimeConfig::new(store);
    let new = Runtime::open(config).await.unwrap();
    new.start().await.unwrap();

    *asker.runtime.lock().unwrap() = Some(old.clone());
    let mut checkpoint = Box::pin(old.checkpoint());
    let fenced = async {
        while old.turn() {
            let _ = futures::poll!(&mut checkpoint);
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), fenced)
        .await
        .unwrap();
    *asker.runtime.lock().unwrap() = None;

    let asked = std::mem::take(&mut *asker.asked.lock().unwrap());
    assert!(!asked.is_empty());
    let answers = futures::future::join_all(asked);
    let answers = tokio::time::timeout(Duration::from_secs(60), answers).await;
    let answers = answers.expect("a question that is never answered");
    assert!(matches!(answers.last(), Some(Err(_))));
    assert!(matches!(old.flush().await, Err(RuntimeError::Fenced)));
    assert!(matches!(checkpoint.await, Err(RuntimeError::Fenced)));
    new.stop().await.unwrap();
}
