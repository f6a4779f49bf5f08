//! Takes messages from librdkafka's queues in batches. Owns every call to the C library that the
//! `rdkafka` crate does not offer; decides nothing about where to start or what an error is worth.
//!
//! Each partition has its own queue, so a batch never mixes partitions and one busy partition
//! cannot starve another. A callback on each queue raises one [`Signal`] when the queue turns
//! non-empty: an idle reader sleeps on it and burns no CPU, and a message is seen as soon as it is
//! there. (`rd_kafka_consume_batch_queue` with a timeout would wait until the batch is full.)
#![expect(
    unsafe_code,
    reason = "batch consumption from partition queues exists only in librdkafka's C interface"
)]

use std::ffi::{CStr, CString, c_void};
use std::ptr::NonNull;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka_sys as sys;
use rdkafka_sys::types::{RDKafka, RDKafkaMessage, RDKafkaQueue, RDKafkaRespErr};
use rtsap_stream::error::ConnectorError;
use rtsap_stream::source::{Offset, RawBatch};

use super::client::Client;

/// Where the C library writes its pointers; empty between calls.
#[derive(Default)]
pub(super) struct Pointers(Vec<*mut RDKafkaMessage>);

// SAFETY: it holds no pointer between calls of `Queue::take`.
unsafe impl Send for Pointers {}

/// What one look into a queue brought.
pub(super) struct Taken {
    /// The messages, if there is at least one.
    pub(super) batch: Option<KafkaBatch>,
    /// The offset after everything seen, the end of the partition included.
    pub(super) next: i64,
    /// The first error between them, with librdkafka's words.
    pub(super) failure: Option<(RDKafkaErrorCode, String)>,
}

/// The queue of one partition, detached from the client's common queue.
pub(super) struct Queue {
    pointer: NonNull<RDKafkaQueue>,
    /// Kept alive for the callback, which holds a plain pointer to it.
    _signal: Arc<Signal>,
    /// Kept alive because the queue must not outlive it.
    client: Arc<Client>,
}

// SAFETY: librdkafka's queues may be used from any thread.
unsafe impl Send for Queue {}

impl Queue {
    /// Opens the queue of `partition`, before the partition is assigned, and lets it raise
    /// `signal`.
    pub(super) fn open(
        client: &Arc<Client>,
        topic: &str,
        partition: i32,
        signal: &Arc<Signal>,
    ) -> Result<Self, ConnectorError> {
        let name = CString::new(topic).map_err(|error| {
            ConnectorError::invalid(format!("topic \"{}\" is not a name", topic.escape_debug()))
                .with_source(error)
        })?;
        let native = client.client().native_ptr();
        // SAFETY: `native` lives as long as `client`, `name` as long as the call.
        let pointer =
            unsafe { sys::rd_kafka_queue_get_partition(native, name.as_ptr(), partition) };
        let Some(pointer) = NonNull::new(pointer) else {
            return Err(ConnectorError::unavailable(format!(
                "cannot open the queue of topic \"{topic}\" partition {partition}"
            )));
        };
        let queue = Self {
            pointer,
            _signal: Arc::clone(signal),
            client: Arc::clone(client),
        };
        // SAFETY: the queue is ours. The opaque pointer is to the signal that `queue` keeps alive,
        // and the callback is disabled in `drop`, under the queue's lock, before the signal is
        // released.
        unsafe {
            sys::rd_kafka_queue_forward(pointer.as_ptr(), std::ptr::null_mut());
            sys::rd_kafka_queue_cb_event_enable(
                pointer.as_ptr(),
                Some(on_nonempty),
                Arc::as_ptr(signal).cast_mut().cast(),
            );
        }
        Ok(queue)
    }

    /// Takes up to `rows_max` waiting messages, only those before the offset `end`. Never waits;
    /// `None` if nothing was there.
    pub(super) fn take(
        &mut self,
        pointers: &mut Pointers,
        rows_max: usize,
        end: Option<i64>,
    ) -> Option<Taken> {
        self.consume(&mut pointers.0, rows_max);
        if pointers.0.is_empty() {
            return None;
        }
        let mut messages = Vec::with_capacity(pointers.0.len());
        let mut taken = Taken {
            batch: None,
            next: -1,
            failure: None,
        };
        for pointer in pointers.0.drain(..) {
            let Some(message) = NonNull::new(pointer).map(Message) else {
                continue;
            };
            match message.error() {
                None if end.is_some_and(|end| message.offset() >= end) => {
                    taken.next = taken.next.max(message.offset());
                }
                None => {
                    taken.next = taken.next.max(message.offset() + 1);
                    messages.push(message);
                }
                // Its offset is the end of the partition, behind any control record.
                Some(RDKafkaErrorCode::PartitionEOF) => {
                    taken.next = taken.next.max(message.offset());
                }
                Some(code) => {
                    taken
                        .failure
                        .get_or_insert_with(|| (code, message.error_text()));
                }
            }
        }
        if !messages.is_empty() {
            taken.batch = Some(KafkaBatch {
                messages,
                _client: Arc::clone(&self.client),
            });
        }
        Some(taken)
    }

    /// Moves up to `rows_max` waiting messages into `pointers`, which is empty before.
    fn consume(&mut self, pointers: &mut Vec<*mut RDKafkaMessage>, rows_max: usize) {
        pointers.reserve(rows_max);
        // SAFETY: the queue is alive; the vector is empty and has room for `rows_max` pointers, of
        // which the call fills the first `count`; each is from then on ours to destroy, once.
        unsafe {
            let count = sys::rd_kafka_consume_batch_queue(
                self.pointer.as_ptr(),
                0,
                pointers.as_mut_ptr(),
                rows_max,
            );
            pointers.set_len(usize::try_from(count).unwrap_or(0).min(rows_max));
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: the queue is alive and ours; after the first call no callback runs any more.
        unsafe {
            sys::rd_kafka_queue_cb_event_enable(self.pointer.as_ptr(), None, std::ptr::null_mut());
            sys::rd_kafka_queue_destroy(self.pointer.as_ptr());
        }
    }
}

/// Called by a librdkafka thread, with the queue's lock held, when a queue turns non-empty.
unsafe extern "C" fn on_nonempty(_client: *mut RDKafka, signal: *mut c_void) {
    // SAFETY: the pointer is the one given in `Queue::open`, which stays valid while the callback
    // is enabled.
    let signal = unsafe { &*signal.cast::<Signal>() };
    signal.raise();
}

/// A message, destroyed on drop. Lives no longer than the client: it leaves this file only inside a
/// [`KafkaBatch`].
struct Message(NonNull<RDKafkaMessage>);

impl Message {
    fn native(&self) -> &RDKafkaMessage {
        // SAFETY: the pointer came from librdkafka and is ours alone until `drop`; nobody changes
        // what is behind it.
        unsafe { self.0.as_ref() }
    }

    fn offset(&self) -> i64 {
        self.native().offset
    }

    fn error(&self) -> Option<RDKafkaErrorCode> {
        let code = self.native().err;
        (code != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR).then(|| code.into())
    }

    /// librdkafka's words for the error.
    fn error_text(&self) -> String {
        // SAFETY: the message is alive; the text, if any, is a C string that lives as long as it.
        unsafe {
            let text = sys::rd_kafka_message_errstr(self.0.as_ptr());
            if text.is_null() {
                String::new()
            } else {
                CStr::from_ptr(text).to_string_lossy().into()
            }
        }
    }

    fn payload(&self) -> Option<&[u8]> {
        let native = self.native();
        // SAFETY: librdkafka gives a pointer to `len` bytes that live as long as the message, or
        // null for none.
        unsafe { slice(native.payload, native.len) }
    }

    fn key(&self) -> Option<&[u8]> {
        let native = self.native();
        // SAFETY: as in `payload`.
        unsafe { slice(native.key, native.key_len) }
    }

    /// The broker's timestamp in milliseconds.
    fn timestamp_ms(&self) -> Option<i64> {
        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is alive and `kind` is a valid place to write to.
        let ms = unsafe { sys::rd_kafka_message_timestamp(self.0.as_ptr(), &raw mut kind) };
        (ms >= 0).then_some(ms)
    }

    fn headers(&self) -> Vec<(String, Option<Vec<u8>>)> {
        let mut found = Vec::new();
        let mut headers = std::ptr::null_mut();
        // SAFETY: the message is alive and keeps its headers; name and value of each live as long
        // as they, the name is a C string, and the value has `length` bytes.
        unsafe {
            let code = sys::rd_kafka_message_headers(self.0.as_ptr(), &raw mut headers);
            if code != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
                return found;
            }
            let (mut name, mut value, mut length) = (std::ptr::null(), std::ptr::null(), 0);
            while sys::rd_kafka_header_get_all(
                headers,
                found.len(),
                &raw mut name,
                &raw mut value,
                &raw mut length,
            ) == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR
            {
                let name = CStr::from_ptr(name).to_string_lossy().into_owned();
                found.push((name, slice(value.cast_mut(), length).map(<[u8]>::to_vec)));
            }
        }
        found
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: the message is ours and destroyed only here; its client is still alive.
        unsafe { sys::rd_kafka_message_destroy(self.0.as_ptr()) }
    }
}

/// The `length` bytes at `start`, or `None` if it is null.
///
/// # Safety
/// A pointer that is not null must be valid for `length` bytes during `'a`.
unsafe fn slice<'a>(start: *mut c_void, length: usize) -> Option<&'a [u8]> {
    let start = NonNull::new(start.cast::<u8>())?;
    // SAFETY: the caller's promise.
    Some(unsafe { std::slice::from_raw_parts(start.as_ptr(), length) })
}

/// Messages of one partition, still in librdkafka's buffers. Never empty.
pub(super) struct KafkaBatch {
    /// Declared, and so dropped, before the client.
    messages: Vec<Message>,
    _client: Arc<Client>,
}

// SAFETY: librdkafka's messages belong to no thread: they may be read and destroyed by any, one at
// a time.
unsafe impl Send for KafkaBatch {}

impl RawBatch for KafkaBatch {
    fn len(&self) -> usize {
        self.messages.len()
    }

    fn payload(&self, index: usize) -> Option<&[u8]> {
        self.messages[index].payload()
    }

    fn key(&self, index: usize) -> Option<&[u8]> {
        self.messages[index].key()
    }

    fn timestamp(&self, index: usize) -> Option<i64> {
        self.messages[index]
            .timestamp_ms()
            .map(|ms| ms.saturating_mul(1_000))
    }

    fn offset(&self, index: usize) -> Offset {
        Offset(self.messages[index].offset().cast_unsigned())
    }

    fn headers(&self, index: usize) -> Vec<(String, Option<Vec<u8>>)> {
        self.messages[index].headers()
    }

    fn resume_at(&self) -> Offset {
        let last = self
            .messages
            .last()
            .map_or(0, |message| message.offset() + 1);
        Offset(last.cast_unsigned())
    }
}

/// Messages that were counted, and the bytes of their payloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Messages.
    pub messages: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
}

/// Counts what comes to the common queue of `client` within `wait`, unread, and destroys it. This
/// is the least that any consumer on librdkafka must do.
pub(super) fn count_messages(client: &Client, wait: Duration, counted: &mut Counted) {
    let wait_ms = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the queue is taken and given back here, while `client` is alive; the callback runs
    // only during the call, on this thread, with the pointer to `counted`, which nobody else uses.
    unsafe {
        let queue = sys::rd_kafka_queue_get_consumer(client.client().native_ptr());
        if queue.is_null() {
            return;
        }
        let counted: *mut Counted = counted;
        sys::rd_kafka_consume_callback_queue(queue, wait_ms, Some(on_message), counted.cast());
        sys::rd_kafka_queue_destroy(queue);
    }
}

/// Called by `rd_kafka_consume_callback_queue` for each message, which stays librdkafka's.
unsafe extern "C" fn on_message(message: *mut RDKafkaMessage, counted: *mut c_void) {
    // SAFETY: both pointers are valid during the call; see `count_messages`.
    let (message, counted) = unsafe { (&*message, &mut *counted.cast::<Counted>()) };
    if message.err == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
        counted.messages += 1;
        counted.bytes += message.len as u64;
    }
}

/// The id that the brokers gave `topic` when it was created, as they print it: another one means
/// that it was deleted and created again. `None` if nobody there can say.
///
/// # Errors
/// The broker's code, or `RequestTimedOut` if none answers within `wait`.
pub(super) fn topic_id(
    client: &Client,
    topic: &str,
    wait: Duration,
) -> Result<Option<String>, RDKafkaErrorCode> {
    let Ok(name) = CString::new(topic) else {
        return Ok(None);
    };
    let wait_ms = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
    let native = client.client().native_ptr();
    // The controller is asked. librdkafka's mock names one that is not there: asking waits in vain.
    let metadata = client.fetch_metadata(Some(topic), wait);
    let metadata = metadata.map_err(|error| {
        let code = error.rdkafka_error_code();
        code.unwrap_or(RDKafkaErrorCode::RequestTimedOut)
    })?;
    // SAFETY: the client is alive.
    let controller = unsafe { sys::rd_kafka_controllerid(native, wait_ms) };
    if !metadata
        .brokers()
        .iter()
        .any(|broker| broker.id() == controller)
    {
        return Ok(None);
    }
    // SAFETY: everything that is made here is destroyed here, after its last use, while `client` is
    // alive: the answer's topics and their ids live as long as the event. The name outlives the
    // call that copies it.
    unsafe {
        let queue = sys::rd_kafka_queue_new(native);
        let mut names = [name.as_ptr()];
        let topics = sys::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), 1);
        let operation = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
        let options = sys::rd_kafka_AdminOptions_new(native, operation);
        let mut text = [0; 128];
        let (text, room) = (text.as_mut_ptr(), text.len());
        // A time that it does not take leaves its own, which is longer than anybody waits here.
        sys::rd_kafka_AdminOptions_set_request_timeout(options, wait_ms, text, room);
        sys::rd_kafka_DescribeTopics(native, topics, options, queue);
        let event = sys::rd_kafka_queue_poll(queue, wait_ms);
        let id = if event.is_null() {
            Err(RDKafkaErrorCode::RequestTimedOut)
        } else {
            let id = described_id(event);
            sys::rd_kafka_event_destroy(event);
            id
        };
        sys::rd_kafka_AdminOptions_destroy(options);
        sys::rd_kafka_TopicCollection_destroy(topics);
        sys::rd_kafka_queue_destroy(queue);
        id
    }
}

/// The id of the one topic that `event` describes.
///
/// # Safety
/// `event` must be alive.
unsafe fn described_id(
    event: *mut sys::rd_kafka_event_t,
) -> Result<Option<String>, RDKafkaErrorCode> {
    // SAFETY: the event is alive, by the caller's promise, and what is read here belongs to it; the
    // id's text belongs to the id.
    unsafe {
        let error = sys::rd_kafka_event_error(event);
        if error != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return match RDKafkaErrorCode::from(error) {
                // A broker from before topics had ids.
                RDKafkaErrorCode::UnsupportedFeature | RDKafkaErrorCode::UnsupportedVersion => {
                    Ok(None)
                }
                code => Err(code),
            };
        }
        let result = sys::rd_kafka_event_DescribeTopics_result(event);
        if result.is_null() {
            return Ok(None);
        }
        let mut count = 0;
        let topics = sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        if topics.is_null() || count == 0 {
            return Ok(None);
        }
        let error = sys::rd_kafka_error_code(sys::rd_kafka_TopicDescription_error(*topics));
        if error != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(RDKafkaErrorCode::from(error));
        }
        let id = sys::rd_kafka_TopicDescription_topic_id(*topics);
        let is_zero = id.is_null()
            || (sys::rd_kafka_Uuid_most_significant_bits(id) == 0
                && sys::rd_kafka_Uuid_least_significant_bits(id) == 0);
        if is_zero {
            return Ok(None);
        }
        let text = sys::rd_kafka_Uuid_base64str(id);
        let text = (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned());
        Ok(text)
    }
}

/// One bit that a thread can sleep on.
#[derive(Default)]
pub(super) struct Signal {
    raised: Mutex<bool>,
    changed: Condvar,
}

impl Signal {
    pub(super) fn raise(&self) {
        *self.raised.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_one();
    }

    pub(super) fn clear(&self) {
        *self.raised.lock().unwrap_or_else(PoisonError::into_inner) = false;
    }

    /// Sleeps until the signal is raised (true) or the time is up (false).
    pub(super) fn wait_until(&self, deadline: Instant) -> bool {
        let mut raised = self.raised.lock().unwrap_or_else(PoisonError::into_inner);
        while !*raised {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                return false;
            };
            if left.is_zero() {
                return false;
            }
            let waited = self.changed.wait_timeout(raised, left);
            raised = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}
