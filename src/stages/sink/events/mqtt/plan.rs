//! Where an MQTT sink connects, its topics, and the discovery messages for Home Assistant.

use rumqttc::{LastWill, MqttOptions, QoS, TlsConfiguration, Transport};
use secrecy::ExposeSecret;
use serde_json::json;

use super::super::error::OpenError;
use super::super::spool::MAX_MESSAGE_BYTES;
use super::super::tls;
use crate::stages::sink::settings::MqttSettings;

/// Time without traffic after which the broker is pinged.
const KEEP_ALIVE: std::time::Duration = std::time::Duration::from_secs(15);

/// The topics of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Topics {
    /// Events.
    pub event: String,
    /// Frames.
    pub frame: String,
    /// The current state; retained.
    pub state: String,
    /// `online` or `offline`; retained.
    pub available: String,
}

/// A retained message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RetainedMessage {
    /// Its topic.
    pub topic: String,
    /// Its payload.
    pub payload: String,
}

/// See the module.
pub(crate) struct Plan {
    /// The broker's address without user and password.
    pub broker: String,
    /// Options of the connection.
    pub options: MqttOptions,
    /// The topics to publish to.
    pub topics: Topics,
    /// Discovery messages for Home Assistant.
    pub discovery: Vec<RetainedMessage>,
}

impl Plan {
    /// The plan for `stream`.
    ///
    /// # Errors
    /// Where the address or a topic cannot be used, or TLS cannot be set up.
    pub(crate) fn new(mqtt: &MqttSettings, stream: &str) -> Result<Self, OpenError> {
        let host = mqtt.broker.host_str().unwrap_or_default();
        let (tls, default_port) = match mqtt.broker.scheme() {
            "mqtt" => (false, 1883),
            "mqtts" => (true, 8883),
            _ => return Err(invalid(mqtt, "a broker is mqtt://HOST or mqtts://HOST")),
        };
        let port = mqtt.broker.port().unwrap_or(default_port);
        if host.is_empty() {
            return Err(invalid(mqtt, "the broker's host is missing: mqtt://HOST"));
        }
        let prefixes = [Some(&mqtt.topic), mqtt.discovery_prefix.as_ref()];
        if !prefixes.into_iter().flatten().all(|topic| is_topic(topic)) {
            let why = "a topic must not be empty, contain + or #, start with $ or /, or end with /";
            return Err(invalid(mqtt, why));
        }
        let broker = format!("{}://{host}:{port}", mqtt.broker.scheme());
        let topics = Topics::new(&mqtt.topic, stream);
        // Only a URL has brackets around an IPv6 address.
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let mut options = MqttOptions::new(client_id(&mqtt.topic, stream), host, port);
        options.set_keep_alive(KEEP_ALIVE);
        options.set_clean_session(true);
        // Room for topic and header in addition to the message.
        options.set_max_packet_size(64 << 10, MAX_MESSAGE_BYTES + (64 << 10));
        let will = LastWill::new(&topics.available, "offline", QoS::AtLeastOnce, true);
        options.set_last_will(will);
        if let Some(login) = &mqtt.login {
            options.set_credentials(&login.user, login.password.expose_secret());
        }
        if tls {
            let client = tls::client(mqtt.tls_ca_file.as_deref());
            let client = client.map_err(|why| OpenError::Tls { address: broker.clone(), why })?;
            options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(client)));
        }
        let discovery = mqtt.discovery_prefix.as_ref();
        let discovery = discovery.map(|d| discover(d, &mqtt.topic, stream, &topics));
        Ok(Self { broker, options, topics, discovery: discovery.unwrap_or_default() })
    }
}

impl Topics {
    fn new(topic: &str, stream: &str) -> Self {
        let below = |last: &str| format!("{topic}/{stream}/{last}");
        Self {
            event: below("event"),
            frame: below("frame"),
            state: below("state"),
            available: below("available"),
        }
    }
}

fn invalid(mqtt: &MqttSettings, why: &'static str) -> OpenError {
    let mut address = mqtt.broker.clone();
    // A validated configuration has neither.
    let _ = address.set_username("");
    let _ = address.set_password(None);
    OpenError::Address { address: address.to_string(), why }
}

fn is_topic(topic: &str) -> bool {
    let ends = topic.starts_with(['/', '$']) || topic.ends_with('/');
    !topic.is_empty() && !ends && !topic.contains(['+', '#', '\0'])
}

/// A client identifier: the same at every start, different on other machines or topics.
fn client_id(topic: &str, stream: &str) -> String {
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let hash = crc32fast::hash(format!("{topic}\n{machine}").as_bytes());
    format!("locutor-{stream}-{hash:08x}")
}

/// Discovery messages for Home Assistant: two binary sensors and a sensor of one device.
fn discover(prefix: &str, topic: &str, stream: &str, topics: &Topics) -> Vec<RetainedMessage> {
    let slug = |text: &str| {
        let keep = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        text.chars().map(keep).collect::<String>()
    };
    let node = format!("{}_{}", slug(topic), slug(stream));
    let entity = |kind: &str, object: &str, own: serde_json::Value| {
        let mut config = json!({
            "unique_id": format!("{node}_{object}"),
            "state_topic": topics.state,
            "availability_topic": topics.available,
            "device": {
                "identifiers": [node],
                "name": format!("locutor {stream}"),
                "model": "locutor",
                "sw_version": env!("CARGO_PKG_VERSION"),
            },
        });
        if let (Some(config), serde_json::Value::Object(own)) = (config.as_object_mut(), own) {
            config.extend(own);
        }
        let topic = format!("{prefix}/{kind}/{node}/{object}/config");
        RetainedMessage { topic, payload: config.to_string() }
    };
    vec![
        entity(
            "binary_sensor",
            "speaking",
            json!({
                "name": "someone speaking",
                "device_class": "sound",
                "value_template": "{{ 'ON' if value_json.speaking > 0 else 'OFF' }}",
            }),
        ),
        entity(
            "sensor",
            "floor",
            json!({
                "name": "floor",
                "icon": "mdi:account-voice",
                "value_template": "{{ value_json.person or 'nobody' }}",
                "json_attributes_topic": topics.state,
            }),
        ),
        entity(
            "binary_sensor",
            "source",
            json!({
                "name": "source",
                "device_class": "connectivity",
                "value_template": "{{ 'ON' if value_json.source == 'live' else 'OFF' }}",
            }),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::credentials::Login;

    fn mqtt(broker: &str, topic: &str) -> MqttSettings {
        MqttSettings {
            broker: broker.parse().expect("an address"),
            login: Some(Login { user: "me".into(), password: "hunter2".to_owned().into() }),
            tls_ca_file: None,
            topic: topic.to_owned(),
            discovery_prefix: Some("homeassistant".to_owned()),
            frames: false,
            spool: "spool".into(),
            spool_bytes: 1 << 20,
        }
    }

    #[test]
    fn topics_ids_and_discovery_are_the_same_at_every_start() {
        let make = || Plan::new(&mqtt("mqtt://broker", "a/b"), "hall.1").expect("a plan");
        let (one, two) = (make(), make());
        assert_eq!(one.topics.event, "a/b/hall.1/event");
        assert_eq!(one.options.client_id(), two.options.client_id());
        assert_eq!(one.options.broker_address(), ("broker".to_owned(), 1883));
        assert_eq!(one.discovery, two.discovery);
        let topic = "homeassistant/binary_sensor/a_b_hall_1/speaking/config";
        assert_eq!(one.discovery[0].topic, topic);
        let config: serde_json::Value =
            serde_json::from_str(&one.discovery[0].payload).expect("JSON");
        assert_eq!(config["state_topic"], "a/b/hall.1/state");
        assert_eq!(config["name"], "someone speaking");
    }

    #[test]
    fn invalid_settings_are_refused_without_showing_secrets() {
        for (broker, topic) in
            [("http://me:hunter2@broker", "a"), ("mqtt://broker", "a/#"), ("mqtt://broker", "")]
        {
            let error = Plan::new(&mqtt(broker, topic), "hall").err().expect("refused");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }
}
