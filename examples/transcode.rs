use locutor::gst::{container::Container, encoder::EncoderWishes, picture::GstPicture};
use locutor::stages::{
    sink::gst::{Film, FilmPlan},
    source::gst::Recording,
};
use std::sync::Arc;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let rec = match Recording::open(a[1].as_ref(), 1) {
        Ok(r) => r,
        Err(e) => {
            println!("ERR {} {e}", e.exit().code());
            return;
        }
    };
    println!("{:?}", rec.shape());
    let film = Film::create(FilmPlan {
        path: a[2].clone().into(),
        container: Container::from_path(a[2].as_ref()).unwrap(),
        encoder: EncoderWishes { element: None, crf: 23, preset: "veryfast".into() },
        pictures: rec.picture_caps().unwrap(),
        packets: rec.packet_caps(),
    })
    .unwrap();
    println!("kept {}", film.sound_kept());
    let (pics, packs, sound) = (rec.pictures(), rec.packets(), rec.sound());
    rec.play().unwrap();
    std::thread::scope(|s| {
        s.spawn(|| {
            if let Some(p) = packs {
                for x in p {
                    film.push_packet(&x).unwrap();
                }
                film.end_packets();
            }
        });
        s.spawn(|| {
            let mut n = 0;
            let mut first = None;
            if let Some(p) = sound {
                for x in p {
                    first = first.or(x.pts);
                    n += x.samples.len();
                }
            }
            println!("sound {n} {:?}", first);
        });
        let mut n = 0;
        let mut first = None;
        let mut damaged = 0;
        for p in pics {
            n += 1;
            first = first.or(p.pts);
            damaged += u32::from(p.damaged);
            let pic = (p.picture.into_any()).downcast::<GstPicture>().ok().unwrap();
            let buf = Arc::into_inner(pic).unwrap().into_buffer();
            film.push_picture(buf, p.pts.unwrap(), p.span).unwrap();
        }
        println!("frames {n} first {first:?} damaged {damaged}");
    });
    println!("{:?}", rec.damage());
    println!("{:?}", film.finish());
}
