//! The state of an MQTT sink: what waits, what is in flight, and what is acknowledged.
//!
//! Nothing in here blocks. A message leaves the spool when the broker has acknowledged it and every
//! message before it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use rumqttc::{AsyncClient, Event, Outgoing, Packet, QoS};

use super::super::event_queue::EventReceiver;
use super::super::line::{EventLine, LineKind, event_line};
use super::super::reporter::{SinkReporter, SpoolMeter};
use super::super::spool::{Message, Spool};
use super::plan::{Plan, Topics};
use crate::core::queue::NoItem;
use crate::stages::sink::records::event::Event as RecordEvent;

/// Maximum number of spooled messages in flight.
const MAX_IN_FLIGHT: usize = 32;
/// Requests that may wait in the client. Frames are sent only while half of that is free.
pub(super) const REQUEST_CAPACITY: usize = 256;

/// What a request is about, until it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tag {
    /// The message of the spool with this number.
    Event(u64),
    /// The last message of this stream: `offline`.
    Offline,
    /// Any request whose acknowledgement does not matter.
    Other,
}

/// The session; see the module.
pub(super) struct MqttSession {
    stream: Arc<str>,
    topics: Topics,
    pub spool: Spool,
    pub reporter: SinkReporter,
    meter: SpoolMeter,
    /// `None` while the broker is not connected.
    client: Option<AsyncClient>,
    /// Requests that the client has not sent yet, in order.
    requested: VecDeque<Tag>,
    /// Requests sent and not acknowledged, by packet identifier.
    sent: BTreeMap<u16, Tag>,
    /// Messages read from the spool, in order, and whether they are acknowledged.
    in_flight: VecDeque<(u64, bool)>,
    /// Read from the spool while the client had no room.
    unsent: Option<Message>,
    state: Option<Arc<str>>,
    state_due: bool,
    /// Events dropped since the last `dropped` line.
    dropped: u64,
    /// The hub is closed.
    pub closing: bool,
    offline_due: bool,
    /// The broker has acknowledged `offline`.
    pub done: bool,
}

impl MqttSession {
    /// A session that is not connected yet; `spool` may hold messages.
    pub(super) fn new(
        stream: Arc<str>,
        plan: &Plan,
        spool: Spool,
        reporter: SinkReporter,
        meter: SpoolMeter,
    ) -> Self {
        Self {
            stream,
            topics: plan.topics.clone(),
            spool,
            reporter,
            meter,
            client: None,
            requested: VecDeque::new(),
            sent: BTreeMap::new(),
            in_flight: VecDeque::new(),
            unsent: None,
            state: None,
            state_due: false,
            dropped: 0,
            closing: false,
            offline_due: true,
            done: false,
        }
    }

    /// Whether the broker is connected.
    pub(super) const fn is_connected(&self) -> bool {
        self.client.is_some()
    }

    /// Takes the lines that wait; `false` if the hub is closed.
    pub(super) fn take_lines(&mut self, lines: &mut EventReceiver) -> bool {
        let open = loop {
            match lines.recv_timeout(std::time::Duration::ZERO) {
                Ok(line) => self.on_line(&line),
                Err(NoItem::Empty) => break true,
                Err(NoItem::Ended) => break false,
            }
        };
        self.dropped += lines.take_dropped();
        self.pump();
        open
    }

    fn on_line(&mut self, line: &EventLine) {
        match line.kind {
            LineKind::Event | LineKind::Turn => self.spool.push(line.json.as_bytes()),
            LineKind::State => {
                self.state = Some(Arc::clone(&line.json));
                self.state_due = true;
            }
            LineKind::Frame => {
                let room = self.requested.len() < REQUEST_CAPACITY / 2;
                let topic = self.topics.frame.clone();
                let frame = line.json.as_bytes();
                if !room || !self.publish(&topic, QoS::AtMostOnce, false, frame, Tag::Other) {
                    self.reporter.count_dropped(1, "away");
                }
            }
        }
    }

    /// The broker is connected. What it had not acknowledged is sent again.
    pub(super) fn connected(&mut self, client: AsyncClient, plan: &Plan) {
        self.reset_in_flight();
        self.client = Some(client);
        self.reporter.report_working();
        for message in &plan.discovery {
            let payload = message.payload.as_bytes();
            self.publish(&message.topic, QoS::AtLeastOnce, true, payload, Tag::Other);
        }
        let available = self.topics.available.clone();
        self.publish(&available, QoS::AtLeastOnce, true, b"online", Tag::Other);
        self.state_due = self.state.is_some();
        self.offline_due = true;
        self.pump();
    }

    /// The connection is lost.
    pub(super) fn disconnected(&mut self) {
        self.reset_in_flight();
        self.client = None;
    }

    fn reset_in_flight(&mut self) {
        self.requested.clear();
        self.sent.clear();
        self.in_flight.clear();
        self.unsent = None;
        self.spool.rewind();
    }

    /// Hands the client what can be sent now.
    pub(super) fn pump(&mut self) {
        self.report_losses();
        if self.is_connected() {
            self.publish_pending();
        }
        // Also while the broker is unreachable, when messages wait.
        self.meter.set_bytes(self.spool.waiting_bytes());
    }

    fn publish_pending(&mut self) {
        if self.state_due
            && let Some(state) = self.state.clone()
        {
            let topic = self.topics.state.clone();
            self.state_due =
                !self.publish(&topic, QoS::AtLeastOnce, true, state.as_bytes(), Tag::Other);
        }
        while self.in_flight.len() < MAX_IN_FLIGHT {
            let message = self.unsent.take().or_else(|| self.spool.read_next());
            let Some(message) = message else { break };
            let (topic, tag) = (self.topics.event.clone(), Tag::Event(message.number));
            if !self.publish(&topic, QoS::AtLeastOnce, false, &message.bytes, tag) {
                self.unsent = Some(message);
                break;
            }
            self.in_flight.push_back((message.number, false));
        }
        if self.closing && self.offline_due && self.in_flight.is_empty() && self.unsent.is_none() {
            let topic = self.topics.available.clone();
            let taken = self.publish(&topic, QoS::AtLeastOnce, true, b"offline", Tag::Offline);
            self.offline_due = !taken;
        }
    }

    fn publish(&mut self, topic: &str, qos: QoS, retain: bool, payload: &[u8], tag: Tag) -> bool {
        let Some(client) = &self.client else { return false };
        let taken = client.try_publish(topic, qos, retain, payload).is_ok();
        if taken {
            self.requested.push_back(tag);
        }
        taken
    }

    /// Counts losses; once the broker is connected, they are reported in a `dropped` line.
    fn report_losses(&mut self) {
        let loss = self.spool.take_loss();
        self.reporter.count_dropped(loss.full, "spool-full");
        self.reporter.count_dropped(loss.too_large, "too-large");
        self.reporter.count_dropped(loss.damaged, "disk");
        self.dropped += loss.full + loss.too_large + loss.damaged;
        if self.dropped > 0 && self.is_connected() {
            let why = "more events than the sink could keep".to_owned();
            let sink = self.reporter.sink().to_owned();
            let event = RecordEvent::Dropped { sink, lines: self.dropped, why };
            let line = event_line(&self.stream, &event, Timestamp::now(), LineKind::Event);
            self.spool.push(line.json.as_bytes());
            self.dropped = 0;
        }
    }

    /// Handles a packet that the client has sent or received.
    pub(super) fn on_event(&mut self, event: &Event) {
        match event {
            Event::Outgoing(Outgoing::Publish(number)) => {
                let tag = self.requested.pop_front().unwrap_or(Tag::Other);
                if *number != 0 {
                    self.sent.insert(*number, tag);
                }
            }
            Event::Incoming(Packet::PubAck(ack)) => match self.sent.remove(&ack.pkid) {
                Some(Tag::Event(number)) => self.acknowledged(number),
                Some(Tag::Offline) => {
                    self.done = true;
                    if let Some(client) = &self.client {
                        let _ = client.try_disconnect();
                    }
                }
                Some(Tag::Other) | None => {}
            },
            _ => return,
        }
        self.pump();
    }

    fn acknowledged(&mut self, number: u64) {
        if let Some((_, done)) = self.in_flight.iter_mut().find(|(sent, _)| *sent == number) {
            *done = true;
        }
        let mut through = None;
        while let Some((number, true)) = self.in_flight.front().copied() {
            through = Some(number);
            self.in_flight.pop_front();
        }
        if let Some(through) = through {
            self.spool.ack(through);
        }
    }

    /// To be called about once a second: syncs the spool and reports its errors.
    pub(super) fn tick(&mut self) {
        self.spool.tick();
        if let Some(why) = self.spool.disk_error().filter(|_| self.is_connected()) {
            self.reporter.report_failure(&format!("{why}; messages wait in memory only"));
        } else if self.is_connected() {
            self.reporter.report_working();
        }
        self.pump();
    }
}
