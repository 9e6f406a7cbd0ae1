//! Controls of a running camera: faults and pauses.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use locutor::core::rng::SeededRng;

use super::Options;

/// The RTP clock rate of video, for every codec.
pub(crate) const FRAME_CLOCK_HZ: i64 = 90_000;

/// The controls; see the module.
#[derive(Debug)]
pub(crate) struct Controls {
    /// Added to all RTP timestamps, video and audio.
    jump_ns: AtomicI64,
    paused: AtomicBool,
    silent: AtomicBool,
    drift_ppm: AtomicI64,
    /// Parts per million, as `corrupt`.
    loss: AtomicU64,
    corrupt: AtomicU64,
    rng: Mutex<SeededRng>,
}

/// How a packet is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PacketFate {
    Sent,
    Lost,
    Corrupted,
}

impl Controls {
    /// The initial state from the options.
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            jump_ns: AtomicI64::new(0),
            paused: AtomicBool::new(false),
            silent: AtomicBool::new(false),
            drift_ppm: AtomicI64::new(options.drift),
            loss: AtomicU64::new(to_ppm(options.loss)),
            corrupt: AtomicU64::new(to_ppm(options.corrupt)),
            rng: Mutex::new(SeededRng::new(1)),
        }
    }

    /// Executes a command line: `jump SECONDS` (backwards if negative), `loss PERCENT`, `corrupt
    /// PERCENT`, `drift PPM`, `pause` and `play` (sends nothing, connections stay open), `mute` and
    /// `unmute`, `quit`. Returns false for `quit`.
    pub(crate) fn execute(&self, line: &str) -> Result<bool, String> {
        let (word, value) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        let number = || value.parse::<f64>().map_err(|e| e.to_string());
        match word {
            "jump" => {
                let by = (number()? * 1e9) as i64;
                self.jump_ns.fetch_add(by, Ordering::Relaxed);
            }
            "loss" => self.loss.store(to_ppm(number()?), Ordering::Relaxed),
            "corrupt" => self.corrupt.store(to_ppm(number()?), Ordering::Relaxed),
            "drift" => self.drift_ppm.store(number()? as i64, Ordering::Relaxed),
            "pause" => self.paused.store(true, Ordering::Relaxed),
            "play" => self.paused.store(false, Ordering::Relaxed),
            "mute" => self.silent.store(true, Ordering::Relaxed),
            "unmute" => self.silent.store(false, Ordering::Relaxed),
            "quit" => return Ok(false),
            _ => return Err("unknown command".into()),
        }
        Ok(true)
    }

    /// The offset of RTP timestamps in ticks of `clock_hz`.
    pub(crate) fn jump_ticks(&self, clock_hz: i64) -> u32 {
        let ns = i128::from(self.jump_ns.load(Ordering::Relaxed));
        // RTP timestamps wrap at 32 bits.
        (ns * i128::from(clock_hz) / 1_000_000_000).rem_euclid(1 << 32) as u32
    }

    /// Whether nothing is sent.
    pub(crate) fn paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// Whether no audio is sent.
    pub(crate) fn silent(&self) -> bool {
        self.silent.load(Ordering::Relaxed)
    }

    /// How fast the audio's clock runs, in parts per million.
    pub(crate) fn drift_ppm(&self) -> i64 {
        self.drift_ppm.load(Ordering::Relaxed)
    }

    /// The next packet's fate, and a random number for its corruption.
    pub(crate) fn next_fate(&self) -> (PacketFate, usize) {
        let Ok(mut rng) = self.rng.lock() else { return (PacketFate::Sent, 0) };
        let random = rng.next_u64() % 1_000_000;
        let loss = self.loss.load(Ordering::Relaxed);
        let corrupt = self.corrupt.load(Ordering::Relaxed);
        let fate = match random {
            d if d < loss => PacketFate::Lost,
            d if d < loss + corrupt => PacketFate::Corrupted,
            _ => PacketFate::Sent,
        };
        (fate, rng.next_below(1 << 20))
    }
}

fn to_ppm(percent: f64) -> u64 {
    (percent * 10_000.0) as u64
}
