use gstreamer::prelude::*;
fn main() {
    gstreamer::init().unwrap();
    let a: Vec<String> = std::env::args().collect();
    let g = locutor::gst::intake::build(&a[1], 1).unwrap();
    println!("{:?}", g.pipeline.set_state(gstreamer::State::Paused));
    for _ in 0..6 {
        std::thread::sleep(std::time::Duration::from_millis(300));
        println!(
            "pipeline {:?} found {:?}",
            g.pipeline.state(gstreamer::ClockTime::ZERO),
            g.found.lock().unwrap()
        );
    }
    for e in g.pipeline.iterate_recurse().into_iter().flatten() {
        let (r, c, p) = e.state(gstreamer::ClockTime::ZERO);
        println!("{} {:?} {:?} {:?}", e.name(), r, c, p);
    }
    let bus = g.pipeline.bus().unwrap();
    while let Some(m) = bus.pop() {
        if !matches!(
            m.view(),
            gstreamer::MessageView::StateChanged(_)
                | gstreamer::MessageView::Tag(_)
                | gstreamer::MessageView::StreamStatus(_)
        ) {
            println!("{:?}", m);
        }
    }
}
