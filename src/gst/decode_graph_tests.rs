//! A decoded frame reaches its reader in the memory that the decoder wrote.

use std::path::Path;

use super::*;

/// Writes a video of `frames` frames.
fn write_video(path: &Path, frames: usize) {
    let text = format!(
        "videotestsrc num-buffers={frames} ! video/x-raw,format=I420,width=320,height=180 \
         ! x264enc ! h264parse ! mp4mux ! filesink location={}",
        path.display()
    );
    let pipeline = gst::parse::launch(&text).expect("a pipeline");
    let bus = pipeline.bus().expect("a bus");
    pipeline.set_state(gst::State::Playing).expect("it starts");
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let end = bus.timed_pop_filtered(gst::ClockTime::from_seconds(30), &ends);
    assert!(end.is_some_and(|m| m.type_() == gst::MessageType::Eos));
    pipeline.set_state(gst::State::Null).expect("it stops");
}

fn address(buffer: &gst::BufferRef) -> usize {
    buffer.map_readable().expect("memory").as_ptr().addr()
}

/// Records the address of every frame that a decoder in `pipeline` outputs.
fn record_decoded_addresses(pipeline: &gst::Pipeline, addresses: Arc<Mutex<Vec<usize>>>) {
    pipeline.connect_deep_element_added(move |_, _, element| {
        let addresses = Arc::clone(&addresses);
        if element.factory().is_none_or(|f| f.name() != "decodebin") {
            return;
        }
        element.connect_pad_added(move |_, pad| {
            let addresses = Arc::clone(&addresses);
            pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
                if let Some(buffer) = info.buffer() {
                    addresses.lock().expect("no panic before").push(address(buffer));
                }
                gst::PadProbeReturn::Ok
            });
        });
    });
}

#[test]
fn decoded_frames_reach_the_reader_without_a_copy() {
    const FRAMES: usize = 40;
    super::super::start().expect("GStreamer");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("video.mp4");
    write_video(&path, FRAMES);
    let graph = build(path.to_str().expect("a name"), 1).expect("a graph");
    let decoded = Arc::default();
    record_decoded_addresses(&graph.pipeline, Arc::clone(&decoded));
    graph.pipeline.set_state(gst::State::Playing).expect("it starts");
    // An appsink is linked only after the demuxer has found the stream.
    let connected = || graph.app_sinks.frames.current_state() >= gst::State::Paused;
    let polls = (0..2_000).take_while(|_| !connected());
    polls.for_each(|_| std::thread::sleep(std::time::Duration::from_millis(5)));
    let wait = gst::ClockTime::from_seconds(10);
    let samples: Vec<gst::Sample> =
        std::iter::from_fn(|| graph.app_sinks.frames.try_pull_sample(wait)).collect();
    let read: Vec<usize> = samples.iter().filter_map(|s| s.buffer().map(address)).collect();
    graph.pipeline.set_state(gst::State::Null).expect("it stops");
    assert_eq!(read.len(), FRAMES);
    assert_eq!(*decoded.lock().expect("no panic before"), read);
}
