//! The MQTT sink's books: what is to be sent, what is on its way, and what the broker has.
//!
//! Nothing in here waits. A message leaves the spool only when the broker has acknowledged it and
//! every message before it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use rumqttc::{AsyncClient, Event, Outgoing, Packet, QoS};

use super::super::hub::event_line;
use super::super::outlet::Inlet;
use super::super::spool::{Message, Spool};
use super::super::trouble::{SpoolMeter, Trouble};
use super::super::{EventLine, LineKind};
use super::plan::{Plan, Topics};
use crate::core::queue::NoItem;
use crate::stages::sink::records::event::Event as Happened;

/// Messages of the spool that may be on their way at once.
const WINDOW: usize = 32;
/// Requests that may wait in the client; frames only while half of that is free.
pub const REQUESTS: usize = 256;

/// What a request was about, until it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tag {
    /// A message of the spool.
    Event(u64),
    /// That this stream says good-bye.
    Farewell,
    /// Anything that needs no book-keeping.
    Other,
}

/// See the module.
pub struct MqttSession {
    stream: Arc<str>,
    topics: Topics,
    pub spool: Spool,
    pub trouble: Trouble,
    meter: SpoolMeter,
    /// There while the broker is.
    client: Option<AsyncClient>,
    /// Requests that the client has and has not sent, in order.
    requested: VecDeque<Tag>,
    /// Sent and not acknowledged, by packet number.
    sent: BTreeMap<u16, Tag>,
    /// Messages given by the spool, in order, and whether the broker has them.
    given: VecDeque<(u64, bool)>,
    /// Given by the spool while the client had no room.
    held: Option<Message>,
    state: Option<Arc<str>>,
    state_due: bool,
    /// Events lost since the broker was last told.
    left_out: u64,
    /// No line will come any more.
    pub closing: bool,
    farewell_due: bool,
    /// The broker knows that this stream has ended.
    pub done: bool,
}

impl MqttSession {
    /// An empty desk before a spool that may be not.
    pub fn new(
        stream: Arc<str>,
        plan: &Plan,
        spool: Spool,
        trouble: Trouble,
        meter: SpoolMeter,
    ) -> Self {
        Self {
            stream,
            topics: plan.topics.clone(),
            spool,
            trouble,
            meter,
            client: None,
            requested: VecDeque::new(),
            sent: BTreeMap::new(),
            given: VecDeque::new(),
            held: None,
            state: None,
            state_due: false,
            left_out: 0,
            closing: false,
            farewell_due: true,
            done: false,
        }
    }

    /// Whether the broker is there.
    pub const fn is_connected(&self) -> bool {
        self.client.is_some()
    }

    /// Takes the lines that are there; `false` where none will come any more.
    pub fn take(&mut self, lines: &mut Inlet) -> bool {
        let open = loop {
            match lines.next(std::time::Duration::ZERO) {
                Ok(line) => self.line(&line),
                Err(NoItem::Empty) => break true,
                Err(NoItem::Ended) => break false,
            }
        };
        self.left_out += lines.take_lost();
        self.pump();
        open
    }

    fn line(&mut self, line: &EventLine) {
        match line.kind {
            LineKind::Event | LineKind::Turn => self.spool.push(line.json.as_bytes()),
            LineKind::State => {
                self.state = Some(Arc::clone(&line.json));
                self.state_due = true;
            }
            LineKind::Frame => {
                let room = self.requested.len() < REQUESTS / 2;
                let topic = self.topics.frame.clone();
                let frame = line.json.as_bytes();
                if !room || !self.publish(&topic, QoS::AtMostOnce, false, frame, Tag::Other) {
                    self.trouble.lost(1, "away");
                }
            }
        }
    }

    /// The broker is there; everything begins anew with it.
    pub fn connected(&mut self, client: AsyncClient, plan: &Plan) {
        self.forget();
        self.client = Some(client);
        self.trouble.well();
        for told in &plan.discovery {
            let payload = told.payload.as_bytes();
            self.publish(&told.topic, QoS::AtLeastOnce, true, payload, Tag::Other);
        }
        let available = self.topics.available.clone();
        self.publish(&available, QoS::AtLeastOnce, true, b"online", Tag::Other);
        self.state_due = self.state.is_some();
        self.farewell_due = true;
        self.pump();
    }

    /// The broker is not there. What it has not acknowledged is given again.
    pub fn disconnected(&mut self) {
        self.forget();
        self.client = None;
    }

    fn forget(&mut self) {
        self.requested.clear();
        self.sent.clear();
        self.given.clear();
        self.held = None;
        self.spool.rewind();
    }

    /// Hands the client what may go now.
    pub fn pump(&mut self) {
        self.tell_losses();
        if self.is_connected() {
            self.hand_over();
        }
        // Also while the broker is away: that is when something waits.
        self.meter.bytes(self.spool.waiting_bytes());
    }

    fn hand_over(&mut self) {
        if self.state_due
            && let Some(state) = self.state.clone()
        {
            let topic = self.topics.state.clone();
            self.state_due =
                !self.publish(&topic, QoS::AtLeastOnce, true, state.as_bytes(), Tag::Other);
        }
        while self.given.len() < WINDOW {
            let Some(message) = self.held.take().or_else(|| self.spool.give()) else { break };
            let (topic, tag) = (self.topics.event.clone(), Tag::Event(message.number));
            if !self.publish(&topic, QoS::AtLeastOnce, false, &message.bytes, tag) {
                self.held = Some(message);
                break;
            }
            self.given.push_back((message.number, false));
        }
        if self.closing && self.farewell_due && self.given.is_empty() && self.held.is_none() {
            let topic = self.topics.available.clone();
            let said = self.publish(&topic, QoS::AtLeastOnce, true, b"offline", Tag::Farewell);
            self.farewell_due = !said;
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

    /// Counts what was lost; once the broker is there it is told, in a line of its own.
    fn tell_losses(&mut self) {
        let loss = self.spool.take_loss();
        self.trouble.lost(loss.full, "spool-full");
        self.trouble.lost(loss.too_large, "too-large");
        self.trouble.lost(loss.damaged, "disk");
        self.left_out += loss.full + loss.too_large + loss.damaged;
        if self.left_out > 0 && self.is_connected() {
            let why = "more had happened than the sink could keep".to_owned();
            let sink = self.trouble.sink().to_owned();
            let event = Happened::Dropped { sink, lines: self.left_out, why };
            let line = event_line(&self.stream, &event, Timestamp::now(), LineKind::Event);
            self.spool.push(line.json.as_bytes());
            self.left_out = 0;
        }
    }

    /// What the client has sent or got.
    pub fn on(&mut self, event: &Event) {
        match event {
            Event::Outgoing(Outgoing::Publish(number)) => {
                let tag = self.requested.pop_front().unwrap_or(Tag::Other);
                if *number != 0 {
                    self.sent.insert(*number, tag);
                }
            }
            Event::Incoming(Packet::PubAck(ack)) => match self.sent.remove(&ack.pkid) {
                Some(Tag::Event(number)) => self.acknowledged(number),
                Some(Tag::Farewell) => {
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
        if let Some((_, done)) = self.given.iter_mut().find(|(given, _)| *given == number) {
            *done = true;
        }
        let mut through = None;
        while let Some((number, true)) = self.given.front().copied() {
            through = Some(number);
            self.given.pop_front();
        }
        if let Some(through) = through {
            self.spool.ack(through);
        }
    }

    /// Once a second.
    pub fn tick(&mut self) {
        self.spool.tick();
        if let Some(why) = self.spool.trouble().filter(|_| self.is_connected()) {
            self.trouble.is(&format!("{why}; messages wait in memory only"));
        } else if self.is_connected() {
            self.trouble.well();
        }
        self.pump();
    }
}
