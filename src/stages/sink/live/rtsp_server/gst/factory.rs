//! The factory of a mount's media: the same media whatever the address looks like under which a
//! reader asks for it.
//!
//! The library tells medias apart by port, path and query of the address; behind a forwarded port, or
//! with a slash at the end, a reader would get a pipeline of its own, and no frames.

use gstreamer_rtsp_server as rtsp;
use rtsp::subclass::prelude::*;
use rtsp::{glib, gst_rtsp};

mod imp {
    use super::*;

    #[derive(Default)]
    pub struct OneMediaFactory;

    #[glib::object_subclass]
    impl ObjectSubclass for OneMediaFactory {
        const NAME: &'static str = "LocutorOneMediaFactory";
        type Type = super::OneMediaFactory;
        type ParentType = rtsp::RTSPMediaFactory;
    }

    impl ObjectImpl for OneMediaFactory {}

    impl RTSPMediaFactoryImpl for OneMediaFactory {
        fn gen_key(&self, _url: &gst_rtsp::RTSPUrl) -> Option<glib::GString> {
            Some(glib::GString::from("one"))
        }
    }
}

glib::wrapper! {
    /// A factory with one media.
    pub struct OneMediaFactory(ObjectSubclass<imp::OneMediaFactory>)
        @extends rtsp::RTSPMediaFactory;
}

/// A factory that makes one media, and gives it to everyone.
pub fn one_media() -> rtsp::RTSPMediaFactory {
    use glib::object::Cast;
    glib::Object::new::<OneMediaFactory>().upcast()
}
